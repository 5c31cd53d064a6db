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
    return index.known([path.stat() for path in paths])


def test_a_file_is_known_until_it_changes(tmp_path: Path, index: Index) -> None:
    file = written(tmp_path / "a", "one")
    index.remember([(file.stat(), ONE)], time.time_ns())
    assert known(index, file) == [ONE]
    moved = file.rename(tmp_path / "b")
    index.remember([(moved.stat(), ONE)], time.time_ns())
    assert known(index, moved) == [ONE]
    written(moved, "two")  # as large, and as old, as before
    assert known(index, moved) == [None]


def test_a_file_that_was_just_written_is_not_trusted(tmp_path: Path, index: Index) -> None:
    """It may be written again within the same tick of the file system's clock."""
    file = written(tmp_path / "a", "one", at=None)
    assert digest_all(scan(str(tmp_path), ""), index)["a"] == ONE
    assert known(index, file) == [None]
    many = tmp_path / "many"
    for number in range(150):
        written(many / str(number), "one", at=None if number == 149 else PAST)
    files = scan(str(many), "")
    digest_all(files, index)
    statuses = list(files.statuses.values())
    assert index.known_set(statuses) is None
    assert index.known(statuses).count(None) == 1


def test_an_edit_within_one_tick_is_seen(tmp_path: Path, index: Index) -> None:
    file = written(tmp_path / "data/a", "one", at=None)
    first = file.stat()
    assert digest_all(scan(str(file.parent), ""), index) == {"a": ONE}
    file.write_text("two")
    os.utime(file, ns=(first.st_atime_ns, first.st_mtime_ns))
    assert digest_all(scan(str(file.parent), ""), index) == {"a": TWO}


def test_many_files_are_known_as_a_set(tmp_path: Path, index: Index) -> None:
    folder = tmp_path / "data"
    for number in range(150):
        written(folder / f"{number % 3}/{number}", str(number))
    files = scan(str(folder), "")
    first = digest_all(files, index)
    assert index.known_set(list(files.statuses.values())) == list(first.values())
    written(folder / "1/1", "!")
    again = digest_all(scan(str(folder), ""), index)
    assert {name for name in first if first[name] != again[name]} == {"1/1"}
    (folder / "0/0").unlink()
    assert len(digest_all(scan(str(folder), ""), index)) == 149


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + b"x" * 4096])
def test_a_damaged_index_is_thrown_away(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(damage)
    file = written(tmp_path / "a", "one")
    for _ in range(2):
        digest_all(Files({"a": str(file)}, {"a": file.stat()}), Index(path))
    assert known(Index(path), file) == [ONE]


def test_an_index_of_another_form_is_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE files (something_else)")
    connection.close()
    file = written(tmp_path / "a", "one")
    for _ in range(2):
        digest_all(Files({"a": str(file)}, {"a": file.stat()}), Index(path))
    assert known(Index(path), file) == [ONE]


def test_an_index_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = written(tmp_path / "a", "one")
    index = Index(tmp_path / "file/index.db")
    assert digest_all(Files({"a": str(file)}, {"a": file.stat()}), index) == {"a": ONE}


def test_several_at_once_share_an_index(tmp_path: Path, index: Index) -> None:
    files = [written(tmp_path / str(number), str(number)) for number in range(40)]

    def remember(part: int) -> None:
        for file in files[part::4]:
            index.remember([(file.stat(), f"{int(file.name):032x}")], time.time_ns())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(remember, range(4)))
    assert known(index, *files) == [f"{number:032x}" for number in range(40)]


def test_large_files_are_read_whole(tmp_path: Path, index: Index) -> None:
    for letter in "abc":
        written(tmp_path / "large" / letter, letter * 3_000_000)
    assert digest_all(scan(str(tmp_path / "large"), ""), index) == {
        letter: hashlib.md5(letter.encode() * 3_000_000).hexdigest() for letter in "abc"
    }


def test_listings_are_read_back() -> None:
    digests = {"b/ü.jpg": ONE, "a": TWO}
    data = listing.write(digests)
    assert [each["relpath"] for each in json.loads(data)] == ["a", "b/ü.jpg"]
    assert listing.read(data) == digests
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
