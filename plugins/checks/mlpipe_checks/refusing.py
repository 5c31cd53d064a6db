"""Failing a stage where what tools found is too bad, or where they could not look."""

from collections.abc import Iterator

from mlpipe import Stage
from mlpipe.errors import GateMissed, StageError
from mlpipe_checks.config import CheckConfig
from mlpipe_checks.judging import Judged, Outcome
from mlpipe_checks.tables import counted

#: Findings that an error names; the log has all.
_NAMED = 20


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
        metric="coverage" if by_coverage else "findings.failing",
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
    whose = "its" if len(outcome.troubled) == 1 else "their"
    return StageError(
        "\n   ".join([f"{names} could not do {whose} work", *said, *found]),
        fix=" ".join(filter(None, fixes)) or "The stage's log has what it said.",
    )


def _fix(config: CheckConfig, failing: list[Judged], stage: Stage) -> str:
    if not failing:
        return "Test more, or ask for less."
    if config.baseline:
        return f"Repair them. Those that may stay: mlpipe checks baseline {stage.recipe}"
    return "Repair them, or keep those that may stay in a file: baseline: checks-baseline.json"
