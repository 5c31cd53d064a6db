"""The bytes of versions: from DVC's cache, or from the remote, and verified."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe.errors import StageError
from mlpipe_dvc.commands.catalogue import Version
from mlpipe_dvc.commands.project import Project
from mlpipe_dvc.tracking.repository import open_repository

if TYPE_CHECKING:
    from dvc.repo import Repo


class Contents:
    """Finds the bytes of versions, and fetches what is not on this machine.

    Args:
        repo: The DVC repository.
    """

    def __init__(self, repo: Repo) -> None:
        self._repo = repo

    def file(self, version: Version) -> Path:
        """Give the object that holds a version's file, or the listing of its folder.

        Raises:
            StageError: It is nowhere, or damaged everywhere.
        """
        self._bring([version.md5], version)
        return self._object(version.md5, version)

    def listing(self, version: Version) -> Mapping[str, str]:
        """Give MD5 by relative path of a folder's files, the files themselves not fetched.

        Raises:
            StageError: The listing is nowhere, or damaged everywhere.
        """
        entries = json.loads(self.file(version).read_bytes())
        return {entry["relpath"]: entry["md5"] for entry in entries}

    def objects(self, version: Version) -> Mapping[str, Path]:
        """Give the objects of a version by relative path; ``""`` for one that is a file.

        Raises:
            StageError: One is nowhere, or damaged everywhere.
        """
        if not version.is_folder:
            return {"": self.file(version)}
        listing = self.listing(version)
        self._bring(dict.fromkeys(listing.values()), version)
        return {name: self._object(md5, version) for name, md5 in listing.items()}

    def _bring(self, wanted: Iterable[str], version: Version) -> None:
        absent = [md5 for md5 in wanted if not self._is_whole(md5, version)]
        if not absent:
            return
        self._fetch(absent, version)
        if lost := [md5 for md5 in absent if not self._is_whole(md5, version)]:
            count = f"{len(lost)} of its files are" if len(lost) > 1 else "it is"
            raise StageError(
                f"version {version.short} cannot be had: {count} neither in DVC's cache"
                " nor, undamaged, on the remote",
                where=version.label,
                fix="Push it from a machine that has it: dvc push --all-commits.",
            )

    def _is_whole(self, md5: str, version: Version) -> bool:
        """Look whether an object is there and is what its name says; drop a damaged one."""
        path = self._object(md5, version)
        try:
            found = digest(path, version)
        except FileNotFoundError:
            return False
        if found == md5.removesuffix(".dir"):
            return True
        print(f"{path}: is damaged and dropped from DVC's cache", file=sys.stderr)
        path.unlink()
        return False

    def _fetch(self, wanted: list[str], version: Version) -> None:
        from dvc.config import NoRemoteError
        from dvc_data.hashfile.hash_info import HashInfo

        name = _hash(version)
        remote = version.pointer.remote if version.pointer else None
        count = "1 file" if len(wanted) == 1 else f"{len(wanted):,} files"
        print(f"{version.label} {version.short}: fetching {count}", file=sys.stderr)
        try:
            with _quiet():
                self._repo.cloud.pull([HashInfo(name, md5) for md5 in wanted], remote=remote)
        except NoRemoteError:
            raise StageError(
                f"version {version.short} is not in DVC's cache, and there is no remote",
                where=version.label,
                fix="Name the remote that it was pushed to: dvc remote add --default NAME URL.",
            ) from None
        except Exception as error:  # each kind of remote raises errors of its own library
            raise StageError(
                f"version {version.short} is not in DVC's cache, and the remote cannot be read:"
                f" {error}",
                where=version.label,
                fix="Repair access to the remote, and try again.",
            ) from error

    def _object(self, md5: str, version: Version) -> Path:
        cache = self._repo.cache
        store: Any = cache.local if _hash(version) == "md5" else cache.legacy
        return Path(store.oid_to_path(md5))


def digest(path: Path, version: Version) -> str:
    """Give the MD5 of a file as DVC takes it for a version; DVC 2 left out carriage returns.

    Raises:
        OSError: It cannot be read.
    """
    if _hash(version) == "md5" or path.name.endswith(".dir"):
        with path.open("rb") as stream:
            return hashlib.file_digest(
                stream, lambda: hashlib.md5(usedforsecurity=False)
            ).hexdigest()
    from dvc_data.hashfile.hash import file_md5
    from dvc_objects.fs.local import localfs

    return str(file_md5(str(path), localfs, name=_hash(version)))


@contextmanager
def opened(project: Project) -> Iterator[tuple[Repo, Contents]]:
    """Open the project's DVC repository.

    Raises:
        UserError: There is none.
        StageError: DVC cannot do what it was asked.
    """
    from dvc.exceptions import DvcException

    folder = project.dvc()
    try:
        project.state_dir.mkdir(exist_ok=True)
        ignore = project.state_dir / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        with open_repository(folder, project.state_dir) as repo:
            yield repo, Contents(repo)
    except (DvcException, OSError) as error:
        raise StageError(f"DVC cannot do this: {error}", where=str(folder)) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep DVC from reporting what is reported here, with tracebacks, on standard error."""
    loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    levels = [each.level for each in loggers]
    with contextlib.ExitStack() as stack:
        for logger, level in zip(loggers, levels, strict=True):
            stack.callback(logger.setLevel, level)
            logger.setLevel(logging.CRITICAL)
        yield


def _hash(version: Version) -> str:
    return version.pointer.hash if version.pointer else "md5"
