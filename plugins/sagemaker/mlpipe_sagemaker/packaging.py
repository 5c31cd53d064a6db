"""Training code as a ``sourcedir.tar.gz``: what SageMaker unpacks beside the script."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mlpipe import Input, StageError

ARCHIVE = "sourcedir.tar.gz"
#: What a script needs, in a file beside it.
REQUIREMENTS = "requirements.txt"
_MANIFEST = "mlpipe.json"
#: Endings of files that a model can be tested with.
_TABLES = (".csv", ".jsonl", ".parquet")


def pack_sources(sources: Mapping[str, Path], programs: tuple[str, ...], archive: Path) -> str:
    """Pack sources: the same names and contents give the same bytes, on any machine.

    Args:
        sources: Files by path below the source folder.
        programs: The entry scripts, of ``sources``.
        archive: The file to write.

    Returns:
        Its digest, as ``sha256:<hex>``.

    Raises:
        StageError: One of the sources has the name of the package's own manifest.
    """
    from mlpipe_scriptmode import pack_files

    if _MANIFEST in sources:
        raise StageError(
            f'"{_MANIFEST}" is the name of a file of the package\'s own',
            where=str(sources[_MANIFEST]),
            fix="Rename yours.",
        )
    manifest = json.dumps({"programs": sorted(programs)}).encode()
    pack_files({**sources, _MANIFEST: manifest}, archive)
    with archive.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def unpack_sources(archive: Path, into: Path) -> dict[str, Path]:
    """Take a package apart, safely.

    Returns:
        Its files by path below the source folder, without the manifest.

    Raises:
        StageError: It is no such package.
    """
    from mlpipe_scriptmode import ModelFailure, unpack

    try:
        unpack(archive, into)
    except ModelFailure as error:
        raise StageError(str(error), fix="Give a package that sagemaker.build made.") from error
    files = (path for path in sorted(into.rglob("*")) if path.is_file())
    return {
        name: path for path in files if (name := path.relative_to(into).as_posix()) != _MANIFEST
    }


def program_of(folder: Path, wanted: str | None) -> str:
    """Choose a package's entry script.

    Args:
        folder: The unpacked package.
        wanted: Its name, or ``None`` for the only one.

    Raises:
        StageError: There is no such script, or several to choose from.
    """
    try:
        programs = json.loads((folder / _MANIFEST).read_text("utf-8"))["programs"]
    except (OSError, ValueError, KeyError, TypeError):
        programs = sorted(path.name for path in folder.glob("*.py"))
    named = ", ".join(programs) or "none"
    if wanted is None and len(programs) == 1:
        return str(programs[0])
    if wanted in programs:
        return str(wanted)
    what = (
        f'the package has no script "{wanted}"'
        if wanted is not None
        else "the package has several scripts, and none is named"
    )
    raise StageError(what, where="with.program", fix=f"Name one of its scripts: {named}.")


def digests_of(channels: Mapping[str, Input]) -> dict[str, str]:
    """Give what a model says of the data that it was trained with: digests by channel.

    Tables within a channel's folder are named, too, as ``train/part.csv``: each of them may be
    what somebody tests with.
    """
    found: dict[str, str] = {}
    for name, given in sorted(channels.items()):
        found[name] = given.artifact.digest
        if given.artifact.location.startswith("s3://"):
            continue
        folder = given.path()
        for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if file.suffix in _TABLES and file.is_file():
                with file.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                found[f"{name}/{file.relative_to(folder).as_posix()}"] = f"sha256:{digest}"
    return found
