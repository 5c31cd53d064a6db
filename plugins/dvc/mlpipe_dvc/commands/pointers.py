"""The ``.dvc`` files, read without DVC: which version of a data set is the current one."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
#: Bytes; a ``.dvc`` file has a few hundred.
_LIMIT = 1 << 18
_SKIPPED = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a ``.dvc`` file says of one data set.

    Attributes:
        file: The ``.dvc`` file, relative to the project's folder.
        label: The data set: its path, relative to the project's folder.
        digest: ``md5:<hex>``, with ``.dir`` behind it for a folder.
        size: In bytes, where it is said.
        files: How many, where it is said.
        hash: DVC's name of the digest; ``md5-dos2unix`` in files that DVC 2 wrote.
        remote: The DVC remote that the data set has of its own.
    """

    file: str
    label: str
    digest: str
    size: int | None
    files: int | None
    hash: str
    remote: str | None


def files(root: Path) -> Iterator[str]:
    """Give the paths of all ``.dvc`` files below a folder, relative to it.

    Folders that are data sets themselves, hidden ones and virtual environments are left out.
    """
    for folder, folders, names in os.walk(root):
        if "pyvenv.cfg" in names:
            folders.clear()
            continue
        tracked = {name.removesuffix(".dvc") for name in names if name.endswith(".dvc")}
        folders[:] = sorted(
            each for each in folders if each[0] != "." and each not in _SKIPPED | tracked
        )
        base = os.path.relpath(folder, root)
        for name in sorted(names):
            if name.endswith(".dvc") and name != ".dvc":
                yield posixpath.normpath(posixpath.join(base, name))


def parse(file: str, content: bytes) -> tuple[Pointer, ...]:
    """Read a ``.dvc`` file.

    Args:
        file: Its path, relative to the project's folder.
        content: Its bytes.

    Returns:
        The data sets that it names by digest; those outside the project are left out.

    Raises:
        ValueError: It is no ``.dvc`` file.
    """
    outs, base = _outs(content)
    found = []
    for out in outs:
        label = posixpath.normpath(
            posixpath.join(posixpath.dirname(file), base, str(out.get("path")))
        )
        digest = str(out.get("md5"))
        if _MD5.fullmatch(digest) and not label.startswith(("../", "/")) and "://" not in label:
            found.append(
                Pointer(
                    file=file,
                    label=label,
                    digest=f"md5:{digest}",
                    size=_count(out.get("size")),
                    files=_count(out.get("nfiles")) if digest.endswith(".dir") else 1,
                    hash=str(out.get("hash", "md5-dos2unix")),
                    remote=out.get("remote"),
                )
            )
    return tuple(found)


def _outs(content: bytes) -> tuple[list[dict[str, Any]], str]:
    import yaml

    if len(content) > _LIMIT:
        raise ValueError("is too large")
    try:
        data = yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"is no YAML: {' '.join(str(error).split())}") from error
    outs = data.get("outs") if isinstance(data, dict) else None
    if not isinstance(outs, list) or not all(isinstance(out, dict) for out in outs):
        raise ValueError("has no list of outputs (outs)")
    return outs, str(data.get("wdir", "."))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None
