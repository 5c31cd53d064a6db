"""The files of one exact commit, from folders and servers."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlpipe.errors import StageError
from tests.plugins.git.git_projects import Project, Repo, new_repo, serving

FILES = {
    "README.md": "read",
    "app.py": "x",
    "app/main.py": "one",
    "app/run.sh": "#!/bin/sh\n",
    "feature.py": "y",
}


# -- a folder ---------------------------------------------------------------------------------


def test_a_folder_gives_what_is_checked_out(project: Project, repo: Repo) -> None:
    head = repo.git("rev-parse", "HEAD")
    assert project.resolve(repository=str(repo.path)) == {"commit": head}
    made = project.checkout(repository=str(repo.path))
    assert made.files == FILES
    assert os.access(made.source / "app" / "run.sh", os.X_OK)
    assert made.values == {
        "commit": head,
        "short": head[:12],
        "ref": "refs/heads/main",
        "date": "2026-03-01T09:30:00+01:00",
        "tag": "",
        "version": "1.1.0",
        "dirty": False,
    }
    assert made.result.summary == f"{head[:12]} · main"


@pytest.mark.parametrize("ref", ["v1.0.0", "refs/tags/v1.0.0", "main~0", "HEAD"])
def test_a_ref_is_a_tag_a_branch_or_nothing(project: Project, repo: Repo, ref: str) -> None:
    if ref == "main~0":
        with pytest.raises(ValueError, match="is no branch, tag or commit"):
            project.resolve(repository=str(repo.path), ref=ref)
        return
    wanted = repo.git("rev-parse", f"{ref}^{{commit}}")
    assert project.resolve(repository=str(repo.path), ref=ref) == {"commit": wanted}


def test_a_tag_gives_its_version(project: Project, repo: Repo) -> None:
    made = project.checkout(repository=str(repo.path), ref="v1.0.1")
    assert "feature.py" not in made.files
    assert (made.values["tag"], made.values["version"]) == ("v1.0.1", "1.0.1")


def test_a_short_commit_is_found_in_a_folder(project: Project, repo: Repo) -> None:
    first = repo.git("rev-parse", "v1.0.0^{commit}")
    made = project.checkout(repository=str(repo.path), ref=first[:8])
    assert made.values["commit"] == first


def test_a_project_checks_out_itself_from_below(project: Project, repo: Repo) -> None:
    inner = Project(repo.path / "app")
    (inner.root / ".mlpipe").mkdir()
    (inner.root / "mlpipe.lock").write_text("")
    (repo.path / "mlpipe.lock").write_text("written by runs")
    assert inner.checkout(folder="app").files == {"main.py": "one", "run.sh": "#!/bin/sh\n"}


def test_a_folder_of_the_repository(project: Project, repo: Repo) -> None:
    made = project.checkout(repository=str(repo.path), folder="app/")
    assert made.files == {"main.py": "one", "run.sh": "#!/bin/sh\n"}
    with pytest.raises(StageError, match='the commit has no folder "lib"') as caught:
        project.checkout(repository=str(repo.path), folder="lib")
    assert caught.value.fix == "Its folders: app."


def test_changes_are_refused_or_taken_along(project: Project, repo: Repo) -> None:
    repo.write({".gitignore": "build/\n"})
    repo.commit("Ignore")
    repo.write({"app/main.py": "changed", "new file.txt": "new", "build/x": "ignored"})
    (repo.path / "README.md").unlink()
    place = str(repo.path)
    with pytest.raises(StageError) as caught:
        project.resolve(repository=place)
    assert caught.value.what == (
        "there are changes that are not committed: README.md, app/main.py, new file.txt"
    )
    assert project.checkout(repository=place, ref="main").files["app/main.py"] == "one"

    before = sorted(path for path in (repo.path / ".git").rglob("*"))
    identities = project.resolve(repository=place, dirty="include")
    assert set(identities) == {"commit", "tree"}
    made = project.checkout(repository=place, dirty="include", identities=identities)
    assert made.files == {
        ".gitignore": "build/\n",
        "app.py": "x",
        "app/main.py": "changed",
        "app/run.sh": "#!/bin/sh\n",
        "feature.py": "y",
        "new file.txt": "new",
    }
    assert made.values["dirty"] is True
    assert sorted(path for path in (repo.path / ".git").rglob("*")) == before, "left as it was"
    assert len(repo.git("status", "--porcelain").splitlines()) == 3

    repo.write({"app/main.py": "changed again"})
    assert project.resolve(repository=place, dirty="include") != identities
    with pytest.raises(StageError, match="files were changed after the run was planned"):
        project.checkout(repository=place, dirty="include", identities=identities)


def test_the_plan_s_commit_is_checked_out_though_the_branch_moved(
    project: Project, repo: Repo
) -> None:
    planned = project.resolve(repository=str(repo.path), ref="main")
    repo.commit("Later", later__py="z")
    made = project.checkout(repository=str(repo.path), ref="main", identities=planned)
    assert made.values["commit"] == planned["commit"]
    assert made.files == FILES


def test_hooks_and_settings_of_the_repository_run_nothing(
    project: Project, repo: Repo, tmp_path: Path
) -> None:
    touched = tmp_path / "touched"
    for name in ("post-checkout", "reference-transaction"):
        hook = repo.path / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch '{touched}'\n")
        hook.chmod(0o755)
    repo.git("config", "core.fsmonitor", f"touch '{touched}'")
    project.checkout(repository=str(repo.path))
    assert not touched.exists()


# -- a server ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_server_s_branch_tag_or_commit(
    project: Project, repo: Repo, scheme: str, tmp_path: Path
) -> None:
    first, head = repo.git("rev-parse", "v1.0.0^{commit}"), repo.git("rev-parse", "HEAD")
    with serving(repo.path.parent) as url:
        place = f"{url}/service/.git" if scheme == "http" else repo.path.as_uri()
        for ref, commit in (("", head), ("main", head), ("v1.0.0", first), (first, first)):
            identities = project.resolve(repository=place, ref=ref)
            assert identities == {"commit": commit}
            made = project.checkout(repository=place, ref=ref, identities=identities)
            assert made.values["version"] == ("1.1.0" if commit == head else "1.0.0")
            assert made.files["app/main.py"] == "one"
        later = repo.commit("fix: later", later__py="z")
        made = project.checkout(repository=place)
        assert (made.values["commit"], made.values["version"]) == (later, "1.1.0")


def test_with_depth_the_history_is_left_there(project: Project, repo: Repo) -> None:
    place = repo.path.as_uri()
    made = project.checkout(repository=place, depth=1, ref="main")
    assert made.files == FILES
    (cache,) = [path for path in (project.root / ".mlpipe" / "git").iterdir() if path.is_dir()]
    assert len(Repo(cache).git("rev-list", made.values["commit"]).split()) == 1
    made = project.checkout(repository=place, ref="main")  # and is fetched when it is wanted
    assert len(Repo(cache).git("rev-list", made.values["commit"]).split()) == 3


def test_a_token_is_shown_and_never_written(
    project: Project, repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(repo.path.parent, token="s3cret-token") as url:
        place = f"{url}/service/.git"
        with pytest.raises(StageError, match="the server does not let us in") as caught:
            project.resolve(repository=place)
        assert "token: GIT_TOKEN" in str(caught.value)
        with pytest.raises(StageError, match="does not let us in"):
            project.resolve({"TOKEN": "expired"}, repository=place, token="TOKEN")
        with pytest.raises(StageError, match="the secret TOKEN is not given to the stage"):
            project.resolve(repository=place, token="TOKEN")
        made = project.checkout({"TOKEN": "s3cret-token"}, repository=place, token="TOKEN")
    assert made.files == FILES
    written = [path for path in project.root.rglob("*") if path.is_file()]
    assert not [path for path in written if b"s3cret-token" in path.read_bytes()]
    assert "s3cret" not in "".join(capfd.readouterr())


def test_submodules_come_along_when_asked_for(project: Project, repo: Repo, tmp_path: Path) -> None:
    library = new_repo(repo.path.parent / "library")
    library.commit("Begin", lib__py="library")
    repo.git("submodule", "--quiet", "add", "../library", "vendor/library")
    repo.git("-C", ".", "config", "remote.origin.url", str(repo.path))
    repo.commit("Add a submodule")
    place = repo.path.as_uri()
    assert "vendor/library/lib.py" not in project.checkout(repository=place).files
    made = project.checkout(repository=place, submodules=True)
    assert made.files["vendor/library/lib.py"] == "library"
    assert not list(made.source.rglob(".git"))


def test_what_a_killed_fetch_left_is_no_obstacle(project: Project, repo: Repo) -> None:
    place = repo.path.as_uri()
    project.checkout(repository=place)
    (cache,) = [path for path in (project.root / ".mlpipe" / "git").iterdir() if path.is_dir()]
    (cache / "packed-refs.lock").touch()
    (cache / "shallow.lock").touch()
    repo.commit("Later", later__py="z")
    assert "later.py" in project.checkout(repository=place).files


# -- what goes wrong ----------------------------------------------------------------------------


def test_what_is_not_there_is_said(project: Project, repo: Repo, tmp_path: Path) -> None:
    place, url = str(repo.path), repo.path.as_uri()
    empty = new_repo(tmp_path / "empty")
    outside = tmp_path / "outside"
    outside.mkdir()
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"repository": place, "ref": "mian"}, 'commit "mian"', "Did you mean main?"),
        ({"repository": url, "ref": "v1.0.2"}, 'commit "v1.0.2"', "Did you mean v1.0."),
        ({"repository": url, "ref": "abcdef1"}, 'commit "abcdef1"', "give all of it"),
        ({"repository": url, "ref": "x"}, 'commit "x"', "It has: main, v1.0.0, v1.0.1."),
        ({"repository": "nowhere"}, "there is no such folder", ""),
        ({"repository": str(outside)}, "this is no Git repository", "git init"),
        ({"repository": str(empty.path)}, "has no commit yet", "git commit"),
        ({"repository": empty.path.as_uri()}, "no default branch", "ref: main"),
        ({"repository": (tmp_path / "no").as_uri()}, "there is no Git repository", "address"),
        ({"repository": "http://127.0.0.1:9/x.git"}, "cannot be reached", "network"),
    ]
    for settings, what, fix in cases:
        with pytest.raises(StageError) as caught:
            project.resolve(**settings)
        assert what in caught.value.what
        assert fix in (caught.value.fix or "")


def test_a_name_that_is_a_branch_and_a_tag_must_be_made_clear(project: Project, repo: Repo) -> None:
    repo.git("branch", "v1.0.0", "main")
    for place in (str(repo.path), repo.path.as_uri()):
        with pytest.raises(StageError, match='" is a branch and a tag'):
            project.resolve(repository=place, ref="v1.0.0")
        tag = project.resolve(repository=place, ref="refs/tags/v1.0.0")
        assert tag == {"commit": repo.git("rev-parse", "refs/tags/v1.0.0^{commit}")}


def test_a_commit_that_the_server_lost_is_said(project: Project, repo: Repo) -> None:
    with pytest.raises(StageError, match="git"):
        project.checkout(repository=repo.path.as_uri(), ref="0" * 39 + "1")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"repository": "https://user:secret@example.com/x.git"}, "credentials do not belong"),
        ({"repository": "https://token@example.com/x.git"}, "credentials do not belong"),
        ({"repository": "ext::sh -c touch% x"}, "is no repository"),
        ({"repository": "--upload-pack=x"}, "is no repository"),
        ({"repository": "ftp://example.com/x"}, "ftp: is not supported"),
        ({"ref": "--force"}, "is no branch, tag or commit"),
        ({"ref": "a..b"}, "is no branch, tag or commit"),
        ({"folder": "../x"}, "is no folder of the repository"),
        ({"depth": 0}, "greater than or equal to 1"),
        ({"repository": "http://example.com/x", "token": "T"}, "would be readable by all"),
        ({"repository": "git@example.com:x", "token": "T"}, "token: is for https"),
        ({"repository": "https://example.com/x", "ssh_key": "K"}, "ssh_key: is for ssh"),
    ],
)
def test_settings_that_make_no_sense(
    project: Project, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        project.settings(settings)


def test_without_git_it_is_said(
    project: Project, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project.root))
    with pytest.raises(StageError, match="git is not installed"):
        project.resolve(repository=str(repo.path))


def test_a_shallow_clone_is_used_as_it_is(project: Project, repo: Repo, tmp_path: Path) -> None:
    clone = tmp_path / "shallow"
    subprocess.run(
        ["git", "clone", "--quiet", "--depth", "1", repo.path.as_uri(), str(clone)], check=True
    )
    made = project.checkout(repository=str(clone))
    assert made.files == FILES
    assert made.values["version"] == "", "no tag in sight, so nothing to count from"
