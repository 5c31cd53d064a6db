"""Advisories in OSV's JSON, as a folder: https://ossf.github.io/osv-schema.

Such a folder is what https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip holds, or
PyPA's advisory-database.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mlpipe_checks.cvss import severity_of
from mlpipe_checks.values import Severity, Trouble

_ECOSYSTEM = "PyPI"


@dataclass(frozen=True, slots=True)
class Advisory:
    """A vulnerability of one package.

    Attributes:
        name: Of the advisory.
        aliases: Its other names.
        summary: What it is, in a line.
        severity: How bad it is; high where it does not say.
        affected: What it says of the versions that have it.
    """

    name: str
    aliases: tuple[str, ...]
    summary: str
    severity: Severity
    affected: Mapping[str, Any]

    def affects(self, version: Version) -> bool:
        """Tell whether a version has it."""
        listed = map(_version, self.affected.get("versions", ()))
        if any(each == version for each in listed):
            return True
        return any(
            _within(version, each["events"])
            for each in self.affected.get("ranges", ())
            if each["type"] == "ECOSYSTEM"
        )

    @property
    def fixed(self) -> tuple[str, ...]:
        """Versions that do not have it any more, as the advisory has them."""
        return tuple(
            event["fixed"]
            for each in self.affected.get("ranges", ())
            if each["type"] == "ECOSYSTEM"
            for event in each["events"]
            if "fixed" in event
        )


def read(folder: Path) -> dict[str, list[Advisory]]:
    """Read a folder of advisories, by package; those that were withdrawn are left out.

    Raises:
        Trouble: There are none, or one cannot be read.
    """
    found: dict[str, list[Advisory]] = {}
    paths = sorted(folder.rglob("*.json"))
    if not paths:
        raise Trouble(
            f"there are no advisories in {folder.name}: it has no .json files",
            "Unpack OSV's PyPI/all.zip there.",
        )
    for path in paths:
        try:
            for package, advisory in _advisories(json.loads(path.read_bytes())):
                found.setdefault(package, []).append(advisory)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Trouble(
                f"{path.name} is no advisory of OSV's: {type(error).__name__}: {error}",
                "Fetch the advisories anew.",
            ) from None
    return found


def _advisories(said: Mapping[str, Any]) -> Iterator[tuple[str, Advisory]]:
    if "withdrawn" in said:
        return
    text = said.get("summary") or said.get("details") or "no details"
    for affected in said.get("affected", ()):
        package = affected.get("package", {})
        if package.get("ecosystem") == _ECOSYSTEM:
            yield (
                canonicalize_name(package["name"]),
                Advisory(
                    said["id"],
                    tuple(said.get("aliases", ())),
                    next(iter(text.strip().splitlines()), ""),
                    severity_of(said, affected),
                    affected,
                ),
            )


def _within(version: Version, events: list[Mapping[str, str]]) -> bool:
    """Evaluate a range as OSV's specification says: its events in the order of versions."""
    affected = False
    for event in sorted(events, key=_order):
        kind, text = next(iter(event.items()))
        if kind == "introduced":
            affected = affected or text == "0" or _at_least(version, text)
        elif kind == "fixed" and _at_least(version, text):
            affected = False
        elif kind == "last_affected" and _at_least(version, text):
            affected = version == _version(text) and affected
    return affected


def _order(event: Mapping[str, str]) -> tuple[Version, bool]:
    kind, text = next(iter(event.items()))
    return _version(text) or Version("0.dev0"), kind != "introduced"


def _at_least(version: Version, text: str) -> bool:
    bound = _version(text)
    return bound is not None and version >= bound


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
