"""Showing a run: rows that redraw on a terminal, plain lines elsewhere, JSON for machines."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from mlpipe.console import Console, columns, duration, printable
from mlpipe.engine.reporting import Reporter, RunResult, StageReport
from mlpipe.plan.values import Plan
from mlpipe.store.runs import RunState, StageState

_MARKS: Mapping[StageState, tuple[str, str]] = MappingProxyType(
    {
        StageState.DONE: ("✓", "green"),
        StageState.CACHED: ("=", "dim"),
        StageState.IN_PLACE: ("=", "dim"),
        StageState.FAILED: ("✗", "red"),
        StageState.GATE_FAILED: ("✗", "red"),
        StageState.INTERRUPTED: ("✗", "yellow"),
        StageState.SKIPPED: ("–", "dim"),
        StageState.WAITING: ("–", "dim"),
    }
)
_QUIET = (StageState.CACHED, StageState.IN_PLACE, StageState.WAITING)
# More hits than this are counted instead of listed.
_LISTED = 20


def reporter_for(console: Console, *, as_json: bool) -> Reporter:
    """Choose how to show a run."""
    if as_json:
        return JsonLines(console)
    if console.interactive:
        from mlpipe.cli.live import LiveRows

        return LiveRows(console)
    return PlainLines(console)


class PlainLines:
    """A line when a stage begins, one when it ends. For pipes, files and CI.

    Args:
        console: Where lines go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._quiet: dict[StageState, list[StageReport]] = {}
        self._run = ""
        self._widths = (0, 0)

    def run_started(self, run: str, plan: Plan) -> None:
        """Name the run."""
        self._run = run
        self._widths = widths(plan)
        self._console.err(heading(run, plan))

    def stage_started(self, report: StageReport) -> None:
        """Say that a stage begins."""
        again = f"  attempt {report.attempt}" if report.attempt > 1 else ""
        self._console.err(f"  ▸ {report.name.ljust(self._widths[0])}  {report.uses}{again}")

    def stage_said(self, stage: str, line: str) -> None:
        """Logs are not shown here; ``mlpipe logs`` does."""

    def stage_finished(self, report: StageReport) -> None:
        """Say how a stage ended; those that did not run are gathered."""
        if report.state in _QUIET:
            self._quiet.setdefault(report.state, []).append(report)
            return
        for line in finished(self._console, report, self._run, self._widths):
            self._console.err(line)

    def warning(self, text: str) -> None:
        """Show a warning."""
        self._console.err(f"  ! {text}")

    def tick(self) -> None:
        """Nothing moves here."""

    def run_finished(self, result: RunResult) -> None:
        """Show what did not run, and how the run ended."""
        for line in not_run(self._console, self._quiet, self._widths):
            self._console.err(line)
        for line in closing(self._console, result):
            self._console.out(line)


class JsonLines:
    """A JSON object a line on standard output.

    Args:
        console: Where lines go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def run_started(self, run: str, plan: Plan) -> None:
        """Name the run."""
        verdicts = {name: each.verdict for name, each in plan.stages.items()}
        self._say("run_started", run=run, recipe=plan.recipe.name, verdicts=verdicts)

    def stage_started(self, report: StageReport) -> None:
        """Say that a stage begins."""
        self._say("stage_started", **asdict(report))

    def stage_said(self, stage: str, line: str) -> None:
        """Pass on a line of a log."""
        self._say("stage_said", stage=stage, line=line)

    def stage_finished(self, report: StageReport) -> None:
        """Say how a stage ended."""
        self._say("stage_finished", **asdict(report))

    def warning(self, text: str) -> None:
        """Pass on a warning."""
        self._say("warning", text=text)

    def tick(self) -> None:
        """Nothing moves here."""

    def run_finished(self, result: RunResult) -> None:
        """Say how the run ended."""
        self._say("run_finished", **asdict(result))

    def _say(self, kind: str, **facts: Any) -> None:
        self._console.json({"event": kind, "time": time.time(), **facts})


def heading(run: str, plan: Plan) -> str:
    """Name a run in one line."""
    return f"mlpipe run {plan.recipe.name} · target {plan.recipe.target.name} · run {run}"


def widths(plan: Plan) -> tuple[int, int]:
    """Give the widths of the columns of names and of ``uses``."""
    stages = plan.stages.values()
    names = max((len(each.name) for each in stages), default=0)
    return names, max((len(each.stage.spec.uses) for each in stages), default=0)


def finished(console: Console, report: StageReport, run: str, wide: tuple[int, int]) -> list[str]:
    """Write the row of a stage that has ended, and what went wrong below it."""
    mark, color = _MARKS[report.state]
    took = duration(report.seconds) if report.seconds else ""
    text = printable(report.text)
    if report.state in (StageState.GATE_FAILED, StageState.INTERRUPTED, StageState.SKIPPED):
        text = f"{report.state}  {text}".rstrip()
    row = f"{report.name.ljust(wide[0])}  {report.uses.ljust(wide[1])}  {took.ljust(6)}  {text}"
    lines = [f"  {console.style(mark, color)} {row.rstrip()}"]
    return [*lines, *_trouble(report, run)]


def _trouble(report: StageReport, run: str) -> list[str]:
    look = [f"    look at     {each}" for each in report.kept]
    if report.error is None:
        return look if report.state is StageState.GATE_FAILED else []
    where = f"{report.error['where']}  " if report.error.get("where") else ""
    texts = [f"{where}{report.error['what']}", str(report.error.get("fix") or "")]
    lines = [f"    {printable(line)}" for text in texts for line in text.splitlines()]
    lines += look
    if report.attempt:
        lines.append(f"    last lines:  mlpipe logs {run} {report.name}")
    return lines


def not_run(
    console: Console, quiet: Mapping[StageState, list[StageReport]], wide: tuple[int, int]
) -> list[str]:
    """Write the rows of stages that did not run: hits, and what waits for something."""
    lines: list[str] = []
    hits = [*quiet.get(StageState.CACHED, []), *quiet.get(StageState.IN_PLACE, [])]
    if len(hits) > _LISTED:
        lines.append(f"  {console.style('=', 'dim')} {len(hits):,} stages cached or in place")
    else:
        for report in hits:
            row = f"{report.name.ljust(wide[0])}  {report.state.ljust(wide[1])}  {report.text}"
            lines.append(f"  {console.style('=', 'dim')} {row.rstrip()}")
    waiting: dict[str, list[str]] = {}
    for report in quiet.get(StageState.WAITING, []):
        waiting.setdefault(report.text, []).append(report.name)
    for text, names in waiting.items():
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        lines.append(f"  {console.style('–', 'dim')} {shown}  {text}")
    return lines


def closing(console: Console, result: RunResult) -> list[str]:
    """Write how a run ended, and the next command."""
    ran = [each for each in result.stages.values() if each.attempt]
    if result.state is RunState.DONE:
        lines = [console.style(f"done in {duration(result.seconds)}", "bold")]
        if not ran:
            lines[0] += " · nothing to do: everything is cached or in place"
    else:
        lines = [
            (
                f"{console.style(str(result.state), 'bold')} · continue with  {result.resume}"
                "     (finished stages are kept)"
            )
        ]
    rows = [
        (f"{release.kind} {release.name}", f"release {release.label}")
        for release in result.releases
    ]
    return [*lines, *columns(rows)]
