"""Sources in another DVC repository: real ones, with their caches and remotes."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from dvc.config_schema import RelPath
from dvc.repo import Repo
from pydantic import TypeAdapter

from mlpipe.errors import StageError
from mlpipe_dvc.sourceconfig import Source
from mlpipe_dvc.sources import identify, open_source
from mlpipe_dvc.values import LocalFiles

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.dvc.conftest import Project

SOURCE: TypeAdapter[Any] = TypeAdapter(Source)


def source(path: str = "raw/rows.csv", **given: Any) -> Any:
    return SOURCE.validate_python({"repo": "../other", "path": path, **given})


def opened(project: Project, path: str = "raw/rows.csv", **given: Any) -> dict[str, str]:
    stage = project.stage().stage
    shutil.rmtree(stage.scratch / "source", ignore_errors=True)
    found = open_source(source(path, **given), stage)
    assert isinstance(found, LocalFiles)
    assert all(each.is_relative_to(stage.scratch) for each in found.paths)
    return {each.relative_to(found.base).as_posix(): each.read_text() for each in found.paths}


def identity(project: Project, path: str = "raw/rows.csv", **given: Any) -> str:
    (found,) = identify(source(path, **given), project.stage().stage).values()
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a repository ``other`` (v1 and v2 of a file and a folder) and its remote."""
    root = tmp_path_factory.mktemp("made")
    (root / "gitconfig").write_text("[user]\nname = Test\nemail = test@example.org\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(root / "gitconfig"))
        patch.setenv("DVC_GLOBAL_CONFIG_DIR", str(root / "dvc"))
        patch.setenv("DVC_SITE_CACHE_DIR", str(root / "dvc-site-cache"))
        patch.setenv("DVC_NO_ANALYTICS", "1")
        _fill(root / "other")
    return root


def _fill(root: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)

    (root / "raw").mkdir(parents=True)
    (root / "images/a").mkdir(parents=True)
    (root / "notes.csv").write_text("kept by Git\n")
    git("init", "--initial-branch", "main")
    with Repo.init(str(root)) as repo:
        with repo.config.edit() as config:
            config["remote"]["store"] = {"url": RelPath(str(root.parent / "store"))}
            config["core"]["remote"] = "store"
        for number in (1, 2):
            (root / "raw/rows.csv").write_text(f"x\n{number}\n")
            for name in ("a/1.txt", "b.txt"):
                (root / "images" / name).write_text(f"{name} {number}")
            repo.add([str(root / "raw/rows.csv"), str(root / "images")])
            git("add", "--all")
            git("commit", "--message", f"version {number}")
            git("tag", f"v{number}")
            repo.push()


@pytest.fixture
def other(bare_project: Project, made: Path, tmp_path: Path) -> Project:
    """A repository of the test's own."""
    for name in ("other", "store"):
        shutil.copytree(made / name, tmp_path / name, symlinks=True)
    return bare_project.at(tmp_path / "other")


def forget(other: Project) -> None:
    shutil.rmtree(other.root / ".dvc" / "cache")


def test_a_file_is_had_at_a_revision(bare_project: Project, other: Project) -> None:
    commit = other.git("rev-parse", "v1").strip()
    for rev in ("v1", commit, commit[:10]):
        assert opened(bare_project, rev=rev) == {"rows.csv": "x\n1\n"}
    assert opened(bare_project, rev="main") == {"rows.csv": "x\n2\n"}
    assert opened(bare_project, "notes.csv", rev="v1") == {"notes.csv": "kept by Git\n"}


def test_a_folder_is_had_at_a_revision(bare_project: Project, other: Project) -> None:
    assert opened(bare_project, "images", rev="v1") == {"a/1.txt": "a/1.txt 1", "b.txt": "b.txt 1"}
    assert opened(bare_project, "./images/a/", rev="v1") == {"1.txt": "a/1.txt 1"}
    assert opened(bare_project, "images/a", rev="v1") == {"1.txt": "a/1.txt 1"}
    forget(other)
    assert opened(bare_project, "images", rev="v1") == {"a/1.txt": "a/1.txt 1", "b.txt": "b.txt 1"}


def test_without_a_revision_it_is_what_is_there_now(bare_project: Project, other: Project) -> None:
    assert opened(bare_project) == {"rows.csv": "x\n2\n"}
    before = identity(bare_project)
    other.write("raw/rows.csv", "x\n3\n")
    assert opened(bare_project) == {"rows.csv": "x\n3\n"}
    assert identity(bare_project) != before


def test_a_git_url_is_cloned_and_its_remote_asked(bare_project: Project, other: Project) -> None:
    url = other.root.as_uri()
    assert opened(bare_project, repo=url, rev="v1") == {"rows.csv": "x\n1\n"}
    assert opened(bare_project, repo=url) == {"rows.csv": "x\n2\n"}


def test_data_is_known_by_its_digest(bare_project: Project, other: Project) -> None:
    first = identity(bare_project, rev="v1"), identity(bare_project, "images", rev="v1")
    other.write("notes.csv", "another commit\n")
    other.commit("notes")
    assert identity(bare_project, rev="main") == identity(bare_project, rev="v2")
    assert (identity(bare_project, rev="v1"), identity(bare_project, "images", rev="v1")) == first
    second = identity(bare_project, rev="v2"), identity(bare_project, "images", rev="v2")
    assert not set(first) & set(second)
    for path in ("images/a", "notes.csv", "images/b.txt"):
        assert identity(bare_project, path, rev="v1")
    assert identity(bare_project, "notes.csv", rev="main") != identity(
        bare_project, "notes.csv", rev="v1"
    )
    assert identity(bare_project, "images/a", rev="v1") != identity(
        bare_project, "images/a", rev="v2"
    )


def test_a_repository_elsewhere_is_known_by_its_commit(
    bare_project: Project, other: Project
) -> None:
    url = other.root.as_uri()
    other.git("tag", "--annotate", "--message", "the first", "first", "v1")
    first, second = (other.git("rev-parse", rev).strip() for rev in ("v1", "v2"))
    assert identity(bare_project, repo=url, rev="v1") == first
    assert identity(bare_project, repo=url, rev="first") == first
    assert identity(bare_project, repo=url, rev="main") == second
    assert identity(bare_project, repo=url) == second
    shutil.rmtree(other.root)
    assert identity(bare_project, repo=url, rev=first) == first
    with pytest.raises(StageError, match="Git cannot ask the repository"):
        identity(bare_project, repo=url, rev="main")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"rev": "v3"}, "there is no such revision"),
        ({"path": "raw/none.csv"}, "there is no such path"),
        ({"repo": "../nowhere"}, "there is no such repository"),
        ({"repo": "../surroundings"}, "is neither a DVC nor a Git repository"),
        ({"repo": "file:///nowhere/at/all"}, "the repository cannot be cloned"),
    ],
)
def test_what_is_not_there_is_reported(
    bare_project: Project, other: Project, given: dict[str, str], what: str
) -> None:
    with pytest.raises(StageError) as caught:
        opened(bare_project, **given)
    assert caught.value.what.startswith(what)


def test_a_revision_that_a_url_has_not_is_reported(bare_project: Project, other: Project) -> None:
    url = other.root.as_uri()
    with pytest.raises(StageError, match="there is no such revision"):
        opened(bare_project, repo=url, rev="v3")
    with pytest.raises(StageError, match="there is no such tag or branch"):
        identity(bare_project, repo=url, rev="v3")


def test_data_that_nobody_has_is_reported(
    bare_project: Project, other: Project, tmp_path: Path
) -> None:
    forget(other)
    shutil.rmtree(tmp_path / "store")
    for path in ("raw/rows.csv", "images"):
        with pytest.raises(StageError, match="is neither in its cache nor in its remote"):
            opened(bare_project, path, rev="v1")


def test_damaged_data_is_reported(bare_project: Project, other: Project, tmp_path: Path) -> None:
    forget(other)
    for stored in (tmp_path / "store").rglob("*"):
        if stored.is_file() and not stored.name.endswith(".dir"):
            stored.chmod(0o644)
            stored.write_text("damaged")
    for path in ("raw/rows.csv", "images"):
        with pytest.raises(StageError, match="is damaged: its MD5 is"):
            opened(bare_project, path, rev="v1")
