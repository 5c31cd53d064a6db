"""Packing the same way each time, and taking apart nothing that does harm."""

import gzip
import io
import os
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpipe_scriptmode import ModelFailure, facts_of, pack, unpack


def make_model(folder: Path) -> tuple[Path, dict[str, Path]]:
    """Make a model's folder and its code."""
    model = folder / "model"
    (model / "deep" / "er").mkdir(parents=True)
    (model / "weights.bin").write_bytes(bytes(range(256)) * 40)
    (model / "deep" / "er" / "ümlaut.txt").write_text("x")
    script = folder / "train.py"
    script.write_text("def model_fn(folder): ...\n")
    return model, {"train.py": script, "pkg/part.py": script}


def tree(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def archive_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """Write an archive that holds exactly these members."""
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            info.size = len(content) if info.isreg() else info.size
            tar.addfile(info, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_what_is_packed_comes_out_again(tmp_path: Path) -> None:
    model, sources = make_model(tmp_path)
    pack(model, sources, "train.py", tmp_path / "model.tar.gz")
    assert unpack(tmp_path / "model.tar.gz", tmp_path / "out") == tmp_path / "out"
    assert tree(tmp_path / "out") == {
        "weights.bin": bytes(range(256)) * 40,
        "deep/er/ümlaut.txt": b"x",
        "code/train.py": b"def model_fn(folder): ...\n",
        "code/pkg/part.py": b"def model_fn(folder): ...\n",
        "mlpipe.json": b'{"program": "train.py"}',
    }


def test_same_content_gives_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for number, folder in enumerate((first, second)):
        folder.mkdir()
        model, sources = make_model(folder)
        for path in model.rglob("*"):
            os.utime(path, (number * 1e9, number * 1e9))
        (model / "weights.bin").chmod(0o600 if number else 0o755)
        pack(model, dict(sorted(sources.items(), reverse=bool(number))), "train.py", folder / "a")
    assert (first / "a").read_bytes() == (second / "a").read_bytes()


def test_an_archive_says_what_it_is_told(tmp_path: Path) -> None:
    model, sources = make_model(tmp_path)
    data = {"train": "sha256:00", "validation": "md5:11"}
    archives = [tmp_path / f"{number}.tar.gz" for number in range(4)]
    pack(model, sources, "train.py", archives[0])
    pack(model, sources, "train.py", archives[1], {})
    pack(model, sources, "train.py", archives[2], {"zone": 1, "data": data, "program": "other.py"})
    pack(model, sources, "train.py", archives[3], {"data": dict(reversed(data.items())), "zone": 1})
    content = [each.read_bytes() for each in archives]
    assert content[0] == content[1] != content[2]
    assert content[2] == content[3]
    found = facts_of(unpack(archives[2], tmp_path / "out"))
    assert found == {"program": "train.py", "data": data, "zone": 1}
    assert facts_of(unpack(archives[0], tmp_path / "plain")) == {"program": "train.py"}


def test_what_an_archive_of_others_says(tmp_path: Path) -> None:
    assert facts_of(tmp_path) == {}
    for text in ("{", "[]", "\udcff"):
        (tmp_path / "mlpipe.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(ModelFailure, match=r"mlpipe\.json"):
            facts_of(tmp_path)


def test_archive_says_nothing_of_the_machine(tmp_path: Path) -> None:
    model, sources = make_model(tmp_path)
    pack(model, sources, "train.py", tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        members = tar.getmembers()
    facts = {(each.mtime, each.uid, each.gid, each.uname, each.gname) for each in members}
    assert facts == {(0, 0, 0, "", "")}
    assert [each.name for each in members] == sorted(each.name for each in members)
    assert (tmp_path / "a.tar.gz").read_bytes()[4:8] == bytes(4)  # gzip's own time


def test_empty_folders_and_linked_files_are_kept(tmp_path: Path) -> None:
    model, sources = make_model(tmp_path)
    (model / "assets").mkdir()
    (model / "latest.bin").symlink_to("weights.bin")
    pack(model, sources, "train.py", tmp_path / "a.tar.gz")
    out = unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert (out / "assets").is_dir()
    assert (out / "latest.bin").read_bytes() == (model / "weights.bin").read_bytes()
    assert not (out / "latest.bin").is_symlink()


def test_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    model, sources = make_model(tmp_path)
    (model / "lost").symlink_to("nothing")
    with pytest.raises(ModelFailure, match="lost"):
        pack(model, sources, "train.py", tmp_path / "a.tar.gz")


def test_program_must_be_among_the_sources(tmp_path: Path) -> None:
    model, sources = make_model(tmp_path)
    with pytest.raises(ModelFailure, match=r"other\.py"):
        pack(model, sources, "other.py", tmp_path / "a.tar.gz")


HARMFUL = {
    "parent": member("../outside.txt"),
    "deep parent": member("a/../../outside.txt"),
    "symbolic link": member("link", tarfile.SYMTYPE, "/etc"),
    "link within": member("link", tarfile.SYMTYPE, "weights.bin"),
    "hard link": member("link", tarfile.LNKTYPE, "../outside.txt"),
    "pipe": member("pipe", tarfile.FIFOTYPE),
    "character device": member("null", tarfile.CHRTYPE),
    "block device": member("disk", tarfile.BLKTYPE),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_harmful_members_are_refused(name: str, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.tar.gz", (HARMFUL[name], b"x"))
    with pytest.raises(ModelFailure):
        unpack(archive, tmp_path / "in" / "out")
    assert not (tmp_path / "in" / "outside.txt").exists()
    assert not list((tmp_path / "in" / "out").iterdir())


def test_absolute_paths_are_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.tar.gz", (member(str(tmp_path / "outside.txt")), b"x"))
    with pytest.raises(ModelFailure, match=r"outside\.txt is outside of the folder"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "outside.txt").exists()


def test_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.tar.gz"
    info = member("zeros.bin")
    info.size = 3 << 30
    zeros = bytes(1 << 20)
    with gzip.open(archive, "wb", 1) as stream:
        stream.write(info.tobuf())
        for _ in range(8):
            stream.write(zeros)
    with pytest.raises(ModelFailure, match="more than"):
        unpack(archive, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.tar.gz"
    info = member("././@PaxHeader", tarfile.XHDTYPE)
    info.size = 64 << 20
    with gzip.open(archive, "wb", 1) as stream:
        stream.write(info.tobuf())
        stream.write(bytes(64 << 20))
    with pytest.raises(ModelFailure, match="header"):
        unpack(archive, tmp_path / "out")


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.tar.gz", "wb", 1) as stream:
        stream.write(member("folder", tarfile.DIRTYPE).tobuf() * 100_001)
    with pytest.raises(ModelFailure, match="more than 100,000 files"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", b"\x1f\x8b", gzip.compress(b"no tar"), b"PK\x03\x04" + bytes(100)],
    ids=["empty", "text", "cut", "no tar", "zip"],
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(ModelFailure, match=r"a\.tar\.gz"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, bytes]]:
    """An archive and its content, most of it noise that compression leaves as it is."""
    folder = tmp_path_factory.mktemp("sound")
    model, sources = make_model(folder)
    (model / "noise.bin").write_bytes(random.Random(0).randbytes(20_000))
    pack(model, sources, "train.py", folder / "a.tar.gz")
    content = tree(unpack(folder / "a.tar.gz", folder / "out"))
    return (folder / "a.tar.gz").read_bytes(), content


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_archives_are_refused_or_right(
    sound: tuple[bytes, dict[str, bytes]],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    whole, content = sound
    folder = tmp_path_factory.mktemp("damaged")
    damaged = bytearray(whole)
    if data.draw(st.booleans()):
        damaged[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        del damaged[data.draw(st.integers(0, len(whole) - 1)) :]
    (folder / "a").write_bytes(damaged)
    try:
        unpack(folder / "a", folder / "out")
    except ModelFailure:
        return
    assert tree(folder / "out") == content


def test_changed_byte_within_a_file_is_noticed(
    sound: tuple[bytes, dict[str, bytes]], tmp_path: Path
) -> None:
    damaged = bytearray(sound[0])
    damaged[len(damaged) // 2] ^= 255
    (tmp_path / "a").write_bytes(damaged)
    with pytest.raises(ModelFailure, match="CRC"):
        unpack(tmp_path / "a", tmp_path / "out")
