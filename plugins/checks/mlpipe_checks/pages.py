"""The page: what was found, and what became of each tool."""

from html import escape

from mlpipe_checks import tables
from mlpipe_checks.judging import Judged, Outcome
from mlpipe_checks.values import Report
from mlpipe_pages.page import page

_STYLE = """
table{width:100%}
a{color:var(--s0)}
td.severity{font-weight:600}
.critical .severity,.high .severity{color:var(--s1)}
.known{color:var(--soft)}
td:nth-child(-n+3){white-space:nowrap}
td code{overflow-wrap:anywhere}
"""


def text(outcome: Outcome, stage: str) -> str:
    """Write the page of a stage."""
    body = "\n".join(
        [
            f"<h1>{escape(stage)}</h1>",
            f'<p class="soft">{escape(tables.summary(outcome))}</p>',
            _tools(outcome),
            "<h2>Findings</h2>",
            _findings(outcome),
        ]
    )
    return page(f"{stage}: checks", body, _STYLE)


def _tools(outcome: Outcome) -> str:
    rows = "".join(_tool(report, outcome) for report in outcome.reports)
    head = _head("tool", "version", "time", "result")
    return f'<div class="card"><table>{head}<tbody>{rows}</tbody></table></div>'


def _tool(report: Report, outcome: Outcome) -> str:
    cells = (
        report.tool,
        report.version or "–",
        f"{report.seconds:.1f} s",
        tables.state(report, outcome),
    )
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _findings(outcome: Outcome) -> str:
    if not outcome.findings:
        return '<p class="soft">None.</p>'
    rows = "".join(map(_finding, outcome.findings))
    head = _head("severity", "tool", "rule", "place", "message")
    return f'<div class="card"><table>{head}<tbody>{rows}</tbody></table></div>'


def _finding(judged: Judged) -> str:
    finding = judged.finding
    known = "<small>known</small>" if judged.known else ""
    rule = escape(finding.rule)
    if finding.help.startswith("https://"):
        rule = f'<a href="{escape(finding.help)}">{rule}</a>'
    style = "known" if judged.known else finding.severity.word
    return (
        f'<tr class="{style}"><td class="severity">{finding.severity.word}{known}</td>'
        f"<td>{escape(finding.tool)}</td><td>{rule}</td>"
        f"<td><code>{escape(finding.place)}</code></td><td>{escape(finding.message)}</td></tr>"
    )


def _head(*names: str) -> str:
    return f"<thead><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr></thead>"
