"""``model.tar.gz``: made the same from the same files, taken apart safely."""

import gzip
import io
import json
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

from mlpipe_scriptmode.bounded import BoundedGzipFile, OutOfBounds
from mlpipe_scriptmode.errors import ModelFailure

MANIFEST = "mlpipe.json"
_CODE = "code"
_MAX_MEMBERS = 100_000
#: Weights hardly shrink, texts some ten times; what shrinks more is made to fill the disk.
_MAX_RATIO = 100
_SMALL = 1 << 30
_MAX_BYTES = 64 << 30
#: zlib's own default. Level 9 takes several times as long for some percent.
_LEVEL = 6


def pack(
    model_dir: Path,
    sources: Mapping[str, Path],
    program: str,
    archive: Path,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Make a model's archive: byte-identical for the same content.

    Args:
        model_dir: What training left in ``SM_MODEL_DIR``. Links to files become files.
        sources: Files of the code, by path below ``code/``.
        program: The entry script, one of ``sources``.
        archive: The file to write.
        facts: JSON that the archive says of itself, beside its program; see ``facts_of``.

    Raises:
        ModelFailure: ``program`` is not among the sources, or the folder holds what no
            archive can hold, as a socket or a link that leads nowhere.
    """
    if program not in sources:
        raise ModelFailure(f'the program "{program}" is not among the sources')
    entries: dict[str, Path | bytes | None] = dict(_contents(model_dir))
    entries.update((f"{_CODE}/{name}", path) for name, path in sources.items())
    entries[MANIFEST] = json.dumps({**(facts or {}), "program": program}, sort_keys=True).encode()
    _write(entries, archive)


def pack_folder(folder: Path, archive: Path) -> None:
    """Make an archive of a folder's content, as ``output.tar.gz``: the same bytes each time.

    Raises:
        ModelFailure: The folder holds what no archive can hold.
    """
    _write(dict(_contents(folder)), archive)


def pack_files(files: Mapping[str, Path | bytes], archive: Path) -> None:
    """Make an archive of files by name: the same bytes for the same names and contents."""
    _write(files, archive)


def _contents(folder: Path) -> dict[str, Path | None]:
    """Give all files by relative path, and folders that are empty with ``None``."""
    found: dict[str, Path | None] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            found[name] = path
        elif path.is_symlink() or not path.is_dir():
            raise ModelFailure(f"{name} is neither file nor folder, and cannot be packed")
        elif not any(path.iterdir()):
            found[name] = None
    return found


def _write(entries: Mapping[str, Path | bytes | None], archive: Path) -> None:
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(entries):
            _add(tar, name, entries[name])


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes | None) -> None:
    """Add a member that is known by name and content alone: no times, owners or modes."""
    member = tarfile.TarInfo(name)
    if content is None:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(member)
        return
    with ExitStack() as stack:
        stream = (
            io.BytesIO(content)
            if isinstance(content, bytes)
            else stack.enter_context(content.open("rb"))
        )
        member.size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        tar.addfile(member, stream)


def unpack(archive: Path, into: Path) -> Path:
    """Take a model's archive apart.

    Only files and folders within ``into`` are made: no links, devices, absolute paths or ``..``.
    When it fails, ``into`` may hold a part.

    Args:
        archive: A ``model.tar.gz``.
        into: A folder that does not exist, or is empty.

    Returns:
        The model's folder, which is ``into``.

    Raises:
        ModelFailure: It is no such archive, or holds what could do harm.
    """
    into.mkdir(parents=True, exist_ok=True)
    try:
        limit = min(max(archive.stat().st_size * _MAX_RATIO, _SMALL), _MAX_BYTES)
        with (
            BoundedGzipFile(archive, limit) as stream,
            tarfile.open(fileobj=stream, mode="r:") as tar,
        ):
            _extract(tar, into, limit)
            stream.verify()
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise ModelFailure(f"{archive} is no model archive: {error}") from error
    return into


def _extract(tar: tarfile.TarFile, into: Path, limit: int) -> None:
    total = 0
    for count, member in enumerate(tar, 1):
        total += member.size
        if not (member.isfile() or member.isdir()):
            raise OutOfBounds(f"{member.name} is neither file nor folder")
        if total > limit:
            raise OutOfBounds(f"it holds more than {limit:,} bytes")
        if count > _MAX_MEMBERS:
            raise OutOfBounds(f"it holds more than {_MAX_MEMBERS:,} files")
        _make(tar, member, into)


def _make(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    """Make one file or folder. As no links are ever made, its name alone says where it goes.

    ``tarfile``'s own data filter came with Python 3.11.4, and 3.11.2 is still about.
    """
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise OutOfBounds(f"{member.name} is outside of the folder")
    target = into / name
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    if content is None:
        raise OutOfBounds(f"{member.name} has no content")
    with content, target.open("wb") as stream:
        shutil.copyfileobj(content, stream)


def program_of(folder: Path) -> str:
    """Name the entry script of an unpacked model.

    An archive that mlpipe did not make has no manifest: ``inference.py`` is taken, or the only
    script there is.

    Raises:
        ModelFailure: There is none, or more than one.
    """
    program = _manifest(folder).get("program")
    if program is not None:
        if not isinstance(program, str) or not _is_within(folder / _CODE, program):
            raise ModelFailure(f"{MANIFEST} names {program!r} as program, no file of {_CODE}/")
        return program
    scripts = sorted(path.name for path in (folder / _CODE).glob("*.py"))
    if "inference.py" in scripts:
        return "inference.py"
    if len(scripts) != 1:
        found = ", ".join(scripts) or "none"
        raise ModelFailure(f"the model has no {_CODE}/inference.py; its scripts: {found}")
    return scripts[0]


def facts_of(folder: Path) -> Mapping[str, object]:
    """Give what an unpacked model's archive says of itself; nothing where mlpipe did not make it.

    Training writes ``data``: the digest of each channel's bytes, by the channel's name.

    Raises:
        ModelFailure: Its manifest cannot be read.
    """
    return _manifest(folder)


def _manifest(folder: Path) -> Mapping[str, object]:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError, OSError) as error:
        raise ModelFailure(f"{MANIFEST} cannot be read: {error}") from error
    if not isinstance(manifest, dict):
        raise ModelFailure(f"{MANIFEST} holds no JSON object")
    return manifest


def _is_within(folder: Path, name: str) -> bool:
    path = (folder / name).resolve()
    return path.is_file() and path.is_relative_to(folder.resolve())
