"""Showing a run on a terminal: finished rows scroll away, running ones redraw below them."""

import time
from itertools import islice

from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from mlpipe.cli.progress import closing, finished, heading, not_run, widths
from mlpipe.console import Console, duration, printable
from mlpipe.engine.reporting import RunResult, StageReport
from mlpipe.plan.values import Plan, Verdict
from mlpipe.store.runs import StageState

# Seconds between redraws, as often as an eye can follow: with many short stages drawing is
# what costs.
_REDRAW = 0.08
_WIDEST = 400


class LiveRows:
    """A row a stage that runs: spinner, time, the last line of its log.

    Args:
        console: Where results go; rows go to standard error.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rich = RichConsole(stderr=True, highlight=False)
        self._live = Live(console=self._rich, auto_refresh=False, transient=True)
        self._running: dict[str, tuple[StageReport, float, str]] = {}
        self._spinner = Spinner("dots")
        self._quiet: dict[StageState, list[StageReport]] = {}
        self._run = ""
        self._widths = (0, 0)
        self._left = 0
        self._drawn = 0.0
        self._above: list[str] = []

    def run_started(self, run: str, plan: Plan) -> None:
        """Name the run."""
        self._run = run
        self._widths = widths(plan)
        self._left = len(plan.with_verdict(Verdict.RUN))
        self._print(heading(run, plan))
        self._flush()
        self._live.start()

    def stage_started(self, report: StageReport) -> None:
        """Add a row."""
        self._running[report.name] = (report, time.monotonic(), "")

    def stage_said(self, stage: str, line: str) -> None:
        """Change a row's last line."""
        if stage in self._running:
            report, since, _ = self._running[stage]
            self._running[stage] = (report, since, line)

    def stage_finished(self, report: StageReport) -> None:
        """Take a row away, and write the final one above those that remain."""
        if self._running.pop(report.name, None):
            self._left -= 1
        if report.state in (StageState.CACHED, StageState.IN_PLACE, StageState.WAITING):
            self._quiet.setdefault(report.state, []).append(report)
            return
        for line in finished(self._console, report, self._run, self._widths):
            self._print(line)

    def warning(self, text: str) -> None:
        """Write a warning above the rows."""
        self._print(f"  {self._console.style('!', 'yellow')} {text}")

    def tick(self) -> None:
        """Redraw, with what has ended since above the rows."""
        if time.monotonic() - self._drawn >= _REDRAW:
            self._live.update(self._rows())
            self._flush()
            self._live.refresh()
            self._drawn = time.monotonic()

    def run_finished(self, result: RunResult) -> None:
        """Stop redrawing; show what did not run, and how the run ended."""
        self._live.update(self._rows())
        self._flush()
        self._live.stop()
        for line in not_run(self._console, self._quiet, self._widths):
            self._print(line)
        self._flush()
        for line in closing(self._console, result):
            self._console.out(line)

    def _print(self, text: str) -> None:
        self._above.append(text)

    def _flush(self) -> None:
        if self._above:
            self._rich.print(Text.from_ansi("\n".join(self._above)), soft_wrap=True)
            self._above.clear()

    def _rows(self) -> Group:
        now = time.monotonic()
        table = Table.grid(padding=(0, 2, 0, 0))
        shown = max(1, self._rich.height - 2)
        for report, since, line in islice(self._running.values(), shown):
            table.add_row(
                Text("  ") + self._spinner.render(now),
                report.name.ljust(self._widths[0]),
                report.uses.ljust(self._widths[1]),
                duration(now - since).ljust(6),
                Text(printable(line[:_WIDEST]), "dim", no_wrap=True, overflow="ellipsis"),
            )
        more = self._left - min(shown, len(self._running))
        rest = [Text(f"    {more} more to go", style="dim")] if more > 0 else []
        return Group(table, *rest)
