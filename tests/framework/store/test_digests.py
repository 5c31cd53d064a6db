"""Digests of files and folders."""

import hashlib
import os
from pathlib import Path

import pytest
from dvc_data.hashfile.build import build
from dvc_data.hashfile.db.local import LocalHashFileDB
from dvc_objects.fs.local import localfs

from mlpipe.store.digests import digest_path, size_of, status, walk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files whose order by name differs from that by folders, and links of all sorts."""
    top = tmp_path / "data"
    for name in ("a-b/f", "a/f", "a/c/d", "a.b", "größer", "z", "a/b-1/x", "empty"):
        file = top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("" if name == "empty" else name)
    (top / "link").symlink_to("z")
    (top / "folder").symlink_to("a")
    return top


def test_a_files_digest_is_of_its_bytes(tmp_path: Path) -> None:
    for size in (0, 1, (1 << 16) - 1, 1 << 16, 3_000_000):
        file = tmp_path / str(size)
        file.write_bytes(b"x" * size)
        for algorithm in ("sha256", "md5"):
            expected = hashlib.new(algorithm, b"x" * size).hexdigest()
            assert digest_path(file, algorithm) == f"{algorithm}:{expected}"


def test_a_folders_md5_is_dvcs(tmp_path: Path, folder: Path) -> None:
    cache = LocalHashFileDB(localfs, str(tmp_path / "cache"))  # type: ignore[no-untyped-call]
    _, _, tree = build(cache, str(folder), localfs, "md5", dry_run=True)
    assert tree.hash_info is not None
    assert digest_path(folder, "md5") == f"md5:{tree.hash_info.value}"
    assert digest_path(folder, "md5").endswith(".dir")


def test_files_come_in_the_order_of_their_folders(folder: Path) -> None:
    found = [file.relative_to(folder).as_posix() for file in walk(folder)]
    assert found == [
        "a/b-1/x", "a/c/d", "a/f", "a-b/f", "a.b", "empty", "größer", "link", "z",
    ]  # fmt: skip
    lines = "".join(
        f"{name}\0sha256:{hashlib.sha256((folder / name).read_bytes()).hexdigest()}\n"
        for name in found
    )
    assert digest_path(folder) == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def test_a_folders_size_is_that_of_its_files(folder: Path) -> None:
    assert size_of(folder) == sum(file.stat().st_size for file in walk(folder))
    assert size_of(folder / "z") == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "a/c/d").write_text("another text"),
        lambda top: (top / "a/c/new").write_text(""),
        lambda top: (top / "empty").unlink(),
        lambda top: (top / "a/f").rename(top / "a/g"),
        lambda top: os.utime(top / "z", ns=(1, 1)),
    ],
)
def test_a_folders_status_changes_with_any_file(folder: Path, change: object) -> None:
    before = status(folder)
    assert status(folder) == before
    assert callable(change)
    change(folder)
    assert status(folder) != before


def test_a_link_that_leads_nowhere_has_no_status_and_no_digest(folder: Path) -> None:
    (folder / "broken").symlink_to("nowhere")
    assert status(folder / "broken") is None
    assert status(folder) == status(folder)
    with pytest.raises(FileNotFoundError):
        digest_path(folder)


def test_a_name_that_is_no_text_is_digested(folder: Path) -> None:
    before = digest_path(folder)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).touch()
    assert status(folder) is not None
    assert digest_path(folder) != before
    assert digest_path(folder, "md5").endswith(".dir")
