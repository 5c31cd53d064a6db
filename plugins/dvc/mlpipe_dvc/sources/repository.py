"""Files and folders of another DVC repository, or of a plain Git repository."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_dvc.sourceconfig import RepoSource
from mlpipe_dvc.sources.local import listing, local_files
from mlpipe_dvc.values import LocalFiles

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PATIENCE = 60


def open_repository(source: RepoSource, stage: Stage) -> LocalFiles:
    """Fetch a file or folder from the other repository, its cache or its remote.

    Raises:
        StageError: There is no such repository, revision or path, or its data is in neither
            cache nor remote, or is damaged.
    """
    target = stage.scratch / "source" / PurePosixPath(source.path).name
    target.parent.mkdir(parents=True, exist_ok=True)
    with _opened(source, stage.root) as files:
        kept = _kept(files, source.path)
        files.get(source.path, str(target), recursive=True)
    for name, md5 in kept.items():
        _verify(target / name, md5, source)
    label = _label(source)
    found = listing(target, label) if target.is_dir() else [target]
    base = target if target.is_dir() else None
    return local_files(found, base, label, format=source.format, encoding=source.encoding)


def identify_repository(source: RepoSource, stage: Stage) -> dict[str, str]:
    """Say what there is at the path; of a repository elsewhere, which commit the revision is.

    Raises:
        StageError: It cannot be told.
    """
    if not _is_url(source.repo):
        with _opened(source, stage.root) as files:
            return {"source": _identity(files, source.path)}
    if source.rev and _COMMIT.fullmatch(source.rev):
        return {"source": source.rev}
    return {"source": _commit(source)}


def _is_url(repo: str) -> bool:
    return "://" in repo or re.match(r"[\w.-]+@[\w.-]+:", repo) is not None


def _label(source: RepoSource) -> str:
    return f"{source.path} of {source.repo}" + (f" at {source.rev}" if source.rev else "")


@contextmanager
def _opened(source: RepoSource, root: Path) -> Iterator[Any]:
    """Open the repository as a file system; say what is wrong with it or the path."""
    from dvc.api import DVCFileSystem
    from dvc.repo.open_repo import clean_repos
    from dvc.scm import CloneError, RevError
    from dvc_data.index import DataIndexDirError

    where = _label(source)
    try:
        files = DVCFileSystem(_address(source, root), rev=source.rev)
        _require_repository(files, where)
        files.info(source.path)
        yield files
    except StageError:
        raise
    except FileNotFoundError as error:
        raise _not_there(error, source) from error
    except DataIndexDirError as error:
        raise _lost(source.path, source) from error
    except RevError as error:
        fix = "Name a commit, tag or branch that has been pushed there."
        raise StageError("there is no such revision", where=where, fix=fix) from error
    except CloneError as error:
        cause = error.__cause__ or error
        raise StageError(f"the repository cannot be cloned: {cause}", where=where) from error
    except Exception as error:  # remotes raise what their own libraries do
        said = str(error) or type(error).__name__
        raise StageError(f"cannot be read: {said}", where=where) from error
    finally:
        clean_repos()


def _address(source: RepoSource, root: Path) -> str:
    if _is_url(source.repo):
        return source.repo
    path = root / Path(source.repo).expanduser()
    if not path.is_dir():
        fix = "Name a folder, relative to the project's own, or a Git URL."
        raise StageError("there is no such repository", where=source.repo, fix=fix)
    return str(path)


def _not_there(error: FileNotFoundError, source: RepoSource) -> StageError:
    if error.strerror == "No storage files available":
        return _lost(str(error.filename), source)
    return StageError("there is no such path", where=_label(source))


def _lost(path: str, source: RepoSource) -> StageError:
    return StageError(
        f"the data of {path} is neither in its cache nor in its remote",
        where=_label(source),
        fix="Where it was made, run: dvc push.",
    )


def _require_repository(files: Any, where: str) -> None:
    from dvc.scm import NoSCM

    # DVC opens any folder, to list what is in it.
    if not files.repo.dvc_dir and isinstance(files.repo.scm, NoSCM):
        raise StageError("is neither a DVC nor a Git repository", where=where)


def _kept(files: Any, path: str) -> dict[str, str]:
    """Give the MD5 of each file that DVC keeps, by name relative to the path."""
    found = files.find(path, detail=True)
    sums = {name: _md5(info) for name, info in found.items()}
    return {
        str(PurePosixPath(name.lstrip("/")).relative_to(path)): md5
        for name, md5 in sums.items()
        if md5
    }


def _md5(info: Mapping[str, Any]) -> str:
    """Give what DVC knows bytes by, where they come from its cache and not from Git."""
    return "" if info.get("fs_info") else str(info.get("md5") or "")


def _verify(path: Path, md5: str, source: RepoSource) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
    if found.hexdigest() != md5:
        raise StageError(
            f"{path.name} is damaged: its MD5 is {found.hexdigest()}, not {md5}",
            where=_label(source),
            fix="Remove it from that repository's cache and run dvc fetch there.",
        )


def _identity(files: Any, path: str) -> str:
    info = files.info(path)
    if info["type"] == "file" or _md5(info):
        return _identity_of(files, path, info)
    lines = "".join(
        f"{name}\0{_identity_of(files, name, each)}\n"
        for name, each in sorted(files.find(path, detail=True).items())
    )
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def _identity_of(files: Any, name: str, info: Mapping[str, Any]) -> str:
    known = _md5(info) or (info.get("fs_info") or {}).get("sha")  # of DVC, of Git
    if known:
        return str(known)
    with files.open(name, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _commit(source: RepoSource) -> str:
    """Ask the server which commit a branch or tag is, without cloning."""
    rev = source.rev or "HEAD"
    try:
        done = subprocess.run(
            ["git", "ls-remote", "--", source.repo, rev, f"{rev}^{{}}"],
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()
        what = f"Git cannot ask the repository: {said[-1] if said else error.returncode}"
        raise StageError(what, where=_label(source)) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StageError(f"Git cannot be asked: {error}", where=_label(source)) from error
    commits = {name: commit for commit, name in map(str.split, done.stdout.splitlines())}
    for name in (f"refs/tags/{rev}^{{}}", f"refs/tags/{rev}", f"refs/heads/{rev}", rev):
        if name in commits:
            return commits[name]
    raise StageError("there is no such tag or branch", where=_label(source))
