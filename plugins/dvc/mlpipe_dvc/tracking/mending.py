"""Getting objects that are missing from DVC's cache, or corrupt in it, from the remote again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlpipe_dvc.tracking import listing
from mlpipe_dvc.tracking.objects import Objects
from mlpipe_dvc.tracking.reading import md5_of

if TYPE_CHECKING:
    from dvc.repo import Repo


@dataclass(frozen=True, slots=True)
class Mended:
    """What was wrong in the cache.

    Attributes:
        corrupt: Objects that did not hold what their names say.
        lost: Objects that are not in the cache now, because the remote does not have them.
    """

    corrupt: tuple[str, ...]
    lost: tuple[str, ...]


def mend(repo: Repo, cache: Objects, oids: Iterable[str]) -> Mended:
    """Have the cache hold objects, each as its name says.

    Args:
        repo: DVC's repository, for its remote.
        cache: Its cache.
        oids: DVC's names; those of folders stand for all files in them, too.
    """
    wanted = list(oids)
    first = _mend(repo, cache, wanted)
    listings = [cache.read(oid) for oid in wanted if oid.endswith(".dir")]
    members = {md5 for each in listings if each for md5 in (listing.read(each) or {}).values()}
    second = _mend(repo, cache, members) if members else Mended((), ())
    return Mended(first.corrupt + second.corrupt, first.lost + second.lost)


def _mend(repo: Repo, cache: Objects, oids: Iterable[str]) -> Mended:
    wanted = set(oids)
    whole, corrupt = cache.check(wanted)
    lost = [oid for oid in sorted(wanted - whole.keys()) if not _fetch(repo, cache, oid)]
    return Mended(tuple(sorted(corrupt)), tuple(lost))


def _fetch(repo: Repo, cache: Objects, oid: str) -> bool:
    try:
        remote = repo.cloud.get_remote_odb()
        with tempfile.TemporaryDirectory(dir=repo.tmp_dir) as folder:
            target = os.path.join(folder, "object")
            remote.fs.get_file(remote.oid_to_path(oid), target)
            if md5_of(target) != oid[:32]:
                return False
            with cache.adding() as adding:
                adding.take(oid, target)
    except Exception:
        return False
    return True
