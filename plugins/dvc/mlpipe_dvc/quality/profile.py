"""The profile: a page with a card for each column, tables side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from mlpipe.errors import StageError
from mlpipe_dvc.quality.pages import page, text
from mlpipe_dvc.quality.plots import Part, plot, written_as
from mlpipe_dvc.values import Column, Description

#: With more columns than this, counts are left to the plots: the page stays small.
_WIDE = 150
#: How many colours there are.
_SERIES = 5

_STYLE = """
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:16px}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px;
min-width:0;content-visibility:auto;contain-intrinsic-size:auto 380px}
.card h2{margin:0 0 10px;font-size:1rem;display:flex;gap:8px;justify-content:space-between;
align-items:baseline}
.card h2 span{overflow-wrap:anywhere;min-width:0}
.kind{font-size:.78rem;font-weight:400;color:var(--soft);white-space:nowrap}
.card table{font-size:.84rem;margin-top:10px}
.card th,.card td{padding:3px 0 3px 10px;overflow-wrap:anywhere}
.card th:first-child{padding-left:0;font-weight:400;color:var(--soft);white-space:nowrap}
.card tr:last-child>*{border-bottom:0}
.card td,.card thead th{text-align:right}
.card thead th,.overview td,.overview th{white-space:nowrap}
.overview{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:12px 16px;
margin:16px 0;overflow-x:auto}
.overview td,.overview thead th+th{text-align:right}
.overview tr:last-child>*{border-bottom:0}
.overview tr>:last-child{padding-right:0}
svg{display:block;width:100%}
.plot{height:92px;border-bottom:1px solid var(--line)}
.bars{height:auto}
.bars text{font-size:11px;fill:var(--ink)}
.bars .v{text-anchor:end;fill:var(--soft)}
path{stroke-width:1.6;vector-effect:non-scaling-stroke;fill-opacity:.16;stroke-linejoin:round}
.b{stroke:none!important;fill-opacity:1}
.one path{fill-opacity:.75;stroke-width:.6}
.ends{display:flex;justify-content:space-between;gap:12px;margin:2px 0 0;font-size:.78rem;
color:var(--soft)}
.gap{height:4px;margin-top:3px;border-radius:2px;background:var(--line);overflow:hidden}
.gap rect{fill:var(--bad)}
.key{display:inline-block;width:.75em;height:.75em;border-radius:3px;margin-right:.45em}
details{margin-top:8px;font-size:.84rem}
summary{cursor:pointer;color:var(--soft)}
""" + "".join(
    f"path.s{n}{{fill:var(--s{n});stroke:var(--s{n})}}.key.s{n}{{background:var(--s{n})}}\n"
    for n in range(_SERIES)
)

_STATISTICS: Mapping[str, Callable[[Column], object]] = MappingProxyType(
    {
        "distinct": lambda column: column.distinct,
        "min": lambda column: column.minimum,
        "max": lambda column: column.maximum,
        "mean": lambda column: column.mean,
        "std": lambda column: column.deviation,
    }
)


def write_profile(title: str, tables: Mapping[str, Description], path: Path) -> None:
    """Write a page about tables, which needs no other file, no script and no network.

    Args:
        title: What people call the data.
        tables: At least one, by name. Several, as the parts of a split, are drawn one over the
            other, as shares of their rows: where the split is skewed, it shows.
        path: A new file.

    Raises:
        StageError: It cannot be written, as on a full disk.
    """
    names = list(dict.fromkeys(each.name for table in tables.values() for each in table.columns))
    cards = "\n".join(_cards(names, tables))
    heading = f'<h1>{text(title)}</h1>\n<p class="soft">{_summary(tables, names)}</p>'
    one = "one" if len(tables) == 1 else ""
    body = f'{heading}\n{_overview(tables)}\n<div class="grid {one}">\n{cards}\n</div>'
    try:
        path.write_text(page(title, body, _STYLE), encoding="utf-8", errors="replace")
    except OSError as error:
        reason = error.strerror or str(error)
        raise StageError(f"the profile cannot be written: {reason}", where=path.name) from error


def _summary(tables: Mapping[str, Description], names: Sequence[str]) -> str:
    rows = sum(table.rows for table in tables.values())
    parts = f" in {len(tables)} parts" if len(tables) > 1 else ""
    return f"{rows:,} rows{parts}, {len(names):,} columns"


def _overview(tables: Mapping[str, Description]) -> str:
    total = sum(table.rows for table in tables.values())
    rows = "".join(
        f'<tr><th scope="row">{_key(number)}{text(name)}</th><td>{table.rows:,}</td>'
        f"<td>{_share(table.rows, total)}</td><td>{_gaps(table)}</td></tr>"
        for number, (name, table) in enumerate(tables.items())
    )
    heads = ("Table", "Rows", "Share", "Missing")
    cells = "".join(f'<th scope="col">{head}</th>' for head in heads)
    caption = "Shares are of a table's values that are not missing." if len(tables) > 1 else ""
    return (
        f'<div class="overview"><table><caption>{caption}</caption>'
        f"<thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _gaps(table: Description) -> str:
    missing = sum(column.missing for column in table.columns)
    return f"{missing:,} ({_share(missing, table.rows * len(table.columns))})"


def _cards(names: Sequence[str], tables: Mapping[str, Description]) -> Iterator[str]:
    known = [{column.name: column for column in table.columns} for table in tables.values()]
    wide = len(names) > _WIDE
    for name in names:
        parts = [
            Part(table, number % _SERIES, columns[name], description.rows)
            for number, (columns, (table, description)) in enumerate(
                zip(known, tables.items(), strict=True)
            )
            if name in columns
        ]
        yield _card(name, parts, counts=not wide, alone=len(tables) == 1)


def _card(name: str, parts: Sequence[Part], *, counts: bool, alone: bool) -> str:
    kinds = " / ".join(dict.fromkeys(part.column.kind for part in parts))
    return (
        f'<section class="card"><h2><span>{text(name) or "(no name)"}</span>'
        f'<span class="kind">{kinds}</span></h2>{plot(parts)}'
        f"{_statistics(parts, alone=alone)}{_counts(parts) if counts else ''}</section>"
    )


def _statistics(parts: Sequence[Part], *, alone: bool) -> str:
    rows = ["<tr><th scope=row>missing</th>" + "".join(map(_missing, parts)) + "</tr>"]
    for name, statistic in _STATISTICS.items():
        values = [(part.column.kind, statistic(part.column)) for part in parts]
        if any(value is not None for _, value in values):
            cells = "".join(f"<td>{text(_cut(written_as(*each)))}</td>" for each in values)
            rows.append(f"<tr><th scope=row>{name}</th>{cells}</tr>")
    head = "" if alone else _head(parts)
    return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"


def _head(parts: Sequence[Part]) -> str:
    cells = "".join(f"<th scope=col>{_key(p.series)}{text(p.name)}</th>" for p in parts)
    return f"<thead><tr><td></td>{cells}</tr></thead>"


def _missing(part: Part) -> str:
    missing = part.column.missing
    if not missing:
        return "<td>0</td>"
    width = max(1.0, 100 * missing / part.rows)
    return (
        f"<td>{missing:,} ({_share(missing, part.rows)})"
        '<svg class="gap" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{width:.0f}" height="4"/></svg></td>'
    )


def _counts(parts: Sequence[Part]) -> str:
    """Give the distributions as text, for those who do not see the plots."""
    tables = "".join(
        f"<table><caption>{text(part.name)}</caption><thead><tr><th scope=col>value</th>"
        f"<th scope=col>rows</th></tr></thead><tbody>{_counted(part)}</tbody></table>"
        for part in parts
        if part.column.histogram
    )
    return f"<details><summary>Counts</summary>{tables}</details>" if tables else ""


def _counted(part: Part) -> str:
    return "".join(
        f"<tr><th scope=row>{text(label)}</th><td>{count:,}</td></tr>"
        for label, count in part.column.histogram
    )


def _key(series: int) -> str:
    return f'<span class="key s{series % _SERIES}"></span>'


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "–"


def _cut(value: str) -> str:
    return value if len(value) <= 40 else value[:39] + "…"
