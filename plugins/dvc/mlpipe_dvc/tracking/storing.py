"""Putting the bytes of what was made into DVC's cache."""

from __future__ import annotations

import os

from mlpipe.errors import StageError
from mlpipe_dvc.tracking.index import is_same, is_settled
from mlpipe_dvc.tracking.links import Linker
from mlpipe_dvc.tracking.objects import MODE, Objects
from mlpipe_dvc.tracking.reading import md5_of
from mlpipe_dvc.tracking.values import Content, Made


def store(made: Made, content: Content, cache: Objects, ways: tuple[str, ...], seen: int) -> None:
    """Add to the cache what is not there, or not whole.

    Args:
        made: What was made.
        content: What it holds.
        cache: DVC's cache.
        ways: DVC's setting ``cache.type``.
        seen: When the files were looked at, Unix time in ns.

    Raises:
        StageError: A file was written to after it was looked at.
    """
    oids, owner = {*content.md5.values(), content.oid}, str(made.place)
    whole, corrupt = cache.check(oids, owner)
    _report(content, made, corrupt)
    if whole.keys() == oids:
        return
    sources = {md5: name for name, md5 in content.md5.items() if md5 not in whole}
    linker = Linker(["reflink", "copy"], MODE)
    moves = made.links is None and ways[0] in {"hardlink", "symlink"}
    with cache.adding() as adding:
        for md5, name in sources.items():
            path = content.files.paths[name]
            if moves and not content.files.is_shared(name):
                adding.take(md5, path)
            elif md5 in content.small:
                adding.write(md5, content.small[md5])
            else:
                adding.copy(md5, path, linker)
                if made.links is not None:
                    status = content.files.statuses[name]
                    _require_unchanged(path, status, adding.path(md5), md5, seen)
        if content.listing is not None and content.oid not in whole:
            adding.write(content.oid, content.listing)
    cache.vouch(whole | adding.written, owner)


def _require_unchanged(path: str, status: os.stat_result, stored: str, md5: str, seen: int) -> None:
    """See that a file of somebody else's was not written to between reading and copying it."""
    same = is_same(os.stat(path), status)
    if not same or (not is_settled(status, seen) and md5_of(stored) != md5):
        raise StageError("is written to by another process", where=path, fix="Run again.")


def _report(content: Content, made: Made, corrupt: list[str]) -> None:
    for oid in sorted(corrupt):
        name = next((name for name, md5 in content.md5.items() if md5 == oid), "")
        label = f"{made.label}/{name}" if name else made.label
        print(f"DVC's cache held other bytes as {oid[:2]}/{oid[2:]} ({label}): stored anew")
