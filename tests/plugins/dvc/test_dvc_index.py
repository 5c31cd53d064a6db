"""The index of known files, and what DVC leaves half-written when it is killed."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlpipe_dvc.tracking import listing
from mlpipe_dvc.tracking.index import Index
from mlpipe_dvc.tracking.reading import digest_all, scan
from mlpipe_dvc.tracking.values import Files, Made
from mlpipe_dvc.tracking.versioning import version

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project

ONE = "f97c5d29941bfb1b2fdab0874906ab82"  # MD5 of "one"
TWO = "b8a9f715dbb64fd5c56e7783c6820a61"  # MD5 of "two"
PAST = 1_700_000_000_000_000_000


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "state/index.db")


def written(path: Path, text: str, *, at: int | None = PAST) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if at is not None:
        os.utime(path, ns=(at, at))
    return path


def known(index: Index, *paths: Path) -> list[str | None]:
    return index.known("data", [path.stat() for path in paths])


def digests(index: Index, folder: Path) -> dict[str, str]:
    return digest_all(scan(str(folder), ""), "data", index)


def of_one(index: Index, file: Path) -> dict[str, str]:
    return digest_all(Files({"a": str(file)}, {"a": file.stat()}), "data", index)


def test_a_file_is_known_until_it_changes(tmp_path: Path, index: Index) -> None:
    file = written(tmp_path / "a", "one")
    index.remember("data", [(file.stat(), ONE)], time.time_ns())
    assert known(index, file) == [ONE]
    moved = file.rename(tmp_path / "b")
    index.remember("data", [(moved.stat(), ONE)], time.time_ns())
    assert known(index, moved) == [ONE]
    written(moved, "two")  # as large, and as old, as before
    assert known(index, moved) == [None]


def test_a_file_that_was_just_written_is_not_trusted(tmp_path: Path, index: Index) -> None:
    """It may be written again within the same tick of the file system's clock."""
    folder = tmp_path / "data"
    new, old = written(folder / "a", "one", at=None), written(folder / "b", "one")
    assert digests(index, folder) == {"a": ONE, "b": ONE}
    assert known(index, new, old) == [None, ONE]


def test_an_edit_within_one_tick_is_seen(tmp_path: Path, index: Index) -> None:
    file = written(tmp_path / "data/a", "one", at=None)
    first = file.stat()
    assert digests(index, file.parent) == {"a": ONE}
    file.write_text("two")
    os.utime(file, ns=(first.st_atime_ns, first.st_mtime_ns))
    assert digests(index, file.parent) == {"a": TWO}


def test_a_file_whose_times_were_set_back_is_seen(tmp_path: Path, index: Index) -> None:
    file = written(tmp_path / "data/a", "one")
    assert digests(index, file.parent) == {"a": ONE}
    assert known(index, file) == [ONE]
    written(file, "two")
    assert digests(index, file.parent) == {"a": TWO}


def test_what_is_known_of_many_files_outlives_a_change_of_some(
    tmp_path: Path, index: Index
) -> None:
    folder = tmp_path / "data"
    for number in range(150):
        written(folder / f"{number % 3}/{number}", str(number))
    first = digests(index, folder)
    assert digests(index, folder) == first
    before = scan(str(folder), "").statuses
    written(folder / "1/1", "!")
    (folder / "0/0").unlink()
    after = scan(str(folder), "").statuses
    assert index.known("data", [after[name] for name in after]).count(None) == 1
    again = digests(index, folder)
    assert {name for name in again if first[name] != again[name]} == {"1/1"}
    assert None not in index.known("data", [after[name] for name in after])
    assert index.known("another", list(before.values())) == [None] * 150


def test_an_index_does_not_grow_for_ever(tmp_path: Path, index: Index) -> None:
    files = [written(tmp_path / "data" / str(number), "one") for number in range(1_500)]
    for start in range(0, len(files), 100):
        index.vouch("data", [(file.stat(), ONE) for file in files[start : start + 100]])
    assert known(index, *files) == [None] * 400 + [ONE] * 1_100


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + b"x" * 4096])
def test_a_damaged_index_is_thrown_away(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(damage)
    file = written(tmp_path / "a", "one")
    for _ in range(2):
        of_one(Index(path), file)
    assert known(Index(path), file) == [ONE]


def test_an_index_of_another_form_is_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE folders (something_else)")
    connection.close()
    file = written(tmp_path / "a", "one")
    for _ in range(2):
        of_one(Index(path), file)
    assert known(Index(path), file) == [ONE]


def test_an_index_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = written(tmp_path / "a", "one")
    index = Index(tmp_path / "file/index.db")
    assert of_one(index, file) == {"a": ONE}


def test_several_at_once_share_an_index(tmp_path: Path, index: Index) -> None:
    files = [written(tmp_path / str(number), str(number)) for number in range(40)]

    def remember(part: int) -> None:
        for file in files[part::4]:
            index.remember("data", [(file.stat(), f"{int(file.name):032x}")], time.time_ns())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(remember, range(4)))
    assert known(index, *files) == [f"{number:032x}" for number in range(40)]


def test_large_files_are_read_whole(tmp_path: Path, index: Index) -> None:
    for letter in "abc":
        written(tmp_path / "large" / letter, letter * 3_000_000)
    assert digests(index, tmp_path / "large") == {
        letter: hashlib.md5(letter.encode() * 3_000_000).hexdigest() for letter in "abc"
    }


def test_listings_are_read_back() -> None:
    files = {"b/ü.jpg": ONE, "a": TWO}
    data = listing.write(files)
    assert [each["relpath"] for each in json.loads(data)] == ["a", "b/ü.jpg"]
    assert listing.read(data) == files
    assert [listing.read(each) for each in (b"", b"{}", b"[1]", b'[{"md5": "x"}]')] == [
        None,
        {},
        None,
        None,
    ]


# -- locks -----------------------------------------------------------------------------------


def track(project: Project, text: str) -> None:
    made = Made(project.write(".mlpipe/a.csv", text), project.root / "data/a.csv", "data/a.csv")
    version([made], project.root, project.root / ".mlpipe", patience=0.1)


@pytest.mark.parametrize("torn", ["", '{"write": {"/x', "[]", '{"write": {"x": {}}}', "null"])
def test_a_torn_list_of_locks_is_removed(project: Project, torn: str) -> None:
    """DVC leaves one when it is killed, and then refuses every command."""
    track(project, "1\n")
    project.write(".dvc/tmp/rwlock", torn)
    track(project, "2\n")
    assert project.dvc("status") == "Data and pipelines are up to date.\n"
