"""Anonymous outputs are stored by digest, once, and placed without a copy where possible."""

import os
from pathlib import Path

import pytest

from mlpipe.store.artifacts import ArtifactStore
from mlpipe.store.digests import digest_path, status


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path, tmp_path / ".mlpipe" / "artifacts")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_taking_moves_the_file_and_keeps_its_name(store: ArtifactStore, tmp_path: Path) -> None:
    staged = write(tmp_path / "staging" / "model.tar.gz", "bytes")
    digest, stored, size = store.take(staged)
    assert not staged.exists()
    assert (stored.name, stored.read_text(), size) == ("model.tar.gz", "bytes", 5)
    assert digest == digest_path(stored)


def test_the_same_bytes_are_stored_once(store: ArtifactStore, tmp_path: Path) -> None:
    first = store.take(write(tmp_path / "a" / "x", "same"))
    inode = first[1].stat().st_ino
    second = store.take(write(tmp_path / "b" / "x", "same"))
    assert second == first
    assert second[1].stat().st_ino == inode


def test_a_damaged_object_is_replaced(store: ArtifactStore, tmp_path: Path) -> None:
    digest, stored, _ = store.take(write(tmp_path / "a" / "x", "good"))
    stored.chmod(0o644)
    stored.write_text("evil")
    assert store.take(write(tmp_path / "b" / "x", "good"))[0] == digest
    assert stored.read_text() == "good"


def test_placing_shares_the_bytes_and_replaces_what_is_there(
    store: ArtifactStore, tmp_path: Path
) -> None:
    _, stored, _ = store.take(write(tmp_path / "a" / "x.csv", "new"))
    write(tmp_path / "data" / "x.csv", "old")
    placed = store.place(stored, "data/x.csv")
    assert placed.read_text() == "new"
    assert store.place(stored, "data/x.csv").read_text() == "new"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["x.csv"]


def test_folders_are_stored_and_placed(store: ArtifactStore, tmp_path: Path) -> None:
    write(tmp_path / "s" / "tree" / "a.txt", "a")
    write(tmp_path / "s" / "tree" / "deep" / "b.txt", "b")
    digest, stored, size = store.take(tmp_path / "s" / "tree")
    placed = store.place(stored, "out/tree")
    assert (digest_path(placed), size) == (digest, 2)
    write(tmp_path / "s" / "tree" / "c.txt", "c")
    _, other, _ = store.take(tmp_path / "s" / "tree")
    assert [path.name for path in store.place(other, "out/tree").iterdir()] == ["c.txt"]


def test_the_digest_of_a_folder_depends_on_names_and_bytes_only(tmp_path: Path) -> None:
    for folder, names in (("one", ["a", "b"]), ("two", ["b", "a"])):
        for name in names:
            write(tmp_path / folder / name, name)
    assert digest_path(tmp_path / "one") == digest_path(tmp_path / "two")
    (tmp_path / "two" / "a").rename(tmp_path / "two" / "c")
    assert digest_path(tmp_path / "one") != digest_path(tmp_path / "two")


def test_status_changes_with_any_file_of_a_folder(tmp_path: Path) -> None:
    file = write(tmp_path / "tree" / "deep" / "a", "1")
    before = status(tmp_path / "tree")
    assert status(tmp_path / "tree") == before
    os.utime(file, ns=(1, 1))
    assert status(tmp_path / "tree") != before
    assert status(tmp_path / "nothing") is None
