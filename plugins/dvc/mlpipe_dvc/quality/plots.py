"""Small plots of a column, as inline SVG: each table's shares, one over the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlpipe_dvc.quality.pages import text
from mlpipe_dvc.quality.questions import INFINITE, OTHERS
from mlpipe_dvc.quality.ranges import as_json, measure, ranges
from mlpipe_dvc.values import Column, Kind

_WIDTH, _HEIGHT = 300, 84
#: How many values are drawn, and how many characters there are for a name and the shares.
_BARS = 8
_LABEL = 42
#: Whole numbers of so few values are drawn as bars, so that classes can be compared.
_CLASSES = 12

_LINE, _BAR, _GAP = 14, 5, 7


@dataclass(frozen=True, slots=True)
class Part:
    """A column of one table.

    Attributes:
        name: The table's.
        series: Which colour it has.
        column: What is known of it.
        rows: Of the table.
    """

    name: str
    series: int
    column: Column
    rows: int

    @property
    def present(self) -> int:
        """How many values there are."""
        return self.rows - self.column.missing

    def shares(self) -> dict[str, float]:
        """Give the share of each value or range among those that are there."""
        found: dict[str, float] = {}
        for label, count in self.column.histogram:
            found[label] = found.get(label, 0.0) + count / self.present
        return found


def plot(parts: Sequence[Part]) -> str:
    """Draw a column of one table or more.

    Args:
        parts: Its tables.

    Returns:
        HTML; a sentence where there is nothing to draw.
    """
    drawn = [part for part in parts if part.present and part.column.histogram]
    if not drawn:
        return '<p class="soft">No values</p>'
    shapes = [_shape(part) for part in drawn]
    if _are_classes(drawn) or not all(shapes):
        return _bars(drawn, in_order=all(shapes))
    return _curves(drawn, [shape for shape in shapes if shape])


def _are_classes(parts: Sequence[Part]) -> bool:
    labels = {label for part in parts for label, _ in part.column.histogram}
    kinds = {part.column.kind for part in parts}
    return kinds == {"integer"} and len(labels) <= _CLASSES and not any("to" in x for x in labels)


# -- numbers and times --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shape:
    """Edges of ranges, one more than there are heights; heights are shares per width."""

    edges: tuple[float, ...]
    heights: tuple[float, ...]


def _shape(part: Part) -> _Shape | None:
    column = part.column
    least, greatest = (measure(column.kind, each) for each in (column.minimum, column.maximum))
    if least is None or greatest is None:
        return None
    counts = [count for label, count in column.histogram if label != INFINITE]
    found = ranges(column.kind, least, greatest)
    if len(found.ends) != len(counts):
        return None
    whole = 1 if column.kind in ("integer", "date") else 0
    edges = (found.start, *(end + whole for end in found.ends))
    widths = [_wide(low, high) for low, high in pairwise(edges)]
    heights = [n / part.present / width for n, width in zip(counts, widths, strict=True)]
    return _Shape(edges, tuple(heights))


def _wide(low: float, high: float) -> float:
    # Halves do not overflow where the ends are as far apart as doubles can be.
    return (high / 2 - low / 2) or 1.0


def _curves(parts: Sequence[Part], shapes: Sequence[_Shape]) -> str:
    low = min(shape.edges[0] for shape in shapes)
    high = max(shape.edges[-1] for shape in shapes)
    top = max(max(shape.heights) for shape in shapes) or 1.0
    paths = "".join(
        f'<path class="s{part.series}" d="{_outline(shape, low, high, top)}"/>'
        for part, shape in zip(parts, shapes, strict=True)
    )
    ends = [_end(parts, "minimum"), _end(parts, "maximum")]
    label = f"Distribution from {ends[0]} to {ends[1]}. " + "; ".join(map(_most, parts))
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{text(label)}">{paths}</svg>'
        f'<p class="ends" aria-hidden="true"><span>{text(ends[0])}</span>'
        f"<span>{text(ends[1])}</span></p>"
    )


def _outline(shape: _Shape, low: float, high: float, top: float) -> str:
    span = _wide(low, high)

    def x(edge: float) -> str:
        return f"{_wide(low, edge) / span * _WIDTH if edge != low else 0:.1f}".removesuffix(".0")

    steps = [f"M{x(shape.edges[0])} {_HEIGHT}"]
    for edge, height in zip(shape.edges[1:], shape.heights, strict=True):
        y = _HEIGHT - height / top * (_HEIGHT - 4)
        steps.append(f"V{y:.1f}H{x(edge)}".replace(".0H", "H").removesuffix(".0"))
    return "".join([*steps, f"V{_HEIGHT}Z"])


def _end(parts: Sequence[Part], which: str) -> str:
    """Write the outermost minimum or maximum, as the statistics do."""
    values = [(measure(p.column.kind, getattr(p.column, which)), p.column) for p in parts]
    known = [(value, column) for value, column in values if value is not None]
    pick = min if which == "minimum" else max
    value, column = pick(known, key=lambda pair: pair[0])
    return written_as(column.kind, as_json(column.kind, value))


def _most(part: Part) -> str:
    label, count = max(part.column.histogram, key=lambda item: item[1])
    return f"{part.name}: most often {label}, {count / part.present:.1%}"


# -- values by name -----------------------------------------------------------------------------


def _bars(parts: Sequence[Part], *, in_order: bool) -> str:
    shares = [part.shares() for part in parts]
    labels = _labels(shares) if in_order else _most_frequent(shares)
    if OTHERS in labels:
        shares = [_with_others(share, labels) for share in shares]
    top = max(share.get(label, 0.0) for share in shares for label in labels) or 1.0
    step = _LINE + _BAR * len(parts) + _GAP
    texts = "".join(
        f'<text x="0" y="{row * step + 11}">{text(_short(label, len(parts)))}</text>'
        f'<text class="v" x="{_WIDTH}" y="{row * step + 11}">{_values(shares, label)}</text>'
        for row, label in enumerate(labels)
    )
    paths = "".join(
        f'<path class="b s{part.series}" d="'
        + "".join(
            _bar(share.get(label, 0.0) / top, row * step + _LINE + number * _BAR)
            for row, label in enumerate(labels)
        )
        + '"/>'
        for number, (part, share) in enumerate(zip(parts, shares, strict=True))
    )
    label = "Shares. " + "; ".join(map(_most, parts))
    return (
        f'<svg class="bars" viewBox="0 0 {_WIDTH} {step * len(labels)}" role="img"'
        f' aria-label="{text(label)}">{paths}{texts}</svg>'
    )


def _labels(shares: Sequence[Mapping[str, float]]) -> list[str]:
    labels = {label for share in shares for label in share}
    return sorted(labels, key=lambda label: (label == INFINITE, _number(label)))


def _most_frequent(shares: Sequence[Mapping[str, float]]) -> list[str]:
    total: dict[str, float] = {}
    for share in shares:
        for label, value in share.items():
            total[label] = total.get(label, 0.0) + value
    more = total.pop(OTHERS, 0.0) > 0 or len(total) > _BARS
    labels = sorted(total, key=lambda label: -total[label])[:_BARS]
    return [*labels[: _BARS - 1], OTHERS] if more else labels


def _with_others(share: Mapping[str, float], labels: Sequence[str]) -> dict[str, float]:
    """Sum what is not drawn. A value that is not among a table's most frequent is in its others."""
    kept = {label: share[label] for label in labels if label in share and label != OTHERS}
    rest = 1 - sum(kept.values())
    return {**kept, OTHERS: rest} if rest > 1e-9 else kept


def _number(label: str) -> float:
    try:
        return float(label.replace(",", ""))
    except ValueError:
        return 0.0


def _bar(share: float, y: int) -> str:
    return f"M0 {y}h{max(share * _WIDTH, 1):.0f}v{_BAR - 1}H0z" if share else ""


def _values(shares: Sequence[Mapping[str, float]], label: str) -> str:
    return " · ".join(f"{share[label]:.1%}" if label in share else "–" for share in shares)


def _short(label: str, parts: int) -> str:
    label = label if label.strip() else repr(label)
    room = max(10, _LABEL - 8 * parts)
    return label if len(label) <= room else label[: room - 1] + "…"


def written(value: object) -> str:
    """Write a statistic for people."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**12 else f"{value:.6g}"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def written_as(kind: Kind, value: object) -> str:
    """Write a least or greatest value for people."""
    shown = written(value)
    return shown.replace("T00:00:00", "").replace("T", " ") if kind == "timestamp" else shown
