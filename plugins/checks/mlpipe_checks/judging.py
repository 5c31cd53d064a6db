"""Holding findings against the baseline and the recipe's bounds."""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from mlpipe import Stage
from mlpipe.errors import GateMissed, StageError
from mlpipe_checks import baselines
from mlpipe_checks.config import LEVELS, CheckConfig
from mlpipe_checks.values import Finding, Report, Tests, severity

#: Findings that an error names; the log has all.
_NAMED = 20


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


def refuse(config: CheckConfig, outcome: Outcome, stage: Stage) -> None:
    """Fail the stage where a tool could not do its work, or what it found is too bad.

    Raises:
        StageError: The former, whatever the others found.
        GateMissed: The latter.
    """
    failing = [each for each in outcome.findings if each.fails]
    short = _short(config, outcome)
    lines = [*([short] if short else []), *_lines(failing)]
    if outcome.troubled:
        raise _troubled(outcome, lines)
    if not lines:
        return
    by_coverage = not failing and outcome.coverage is not None
    raise GateMissed(
        "\n   ".join([_headline(failing, short), *lines]),
        metric="coverage" if by_coverage else "findings",
        bound=f">= {_minimum(config):g}" if by_coverage else "<= 0",
        value=(outcome.coverage or 0.0) if by_coverage else len(failing),
        fix=_fix(config, failing, stage),
    )


def _minimum(config: CheckConfig) -> float:
    coverage = config.unit.coverage if config.unit else None
    return coverage.minimum or 0.0 if coverage else 0.0


def _short(config: CheckConfig, outcome: Outcome) -> str:
    minimum = _minimum(config)
    if outcome.coverage is None or outcome.coverage >= minimum:
        return ""
    return f"- coverage is {outcome.coverage:.4g} %, wanted at least {minimum:g} %"


def _headline(failing: list[Judged], short: str) -> str:
    parts = [counted(len(failing), "finding")] if failing else []
    return " and ".join([*parts, *(["too little coverage"] if short else [])])


def _lines(failing: list[Judged]) -> Iterator[str]:
    for each in failing[:_NAMED]:
        finding = each.finding
        parts = (finding.severity.word, finding.tool, finding.rule, finding.place, finding.message)
        yield f"- {'  '.join(filter(None, parts))}"
    if len(failing) > _NAMED:
        yield f"- and {len(failing) - _NAMED:,} more"


def _troubled(outcome: Outcome, lines: list[str]) -> StageError:
    said = [f"- {each.tool}: {each.trouble.what}" for each in outcome.troubled if each.trouble]
    names = ", ".join(each.tool for each in outcome.troubled)
    found = ["what the other tools found:", *lines] if lines else []
    fixes = dict.fromkeys(each.trouble.fix for each in outcome.troubled if each.trouble)
    return StageError(
        "\n   ".join([f"{names} could not do its work", *said, *found]),
        fix=" ".join(filter(None, fixes)) or "The stage's log has what it said.",
    )


def _fix(config: CheckConfig, failing: list[Judged], stage: Stage) -> str:
    if not failing:
        return "Test more, or ask for less."
    if config.baseline:
        return f"Repair them. Those that may stay: mlpipe checks baseline {stage.recipe}"
    return "Repair them, or keep those that may stay in a file: baseline: checks-baseline.json"


def counted(number: int, noun: str) -> str:
    """Write a number of things."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
