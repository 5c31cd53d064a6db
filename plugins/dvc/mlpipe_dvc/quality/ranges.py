"""Equal ranges of a column's values, which those who count and those who draw agree on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from mlpipe.types import Json
from mlpipe_dvc.values import Kind

#: At most this many ranges.
RANGES = 20

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges in order, each from where the last one ended up to and with its own end.

    Attributes:
        start: Below or at the least value.
        ends: The ends, rising. Days since 1970 for dates, microseconds for times.
    """

    start: float
    ends: tuple[float, ...]

    def labels(self, kind: Kind) -> list[str]:
        """Write the ranges for people."""
        step = 1 if kind in ("integer", "date") else 0
        starts = [self.start, *(end + step for end in self.ends)]
        pairs = zip(starts, self.ends, strict=False)
        long = kind == "timestamp" and self.ends[-1] - self.start < 20 * 86_400_000_000
        return [_label(kind, low, high, long) for low, high in pairs]


def ranges(kind: Kind, least: float, greatest: float) -> Ranges:
    """Divide what lies between two values.

    Args:
        kind: Of the column: whole numbers and days get ranges of whole numbers.
        least: The least value.
        greatest: The greatest value, finite as the least.
    """
    if kind in ("integer", "date"):
        low, high = int(least), int(greatest)
        width = -(-(high - low + 1) // RANGES)
        return Ranges(low, (*range(low + width - 1, high, width), high))
    ends = (least * (1 - n / RANGES) + greatest * (n / RANGES) for n in range(1, RANGES))
    inner = dict.fromkeys(end for end in ends if least < end < greatest)
    return Ranges(least, (*inner, greatest))


def measure(kind: Kind, value: Json) -> float | None:
    """Give a column's minimum or maximum as the number that ranges are made of."""
    if kind in ("integer", "number") and isinstance(value, (int, float)):
        return value
    try:
        if kind == "date" and isinstance(value, str):
            return date.fromisoformat(value).toordinal() - _EPOCH.toordinal()
        if kind == "timestamp" and isinstance(value, str):
            when = datetime.fromisoformat(value)
            return (when.replace(tzinfo=when.tzinfo or UTC) - _EPOCH) // _MICROSECOND
    except ValueError:  # a year that Python's calendar does not have
        return None
    return None


def as_json(kind: Kind, value: float | None) -> Json:
    """Give a number that ranges are made of as a column's minimum or maximum."""
    if value is None or kind in ("integer", "number"):
        return value
    try:
        if kind == "date":
            return date.fromordinal(int(value) + _EPOCH.toordinal()).isoformat()
        return (_EPOCH + int(value) * _MICROSECOND).replace(tzinfo=None).isoformat()
    except (OverflowError, ValueError):  # a year that Python's calendar does not have
        return f"{value / _PER_YEAR[kind == 'date'] + 1970:.0f}"


#: Microseconds and days.
_PER_YEAR = (365.2425 * 86_400e6, 365.2425)


def _label(kind: Kind, low: float, high: float, long: bool) -> str:
    if low == high:
        return _written(kind, low, long)
    return f"{_written(kind, low, long)} to {_written(kind, high, long)}"


def _written(kind: Kind, value: float, long: bool) -> str:
    if kind == "integer":
        return f"{int(value):,}" if abs(value) < 10**15 else f"{value:.6g}"
    if kind == "number":
        return f"{value:.5g}"
    text = str(as_json(kind, value)).replace("T", " ")
    return text[:19] if long or kind == "date" else text[:10]
