"""Which packages there are: those that requirements files name, or those that are installed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mlpipe_checks.values import Trouble

_USUAL = "requirements.txt"
#: What may follow a requirement: a comment, hashes, options.
_TAIL = re.compile(r"(^|\s)#.*$|\s--[a-z-]+[=\s].*$")


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is used.

    Attributes:
        name: As PyPI writes it.
        version: Exactly; empty where it is not known.
        path: The file that names it; empty where it is only installed.
        line: In that file, from 1.
    """

    name: str
    version: str
    path: str = ""
    line: int = 0


def files_of(wanted: Sequence[str], source: Path) -> list[str]:
    """Give the requirements files to read; none where packages are those installed.

    Raises:
        Trouble: One that is named is not there.
    """
    for name in wanted:
        if not (source / name).is_file():
            raise Trouble(f"there is no {name}", "Name the requirements files that there are.")
    return list(wanted) or [name for name in (_USUAL,) if (source / name).is_file()]


def packages(wanted: Sequence[str], source: Path) -> list[Package]:
    """List the packages that are used, those of requirements files or those installed.

    Raises:
        Trouble: A requirements file cannot be read.
    """
    files = files_of(wanted, source)
    if not files:
        return installed()
    return [package for name in files for package in _required(source, name)]


def installed() -> list[Package]:
    """List the packages beside mlpipe."""
    found = {canonicalize_name(each.name): each.version for each in metadata.distributions()}
    return [Package(name, version) for name, version in sorted(found.items())]


def _required(source: Path, name: str) -> Iterator[Package]:
    for number, line in _lines(source / name):
        text = _TAIL.sub("", line).strip()
        if not text or text.startswith(("--hash", "--index-url", "--extra-index-url", "-i ")):
            continue
        if match := re.match(r"(?:-r|--requirement)[=\s]\s*(\S+)", text):
            nested = Path(name).parent / match[1]
            if not (source / nested).is_file():
                raise Trouble(f"{name}:{number}: there is no {nested}")
            yield from _required(source, nested.as_posix())
        elif (package := _package(text, name, number)) is not None:
            yield package


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give a file's lines, those joined that end with a backslash."""
    began, text = 0, ""
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        began = began or number
        text += line.removesuffix("\\")
        if not line.endswith("\\"):
            yield began, text
            began, text = 0, ""
    if text:
        yield began, text


def _package(text: str, name: str, number: int) -> Package | None:
    """Read a requirement; ``None`` where it is not of this platform."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise Trouble(
            f'{name}:{number}: "{text}" names no package of an index',
            "Write name==version; what is installed from elsewhere has no advisories.",
        ) from None
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    exact = [
        each.version
        for each in requirement.specifier
        if each.operator in ("==", "===") and not each.version.endswith(".*")
    ]
    version = exact[0] if exact else _version_installed(requirement)
    return Package(canonicalize_name(requirement.name), version, name, number)


def _version_installed(requirement: Requirement) -> str:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return ""
    return version if requirement.specifier.contains(version, prereleases=True) else ""
