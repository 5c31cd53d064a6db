"""``model.tar.gz``: made the same from the same files on any machine, taken apart safely."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from mlpipe_scriptmode.errors import ModelFailure

MANIFEST = "mlpipe.json"
_MAX_MEMBERS = 100_000
_MAX_BYTES = 64 << 30


def pack(model_dir: Path, sources: Mapping[str, Path], program: str, archive: Path) -> None:
    """Make a model's archive: byte-identical for the same content.

    Args:
        model_dir: What training left in ``SM_MODEL_DIR``.
        sources: Files of the code, by path below ``code/``.
        program: The entry script, one of ``sources``.
        archive: The file to write.

    Raises:
        ModelFailure: ``program`` is not among the sources, or the folder holds a link.
    """
    if program not in sources:
        raise ModelFailure(f'the program "{program}" is not among the sources')
    files = {
        path.relative_to(model_dir).as_posix(): path
        for path in model_dir.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    files.update((f"code/{name}", path) for name, path in sources.items())
    manifest = json.dumps({"program": program}).encode()
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted({*files, MANIFEST}):
            if name == MANIFEST:
                tar.addfile(_member(name, len(manifest)), io.BytesIO(manifest))
            else:
                with files[name].open("rb") as stream:
                    tar.addfile(_member(name, files[name].stat().st_size), stream)


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Describe a member by name and size alone: no times, owners or modes of this machine."""
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member


def unpack(archive: Path, into: Path) -> Path:
    """Take a model's archive apart.

    Only files and folders within ``into`` are made: no links, devices, absolute paths or ``..``.

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
        with tarfile.open(archive, "r:*") as tar:
            total = 0
            for count, member in enumerate(tar):
                total += member.size
                _check(member, count, total, archive)
                tar.extract(member, into, filter="data")
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise ModelFailure(
            f"{archive} is no model archive that can be unpacked: {error}"
        ) from error
    return into


def _check(member: tarfile.TarInfo, count: int, total: int, archive: Path) -> None:
    if not (member.isfile() or member.isdir()):
        raise ModelFailure(f"{archive} holds {member.name}, which is neither file nor folder")
    if count >= _MAX_MEMBERS or total > _MAX_BYTES:
        raise ModelFailure(f"{archive} holds more than {_MAX_MEMBERS:,} files or 64 GiB")


def program_of(folder: Path) -> str:
    """Name the entry script of an unpacked model.

    An archive that mlpipe did not make has no manifest: ``inference.py`` is taken, or the only
    script there is.

    Raises:
        ModelFailure: There is none, or more than one.
    """
    try:
        program = json.loads((folder / MANIFEST).read_text("utf-8"))["program"]
    except FileNotFoundError:
        program = None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFailure(f"{folder / MANIFEST} is damaged: {error!r}") from error
    if isinstance(program, str):
        return program
    scripts = sorted(path.name for path in (folder / "code").glob("*.py"))
    if "inference.py" in scripts:
        return "inference.py"
    if len(scripts) != 1:
        found = ", ".join(scripts) or "none"
        raise ModelFailure(f"the model has no code/inference.py; its scripts: {found}")
    return scripts[0]
