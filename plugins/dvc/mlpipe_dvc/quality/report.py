"""The report of checks: a page for people, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mlpipe.errors import StageError
from mlpipe_dvc.quality.outcomes import Outcome, counted
from mlpipe_dvc.quality.pages import page, text

#: How many failures the log and the page's two tables hold.
_PRINTED = 20
_LISTED = 2000

_STYLE = """
.verdict{font-size:1.15rem;font-weight:600}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:14px 16px}
.failed{background:var(--badly)}
ul{margin:0;padding-left:18px}
@media(max-width:640px){
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,caption,tbody,tr,td,tbody th{display:block;width:100%}
tr{border-bottom:1px solid var(--line);padding:8px 0}
td,tbody th{border:0;padding:1px 0;text-align:left}
td:empty{display:none}
td[data-l]::before{content:attr(data-l) " ";color:var(--soft)}
}
"""


@dataclass(frozen=True, slots=True)
class Report:
    """What checks found in a data set.

    Attributes:
        stage: The stage's name.
        total: How many rows or files were looked at.
        noun: ``row`` or ``file``.
        outcomes: Of each check.
    """

    stage: str
    total: int
    noun: str
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The checks that do not hold."""
        return tuple(each for each in self.outcomes if not each.passed)

    @property
    def verdict(self) -> str:
        """All of it in one line."""
        looked = counted(self.total, self.noun)
        if not self.failed:
            return f"Nothing is wrong with {looked}"
        return f"{len(self.failed):,} of {counted(len(self.outcomes), 'check')} failed on {looked}"


def table(report: Report) -> str:
    """Give what the log says: the verdict and the first failures, in columns."""
    rows = [
        (each.column or "-", each.check, _rows(each) or "-") for each in report.failed[:_PRINTED]
    ]
    if not rows:
        return report.verdict
    rows.insert(0, ("column", "check", "failing"))
    widths = [min(40, max(len(row[i]) for row in rows)) for i in range(2)]
    lines = [f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows]
    if (more := len(report.failed) - _PRINTED) > 0:
        lines.append(f"  and {more:,} more")
    return "\n".join([report.verdict, *lines])


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write ``checks.html`` and ``checks.json``.

    Raises:
        StageError: They cannot be written, as on a full disk.
    """
    html, data = folder / "checks.html", folder / "checks.json"
    content = {
        "stage": report.stage,
        report.noun + "s": report.total,
        "failures": len(report.failed),
        "checks": [asdict(each) for each in report.outcomes],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        html.write_text(_html(report), encoding="utf-8", errors="replace")
        data.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise StageError(f"the report cannot be written: {reason}", where=folder.name) from error
    return html, data


def _html(report: Report) -> str:
    state = "bad" if report.failed else "good"
    title = f"Checks of {report.stage}"
    head = f'<h1>{text(title)}</h1>\n<p class="verdict {state}">{text(report.verdict)}</p>'
    parts = [head]
    if report.failed:
        parts.append(_section("Failed", report.failed))
    if passed := [each for each in report.outcomes if each.passed]:
        parts.append(_section("Passed", passed))
    return page(title, "\n".join(parts), _STYLE)


def _section(title: str, outcomes: Iterable[Outcome]) -> str:
    listed = list(outcomes)
    rows = "\n".join(_row(each) for each in listed[:_LISTED])
    more = len(listed) - _LISTED
    note = f'<p class="soft">And {more:,} more, in checks.json.</p>' if more > 0 else ""
    failed = not listed[0].passed
    heads = ["Column", "Check", *(["Failing rows", "Examples"] if failed else []), "Asked by"]
    cells = "".join(f'<th scope="col">{head}</th>' for head in heads)
    caption = f"{counted(len(listed), 'check')} {'failed' if failed else 'hold'}"
    return (
        f'<h2>{title}</h2>\n<div class="scroll"><table>\n<caption>{caption}</caption>\n'
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>{note}</div>"
    )


def _row(outcome: Outcome) -> str:
    column = f"<code>{text(outcome.column)}</code>" if outcome.column else "whole table"
    cells = [f'<th scope="row">{column}</th>', f"<td>{text(outcome.check)}</td>"]
    if not outcome.passed:
        items = [str(each) for each in outcome.examples] + ([outcome.note] if outcome.note else [])
        examples = "".join(f"<li>{text(item)}</li>" for item in items)
        cells.append(
            f'<td data-l="Failing rows:">{_rows(outcome)}</td>' if _rows(outcome) else "<td></td>"
        )
        cells.append(f"<td>{f'<ul>{examples}</ul>' if examples else ''}</td>")
    cells.append(f'<td data-l="Asked by:"><code>{text(outcome.source)}</code></td>')
    return f"<tr>{''.join(cells)}</tr>"


def _rows(outcome: Outcome) -> str:
    if outcome.rows is None:
        return ""
    share = outcome.rows / outcome.total if outcome.total else 0
    return f"{outcome.rows:,} ({share:.1%})" if share >= 0.001 else f"{outcome.rows:,} (<0.1%)"
