"""Holding findings against the baseline and the recipe's levels, and counting them."""

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from mlpipe_checks import baselines
from mlpipe_checks.config import LEVELS, CheckConfig
from mlpipe_checks.values import Finding, Report, Tests, severity


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding, and what is made of it.

    Attributes:
        finding: It.
        fingerprint: Stays the same where lines around it come and go.
        known: Whether the baseline has it.
        fails: Whether it fails the stage.
    """

    finding: Finding
    fingerprint: str
    known: bool
    fails: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all tools.

    Attributes:
        reports: By tool, in the recipe's order.
        findings: Of all tools, the worst first.
    """

    reports: tuple[Report, ...]
    findings: tuple[Judged, ...]

    @property
    def new(self) -> tuple[Judged, ...]:
        """Findings that the baseline does not have."""
        return tuple(each for each in self.findings if not each.known)

    @property
    def troubled(self) -> tuple[Report, ...]:
        """Tools that could not do their work."""
        return tuple(report for report in self.reports if report.trouble is not None)

    @property
    def tests(self) -> Tests | None:
        """How unit tests went."""
        return next((r.given.tests for r in self.reports if r.given and r.given.tests), None)

    @property
    def coverage(self) -> float | None:
        """How much the unit tests ran, in percent."""
        given = (report.given.coverage for report in self.reports if report.given)
        return next((each for each in given if each is not None), None)


def judge(
    config: CheckConfig, reports: tuple[Report, ...], known: AbstractSet[str], source: Path
) -> Outcome:
    """Bring together what tools found.

    Args:
        config: The recipe's bounds.
        reports: What became of each tool.
        known: The baseline's fingerprints.
        source: The folder that was checked.
    """
    found = [finding for report in reports if report.given for finding in report.given.findings]
    found.sort(key=lambda each: (-each.severity, each.path, each.line, each.tool, each.rule))
    judged = [
        Judged(each, fingerprint, fingerprint in known, _fails(config, each, fingerprint, known))
        for each, fingerprint in baselines.fingerprints(found, source)
    ]
    return Outcome(reports, tuple(judged))


def _fails(
    config: CheckConfig, finding: Finding, fingerprint: str, known: AbstractSet[str]
) -> bool:
    level = config.level(finding.tool)
    if level == "never" or fingerprint in known:
        return False
    return finding.severity >= severity(level)


def metrics(config: CheckConfig, outcome: Outcome) -> dict[str, float]:
    """Count what was found, by severity and by tool, the baseline's left out."""
    levels = Counter(each.finding.severity.word for each in outcome.new)
    tools = Counter(each.finding.tool for each in outcome.new)
    counts: dict[str, float] = {
        "findings": len(outcome.new),
        "findings.failing": sum(each.fails for each in outcome.findings),
        "findings.known": len(outcome.findings) - len(outcome.new),
        **{f"findings.{level}": levels[level] for level in LEVELS},
        **{f"findings.{name}": tools[name] for name in config.names},
    }
    if outcome.tests is not None:
        counts["tests"] = outcome.tests.total
        counts["tests.failed"] = outcome.tests.failed
        counts["tests.skipped"] = outcome.tests.skipped
    if outcome.coverage is not None:
        counts["coverage"] = outcome.coverage
    return counts
