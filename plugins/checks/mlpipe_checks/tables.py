"""The table that ends a stage's log."""

from collections import Counter
from collections.abc import Iterator

from mlpipe_checks.config import LEVELS
from mlpipe_checks.judging import Judged, Outcome
from mlpipe_checks.values import Report

_HEAD = ("severity", "tool", "rule", "place", "message")


def table(outcome: Outcome) -> str:
    """Write what all tools found, as text: a line each, then what became of each tool."""
    rows = [_HEAD, *map(_row, outcome.new)] if outcome.new else []
    lines = [*_columns(rows), *([""] if rows else [])]
    lines += _columns([_tool(report, outcome) for report in outcome.reports])
    return "\n".join([*lines, "", summary(outcome)])


def summary(outcome: Outcome) -> str:
    """Say in a few words what was found."""
    levels = Counter(each.finding.severity.word for each in outcome.new)
    counts = ", ".join(f"{levels[level]} {level}" for level in reversed(LEVELS) if levels[level])
    parts = [counted(len(outcome.new), "finding") + (f" ({counts})" if counts else "")]
    if known := len(outcome.findings) - len(outcome.new):
        parts.append(f"{known:,} known")
    if outcome.tests is not None:
        parts.append(tests(outcome))
    if outcome.coverage is not None:
        parts.append(f"coverage {outcome.coverage:.4g} %")
    return " · ".join(parts)


def tests(outcome: Outcome) -> str:
    """Say how unit tests went; nothing where they were not counted."""
    counts = outcome.tests
    if counts is None:
        return ""
    text = counted(counts.total, "test")
    text += f", {counts.failed:,} failed" if counts.failed else ""
    return text + (f", {counts.skipped:,} skipped" if counts.skipped else "")


def state(report: Report, outcome: Outcome) -> str:
    """Say in a few words what became of a tool."""
    if report.trouble is not None:
        return f"could not do its work: {report.trouble.what}"
    found = sum(each.finding.tool == report.tool for each in outcome.new)
    return counted(found, "finding") if found else "ok"


def counted(number: int, noun: str) -> str:
    """Write a number of things."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _row(judged: Judged) -> tuple[str, ...]:
    finding = judged.finding
    return (
        finding.severity.word,
        finding.tool,
        finding.rule,
        finding.place or "-",
        finding.message,
    )


def _tool(report: Report, outcome: Outcome) -> tuple[str, ...]:
    return (report.tool, report.version or "-", f"{report.seconds:.1f}s", state(report, outcome))


def _columns(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()
