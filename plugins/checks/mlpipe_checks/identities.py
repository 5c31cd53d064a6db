"""What a stage's result goes by, beside its inputs and settings."""

import datetime
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mlpipe import Stage
from mlpipe_checks import programs, runners
from mlpipe_checks.config import CheckConfig
from mlpipe_checks.toolconfig import AuditTool
from mlpipe_checks.values import Trouble

#: Folders that hold no sources.
_LEFT_OUT = frozenset({".git", ".mlpipe", ".venv", ".tox", "node_modules", "__pycache__"})
#: What the folders that say what is installed end with.
_INSTALLED = (".dist-info", ".egg-info")


def identities(config: CheckConfig, stage: Stage) -> Mapping[str, str]:
    """Say which tools and packages would be used, and what the project's folder holds.

    A service of advisories is asked once a day; the day is what its answer goes by.
    """
    found = {f"tool.{name}": version for name, version in _versions(config)}
    found["packages"] = _digest(sorted(_installed()))  # tests and mypy read them too
    if any(isinstance(tool, AuditTool) and tool.advisories is None for tool in config.tools):
        found["advisories"] = datetime.datetime.now(datetime.UTC).date().isoformat()
    if config.folder is not None:
        found["files"] = _files(stage.root / config.folder, config.baseline)
    return found


def _versions(config: CheckConfig) -> Iterator[tuple[str, str]]:
    for runner in runners.runners(config):
        if runner.program is not None:
            try:
                yield runner.name, programs.version_of(runner.program)
            except Trouble as trouble:  # the run says it
                yield runner.name, trouble.what


def _installed() -> Iterator[str]:
    """Name what is installed, with versions, without a look into each of hundreds."""
    for folder in map(Path, sys.path):
        if folder.is_dir():
            yield from (path.name for path in folder.iterdir() if path.suffix in _INSTALLED)


def _files(folder: Path, baseline: str | None) -> str:
    """Digest a folder's files: those that Git does not ignore, else all."""
    own = {"mlpipe.lock", *([baseline] if baseline else [])}  # what mlpipe itself writes there
    names = [name for name in _listed(folder) if name not in own]
    return _digest(f"{name}\0{_file(folder / name)}" for name in sorted(names))


def _listed(folder: Path) -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "."]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    except OSError:
        return list(_walked(folder))
    if done.returncode:
        return list(_walked(folder))
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _walked(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for name in files:
            yield (Path(place) / name).relative_to(folder).as_posix()


def _file(path: Path) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    if not path.is_file():  # removed, but not yet from Git's index; or a submodule
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() + f" {os.access(path, os.X_OK)}"


def _digest(parts: Iterable[str]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return total.hexdigest()
