"""Repositories, remotes, locks and files that are there already."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlpipe.errors import StageError
from mlpipe_dvc.tracking.values import Made
from mlpipe_dvc.tracking.versioning import version

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project


def config_of(project: Project) -> str:
    return (project.root / ".dvc/config").read_text()


# -- repositories ------------------------------------------------------------------------


def test_below_the_top_of_git_the_repository_is_the_projects(
    bare_project: Project, tmp_path: Path
) -> None:
    bare_project.at(tmp_path).git("init", "--quiet")
    bare_project.prepare()
    assert (bare_project.root / ".dvc/config").is_file()
    assert not (tmp_path / ".dvc").exists()
    assert bare_project.git("diff", "--cached", "--name-only") == ""
    assert bare_project.dvc("status") == "Data and pipelines are up to date.\n"


def test_a_repository_above_the_project_is_used(bare_project: Project, tmp_path: Path) -> None:
    above = bare_project.at(tmp_path)
    above.git("init", "--quiet")
    above.dvc("init", "--quiet")
    bare_project.prepare()
    assert not (bare_project.root / ".dvc").exists()
    assert above.dvc("status") == "Data and pipelines are up to date.\n"


def test_staging_by_dvc_is_held_back(project: Project, surroundings: Path) -> None:
    project.commit("rows")
    (surroundings / "dvc").mkdir()
    (surroundings / "dvc/config").write_text("[core]\n    autostage = true\n")
    project.prepare()
    assert project.git("diff", "--cached", "--name-only") == ""


def test_settings_of_an_existing_repository_are_kept(project: Project) -> None:
    project.dvc("init", "--quiet")
    project.dvc("remote", "add", "--default", "shared", "../shared")
    before = config_of(project)
    project.prepare()
    assert config_of(project) == before
    assert list((project.root.parent / "shared").rglob("*/md5/*/*"))


def test_an_export_without_git_can_be_worked_on(project: Project) -> None:
    project.prepare()
    before = config_of(project)
    shutil.rmtree(project.root / ".git")
    project.write("rows.csv", project.rows + "60,99,1\n")
    assert project.prepare().metrics["rows"] == 61
    assert config_of(project) == before


def test_lines_of_dvcignore_are_kept(bare_project: Project) -> None:
    bare_project.write(".dvcignore", "*.bak")
    bare_project.prepare()
    assert (bare_project.root / ".dvcignore").read_text() == "*.bak\n/.mlpipe\n"


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        (".dvc", "", "is a file, where DVC's folder belongs"),
        (".dvc/config", "[core\n", "could not be put under DVC"),
        (".dvc/config", "[core]\nremote = nowhere\n", "has no URL"),
        ("other.csv.dvc", "outs: [\n", "could not be put under DVC"),
        (".gitignore", ".dvc\n", "is ignored by Git"),
        (".gitignore", "data/\n", "is ignored by Git"),
    ],
)
def test_a_repository_that_cannot_be_used_is_reported(
    project: Project, path: str, text: str, what: str
) -> None:
    project.write(path, text)
    with pytest.raises(StageError, match=what):
        project.prepare()
    assert not (project.root / "data").exists()


# -- remotes -----------------------------------------------------------------------------


def test_by_default_data_is_pushed_below_mlpipe(project: Project) -> None:
    project.prepare()
    home = project.root / ".mlpipe/dvc/remote"
    assert config_of(project).split("\n") == [
        "[core]",
        "    analytics = False",
        "    check_update = False",
        "    remote = mlpipe",
        "['remote \"mlpipe\"']",
        f"    url = {home}",
        "",
    ]
    assert len([path for path in home.rglob("*") if path.is_file()]) == 1


def test_where_the_default_remote_is_gone_the_projects_own_is_used(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.prepare()
    project.commit("data")
    before = config_of(project)
    moved = project.at(tmp_path / "moved")
    shutil.move(project.root, moved.root)
    monkeypatch.chdir(moved.root)
    moved.prepare()
    assert config_of(moved) == before
    assert moved.git("status", "--porcelain") == ""
    assert "in sync" in moved.dvc("status", "--cloud")
    assert not project.root.exists()


def test_a_folder_in_the_recipe_stays_relative(project: Project) -> None:
    project.prepare(remote="../shared")
    assert "url = ../../shared" in config_of(project)
    assert list((project.root.parent / "shared").rglob("*/md5/*/*"))


def test_another_remote_in_the_recipe_takes_the_first_ones_place(
    project: Project, tmp_path: Path
) -> None:
    project.prepare()
    project.prepare(remote=str(tmp_path / "second"))
    assert f"url = {tmp_path / 'second'}" in config_of(project)
    assert "in sync" in project.dvc("status", "--cloud")


def test_a_remote_that_is_not_the_recipes_is_not_replaced(project: Project) -> None:
    project.dvc("init", "--quiet")
    project.dvc("remote", "add", "--default", "shared", "s3://bucket/data")
    before = config_of(project)
    with pytest.raises(StageError, match='default remote of the DVC repository is "shared"'):
        project.prepare(remote="../elsewhere")
    assert config_of(project) == before
    assert not (project.root / "data").exists()


def test_a_remote_that_cannot_be_written_to_is_found_before_files_are_placed(
    project: Project,
) -> None:
    with pytest.raises(
        StageError, match=r"rows\.csv/x: the DVC remote cannot be written to: Not a"
    ):
        project.prepare(remote="rows.csv/x")
    assert not (project.root / "data").exists()


def test_a_push_that_fails_is_made_good_by_the_next_run(project: Project, tmp_path: Path) -> None:
    blocker = tmp_path / "shared/files"
    blocker.parent.mkdir()
    blocker.write_text("in the way of the remote's own folder\n")
    with pytest.raises(StageError, match="the data is tracked, but was not pushed"):
        project.prepare(remote="../shared")
    blocker.unlink()
    project.prepare(remote="../shared")
    assert "in sync" in project.dvc("status", "--cloud")


def test_a_kind_of_remote_that_is_not_installed_is_named(project: Project) -> None:
    with pytest.raises(StageError, match=r"gs://bucket/x: the data is tracked, but was not pushed"):
        project.prepare(remote="gs://bucket/x")


# -- files in the way --------------------------------------------------------------------


def test_an_untracked_file_is_never_overwritten(project: Project) -> None:
    mine = project.write("data/data.csv", "mine\n")
    with pytest.raises(StageError) as caught:
        project.prepare()
    assert str(caught.value) == (
        "data/data.csv: is there already, with other content, and DVC does not track it\n"
        "   Move or delete it, or name another output folder."
    )
    assert mine.read_text() == "mine\n"
    assert not (project.root / "data/data.csv.dvc").exists()


def test_an_untracked_file_with_the_same_content_is_adopted(project: Project) -> None:
    project.write("data/data.csv", project.rows)
    project.prepare()
    assert project.dvc("status") == "Data and pipelines are up to date.\n"


def test_one_file_in_the_way_keeps_all_from_being_placed(project: Project) -> None:
    project.write("data/test.csv", "mine\n")
    with pytest.raises(StageError, match=r"data/test\.csv: is there already"):
        project.prepare(split={"train": 0.5, "test": 0.5})
    assert not (project.root / "data/train.csv").exists()


def test_an_edit_of_a_tracked_file_is_not_lost(project: Project) -> None:
    project.prepare()
    edited = project.write("data/data.csv", "edited\n")
    with pytest.raises(StageError, match="was edited after DVC recorded it"):
        project.prepare()
    assert edited.read_text() == "edited\n"


def test_a_deleted_file_is_made_again(project: Project) -> None:
    project.prepare()
    (project.root / "data/data.csv").unlink()
    project.prepare()
    assert (project.root / "data/data.csv").read_text() == project.rows


def test_files_that_git_tracks_are_left_to_git(project: Project) -> None:
    project.write("data/data.csv", project.rows)
    project.commit("data in Git")
    with pytest.raises(StageError, match=r"git rm --cached data/data\.csv"):
        project.prepare()


def test_a_folder_that_dvc_tracks_as_a_whole_is_not_written_into(project: Project) -> None:
    project.dvc("init", "--quiet")
    project.write("data/other.csv", "x\n1\n")
    project.dvc("add", "--quiet", "data")
    with pytest.raises(StageError, match=r"lies in data, which DVC tracks as one whole"):
        project.prepare()
    assert not (project.root / "data/data.csv").exists()


def test_an_output_of_a_dvc_pipeline_is_left_to_it(project: Project) -> None:
    project.dvc("init", "--quiet")
    project.write("dvc.yaml", "stages: {make: {cmd: make, outs: [data/data.csv]}}\n")
    with pytest.raises(StageError, match="is an output of make in DVC's own pipeline"):
        project.prepare()


def test_a_folder_at_a_files_place_is_reported(project: Project) -> None:
    (project.root / "data/data.csv").mkdir(parents=True)
    with pytest.raises(StageError, match="is a folder, where a file belongs"):
        project.prepare()


# -- other processes ---------------------------------------------------------------------


@contextmanager
def locked(project: Project) -> Iterator[subprocess.Popen[str]]:
    """Hold DVC's lock in another process until its standard input is closed."""
    code = (
        "import sys, zc.lockfile; held = zc.lockfile.LockFile(sys.argv[1]);"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(project.root / ".dvc/tmp/lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        if process.stdin and not process.stdin.closed:
            process.stdin.close()


def fresh(project: Project, text: str) -> Made:
    path = project.write(".mlpipe/new.csv", text)
    return Made(path=path, place=project.root / "data/data.csv", label="data/data.csv")


def test_a_lock_is_waited_for(project: Project) -> None:
    project.prepare()
    project.write("rows.csv", project.rows + "60,99,1\n")
    with locked(project) as other:
        assert other.stdin
        threading.Timer(0.7, other.stdin.close).start()
        project.prepare()
    assert project.dvc("status") == "Data and pipelines are up to date.\n"


def test_a_lock_that_stays_is_reported_and_the_next_run_goes_on(project: Project) -> None:
    project.prepare()
    more = project.rows + "60,99,1\n"
    with locked(project), pytest.raises(StageError, match="another DVC process has locked"):
        version([fresh(project, more)], project.root, project.root / ".mlpipe", patience=0.1)
    assert (project.root / "data/data.csv").read_text() == project.rows
    project.prepare()
    assert (project.root / "data/data.csv").read_text() == project.rows
    assert project.dvc("status") == "Data and pipelines are up to date.\n"


def test_a_killed_run_leaves_what_the_next_one_can_go_on_from(bare_project: Project) -> None:
    """Kill a process that prepares ever new data, at several points, without a warning."""
    module = bare_project.module(
        """
        import itertools, pathlib, sys
        import pandas
        from mlpipe.testing.stages import make_stage
        from mlpipe_dvc import prepare
        from mlpipe_dvc.config import PrepareConfig

        start = int(sys.argv[1])
        numbers = itertools.count(start)

        def extract():
            return pandas.DataFrame({"x": range(next(numbers), start + 50_000)})

        def run_for_ever():
            split = {"train": 0.5, "test": 0.5}
            config = PrepareConfig(source=f"{__name__}:extract", output="data", split=split)
            stage = make_stage(pathlib.Path.cwd(), "prepare").stage
            for _ in itertools.count():
                prepare(config, stage)
                print("one more", file=sys.stderr, flush=True)
        """
    )
    for start, delay in ((1000, 0.03), (2000, 0.06), (3000, 0.1)):
        with subprocess.Popen(
            [sys.executable, "-c", f"import {module}; {module}.run_for_ever()", str(start)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr
            assert any("one more" in line for line in process.stderr)
            time.sleep(delay)
            process.kill()
    bare_project.prepare(split={"train": 0.5, "test": 0.5})
    assert bare_project.dvc("status") == "Data and pipelines are up to date.\n"
    assert "in sync" in bare_project.dvc("status", "--cloud")
    left = sorted(path.name for path in (bare_project.root / "data").iterdir())
    assert left == ["test.csv", "test.csv.dvc", "train.csv", "train.csv.dvc"]


def test_two_first_runs_at_once_share_one_repository(bare_project: Project) -> None:
    code = (
        "import sys; from pathlib import Path; from mlpipe.testing.stages import make_stage;"
        "from mlpipe_dvc import PrepareConfig, prepare; name = sys.argv[1];"
        "stage = make_stage(Path.cwd(), 'prepare', name=name).stage;"
        "prepare(PrepareConfig(source='rows.csv', output=name), stage)"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, name], stdout=subprocess.DEVNULL)
        for name in ("one", "two")
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    assert bare_project.dvc("status") == "Data and pipelines are up to date.\n"
    assert "in sync" in bare_project.dvc("status", "--cloud")
