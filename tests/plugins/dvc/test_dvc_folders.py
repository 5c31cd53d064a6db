"""Data sets of files that are no tables, as images in folders."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlpipe import Artifact, StageResult
from mlpipe.errors import GateMissed, StageError
from mlpipe_dvc.ledger import Ledger

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project

HALVES = {"train": 0.5, "test": 0.5}


@pytest.fixture
def photos(bare_project: Project) -> Project:
    """A project with twenty photos of cats and ten of dogs."""
    for animal, count in (("cat", 20), ("dog", 10)):
        for number in range(count):
            bare_project.write(f"photos/{animal}/{number:02}.jpg", f"{animal} {number}")
    return bare_project


def run(project: Project, **settings: Any) -> StageResult:
    return project.prepare(**{"source": "photos/", **settings})


def tree(folder: str) -> dict[str, str]:
    root = Path(folder)
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix == ".jpg"
    }


def test_files_are_versioned_as_a_folder(photos: Project) -> None:
    result = run(photos)
    assert tree("data") == tree("photos")
    size = sum(len(text) for text in tree("photos").values())
    assert result.metrics == {"files": 30, "bytes": size}
    assert result.values["files"] == 30
    data = result.outputs["data"]
    assert isinstance(data, Artifact)
    assert (data.location, data.size) == ("data", size)
    assert data.digest.endswith(".dir")
    assert photos.dvc("status") == "Data and pipelines are up to date.\n"
    (entry,) = Ledger(photos.root / ".mlpipe").versions()
    assert (entry.label, entry.files, entry.description) == ("data", 30, None)


@pytest.mark.parametrize("source", ["photos/**/*.jpg", {"glob": "photos/*/*", "format": "files"}])
def test_a_glob_of_files_is_the_same(photos: Project, source: object) -> None:
    run(photos, source=source)
    assert tree("data") == tree("photos")


def test_a_stratified_split_goes_by_folder(photos: Project) -> None:
    result = run(photos, split={**HALVES, "method": "stratified", "by": "folder"})
    train, test = tree("data/train"), tree("data/test")
    assert sorted({**train, **test}) == sorted(tree("photos"))
    for part in (train, test):
        assert sum(name.startswith("cat/") for name in part) == 10
        assert sum(name.startswith("dog/") for name in part) == 5
    assert {name: result.metrics[name] for name in ("train.files", "test.files")} == {
        "train.files": 15,
        "test.files": 15,
    }
    assert photos.dvc("status") == "Data and pipelines are up to date.\n"


def test_a_group_split_keeps_a_folder_in_one_part(photos: Project) -> None:
    run(photos, split={**HALVES, "method": "group", "by": "folder"})
    animals = [{name.split("/")[0] for name in tree(f"data/{part}")} for part in HALVES]
    assert sorted(map(len, animals)) == [1, 1]


def test_a_second_run_changes_nothing(photos: Project) -> None:
    first = run(photos, split=HALVES)
    before = photos.files()
    assert run(photos, split=HALVES).outputs["train"] == first.outputs["train"]
    assert photos.files() == before


def test_functions_scripts_and_links_make_new_files(photos: Project) -> None:
    module = photos.module(
        """
        import shutil
        from pathlib import Path

        def upper(source, target, only):
            assert isinstance(source, Path)
            for path in source.rglob(f"{only}/*.jpg"):
                place = target / path.relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(path.read_text().upper())
        """
    )
    photos.write(
        "thin.py",
        "import os, pathlib, sys\n"
        "given = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
        "source, target = pathlib.Path(given['--input']), pathlib.Path(given['--output'])\n"
        "for path in sorted(source.rglob('*.jpg'))[: int(given['--keep'])]:\n"
        "    os.link(path, target / path.name)\n",
    )
    steps = [
        {"function": f"{module}:upper", "args": {"only": "cat"}},
        {"script": "thin.py", "args": {"keep": 3}},
    ]
    run(photos, steps=steps)
    assert tree("data") == {f"{number:02}.jpg": f"CAT {number}" for number in range(3)}
    assert tree("photos")["cat/00.jpg"] == "cat 0"


def test_a_step_that_writes_no_file_is_named(photos: Project) -> None:
    module = photos.module("def nothing(source, target):\n    pass\n")
    with pytest.raises(StageError, match=f"{module}:nothing: the folder holds no file"):
        run(photos, steps=[f"{module}:nothing"])
    assert not (photos.root / "data").exists()


def test_checks_are_given_the_files_by_name(photos: Project) -> None:
    module = photos.module(
        """
        def check(files):
            assert files["cat/00.jpg"].read_text() == "cat 0"
            return [f"{name} is of a dog" for name in files if name == "dog/03.jpg"]
        """
    )
    with pytest.raises(GateMissed, match=r"dog/03\.jpg is of a dog"):
        run(photos, checks=f"{module}:check")
    assert not (photos.root / "data").exists()


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"format": "parquet"}, "format is of tables, and these are files that are none"),
        ({"stream": True}, "stream is of tables"),
        ({"split": {**HALVES, "method": "time", "by": "day"}}, "files have no time"),
        ({"split": {**HALVES, "method": "group", "by": "user"}}, 'files have no column "user"'),
    ],
)
def test_what_only_tables_have_is_refused(
    photos: Project, settings: dict[str, Any], what: str
) -> None:
    with pytest.raises(StageError, match=what):
        run(photos, **settings)
    assert not (photos.root / "data").exists()


def test_files_are_not_copied_to_be_prepared(photos: Project) -> None:
    """What is in place is a link or reflink of the cache's object, and the source is as it was."""
    before = {path: path.stat().st_mtime_ns for path in (photos.root / "photos").rglob("*.jpg")}
    run(photos)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    digests = {hashlib.md5(text.encode()).hexdigest() for text in tree("photos").values()}
    cached = {
        path.parent.name + path.name
        for path in (photos.root / ".dvc/cache/files/md5").rglob("*")
        if path.is_file() and path.suffix != ".dir"
    }
    assert cached == digests
