"""The licences of packages, as their metadata says."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from importlib import metadata

from mlpipe_checks import spdx
from mlpipe_checks.benches import Bench
from mlpipe_checks.packages import Package, packages
from mlpipe_checks.toolconfig import LicencesTool
from mlpipe_checks.values import Finding, Findings, Severity

_TOOL = "licences"


def check(entry: LicencesTool, bench: Bench) -> Findings:
    """Hold the licences of packages against the recipe's lists."""
    used = packages(entry.requirements, bench.source)
    ignored = set(entry.ignore)
    allowed, denied = frozenset(entry.allow), frozenset(entry.deny)
    found = [
        each
        for package in used
        if package.name not in ignored
        for each in _findings(package, allowed, denied)
    ]
    return Findings(tuple(found))


def _findings(
    package: Package, allowed: AbstractSet[str], denied: AbstractSet[str]
) -> Iterator[Finding]:
    try:
        facts = metadata.metadata(package.name)
    except metadata.PackageNotFoundError:
        text = f"{package.name} is not installed here, so its licence is not known"
        yield _finding(package, "not-installed", Severity.MEDIUM, text)
        return
    licence = spdx.licence_of(facts)  # type: ignore[arg-type] # it is a Message
    if licence is None:
        text = f"{package.name} does not say its licence in words that SPDX knows"
        yield _finding(package, "unknown", Severity.MEDIUM, text)
    elif not spdx.allows(licence, allowed, denied):
        text = f"{package.name} has the licence {licence}, which is not allowed"
        yield _finding(package, "not-allowed", Severity.HIGH, text)


def _finding(package: Package, rule: str, severity: Severity, message: str) -> Finding:
    return Finding(_TOOL, rule, severity, message, package.path, package.line)
