"""What DuckDB is asked of a column, and what is asked next when it has answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

from mlpipe_dvc.quality.ranges import Ranges, as_json, ranges
from mlpipe_dvc.values import Column, Kind

#: What is counted apart: values that are none of the most frequent, and infinite numbers.
OTHERS = "(others)"
INFINITE = "(infinite)"

#: How many of the most frequent values are told, and how many are in the running.
_FREQUENT = 10
_CANDIDATES = 40
#: Up to so many different values are counted one by one.
_FEW = 1000
#: Texts are told apart by so many characters, and shown with so many.
_TOLD_APART = 200
_SHOWN = 80
#: The squares of greater numbers are beyond what a double holds.
_HUGE = "1e150"

#: SQL that is null where a text cannot be read as what it may be.
_READ_AS: Mapping[Kind, str] = MappingProxyType(
    {
        "boolean": "nullif({0} IN ('True', 'False', 'TRUE', 'FALSE', 'true', 'false'), false)",
        "number": "TRY_CAST({0} AS DOUBLE)",  # an infinite number is text to DuckDB's own guess
        "timestamp": "TRY_CAST({0} AS TIMESTAMP)",
    }
)

#: SQL of a value, null where it is missing; and of the finite number that ranges are made of.
_VALUE: Mapping[Kind, str] = MappingProxyType(
    {
        "integer": "{0}",
        "number": "CASE WHEN NOT isnan({0}::DOUBLE) THEN {0}::DOUBLE END",
        "date": "{0}",
        "timestamp": "{0}::TIMESTAMP",
    }
)
_NUMBER: Mapping[Kind, str] = MappingProxyType(
    {
        "integer": "{0}",
        "number": "CASE WHEN isfinite({0}::DOUBLE) THEN {0}::DOUBLE END",
        "date": "CASE WHEN isfinite({0}) THEN date_diff('day', DATE '1970-01-01', {0}) END",
        "timestamp": "CASE WHEN isfinite({0}::TIMESTAMP) THEN epoch_us({0}::TIMESTAMP) END",
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A column that is being described.

    Attributes:
        name: Its name.
        kind: What its values are.
        alias: SQL of its values.
        guesses: What it is where all its texts can be read as that.
    """

    name: str
    kind: Kind
    alias: str
    guesses: tuple[Kind, ...] = ()


class Question(Protocol):
    """Something that a reading of the table answers.

    Attributes:
        weight: What it takes of memory, in terms of the simplest.
    """

    @property
    def weight(self) -> int:
        """What it takes of memory."""

    def sql(self) -> Sequence[str]:
        """Give the expressions to select."""

    def next(self, answers: Sequence[Any]) -> Question | Column:
        """Give what to ask in the next reading, or the column when all is known."""


def question(asked: Asked) -> Question:
    """Give the first question of a column."""
    return Extent(asked) if asked.kind in _NUMBER else Variety(asked)


@dataclass(frozen=True, slots=True)
class Extent:
    """From where to where do numbers or times go?"""

    asked: Asked

    @property
    def weight(self) -> int:
        """What it takes of memory."""
        return 1

    def sql(self) -> Sequence[str]:
        """Give the expressions to select."""
        kind, alias = self.asked.kind, self.asked.alias
        value, number = _VALUE[kind].format(alias), _NUMBER[kind].format(alias)
        double = f"CAST({number} AS DOUBLE)"
        sized = f"CASE WHEN abs({double}) < {_HUGE} THEN {double} END"
        return [
            f"count(*) - count({value})",
            f"count({value})",
            f"approx_count_distinct({value})",
            f"min({number})",
            f"max({number})",
            f"count({number}) = count({sized})",
            f"avg({sized})",
            f"stddev_samp({sized})",
        ]

    def next(self, answers: Sequence[Any]) -> Question | Column:
        """Ask how many values there are in each range."""
        missing, present, distinct, least, greatest, sized, mean, deviation = answers
        averaged = sized and self.asked.kind in ("integer", "number")
        column = Column(
            name=self.asked.name,
            kind=self.asked.kind,
            missing=missing,
            distinct=min(distinct, present),
            minimum=as_json(self.asked.kind, least),
            maximum=as_json(self.asked.kind, greatest),
            mean=mean if averaged else None,
            deviation=deviation if averaged else None,
        )
        if not present:
            return column
        parts = None if least is None else ranges(self.asked.kind, least, greatest)
        return Shape(self.asked, column, present, parts)


@dataclass(frozen=True, slots=True)
class Shape:
    """How many values are there in each range?

    Attributes:
        asked: The column.
        column: What is known of it.
        present: How many values there are.
        parts: The ranges; ``None`` where every value is infinite.
    """

    asked: Asked
    column: Column
    present: int
    parts: Ranges | None

    @property
    def weight(self) -> int:
        """What it takes of memory."""
        return _weight(self.column)

    def sql(self) -> Sequence[str]:
        """Give the expressions to select."""
        kind, alias = self.asked.kind, self.asked.alias
        counts = "NULL"
        if self.parts:
            ends = ", ".join(_literal(kind, end) for end in self.parts.ends)
            counts = f"map_values(histogram({_NUMBER[kind].format(alias)}, [{ends}]))"
        return [_exact(self.column, _VALUE[kind].format(alias)), counts]

    def next(self, answers: Sequence[Any]) -> Question | Column:
        """Give the column."""
        exact, counts = answers
        histogram: list[tuple[str, int]] = []
        if self.parts:
            labels = self.parts.labels(self.asked.kind)
            histogram = list(zip(labels, counts, strict=False))
        if infinite := self.present - sum(count for _, count in histogram):
            histogram.append((INFINITE, infinite))
        return _completed(self.column, exact, histogram)


@dataclass(frozen=True, slots=True)
class Variety:
    """Which values do texts and others have?"""

    asked: Asked

    @property
    def weight(self) -> int:
        """What it takes of memory."""
        return 1

    def sql(self) -> Sequence[str]:
        """Give the expressions to select."""
        alias = self.asked.alias
        text = _told_apart(alias)
        return [
            f"count(*) - count({alias})",
            f"count({alias})",
            f"approx_count_distinct(CAST({alias} AS VARCHAR))",
            f"min({text})",
            f"max({text})",
            f"approx_top_k({text}, {_CANDIDATES})",
            *(f"count({_READ_AS[guess].format(alias)})" for guess in self.asked.guesses),
        ]

    def next(self, answers: Sequence[Any]) -> Question | Column:
        """Ask how frequent the values are; or, where they are numbers after all, as of those."""
        missing, present, distinct, least, greatest, candidates, *read = answers
        kind = self._proven(present, read)
        if kind in _NUMBER:
            return Extent(Asked(self.asked.name, kind, self.asked.alias))
        column = Column(self.asked.name, kind, missing, min(distinct, present))
        if kind == "text" and present:
            column = replace(column, minimum=least[:_SHOWN], maximum=greatest[:_SHOWN])
        return Frequency(self.asked, column, present, tuple(candidates)) if present else column

    def _proven(self, present: int, read: Sequence[int]) -> Kind:
        guesses = self.asked.guesses
        if guesses and not present:
            return "other"
        pairs = zip(guesses, read, strict=True)
        return next((guess for guess, count in pairs if count == present), self.asked.kind)


@dataclass(frozen=True, slots=True)
class Frequency:
    """How often are there the most frequent values?

    Attributes:
        asked: The column.
        column: What is known of it.
        present: How many values there are.
        candidates: What may be the most frequent ones.
    """

    asked: Asked
    column: Column
    present: int
    candidates: tuple[str, ...]

    @property
    def weight(self) -> int:
        """What it takes of memory."""
        return _weight(self.column)

    def sql(self) -> Sequence[str]:
        """Give the expressions to select."""
        listed = ", ".join(_quoted(each) for each in self.candidates)
        counts = f"histogram_exact('=' || {_told_apart(self.asked.alias)}, [{listed}])"
        return [_exact(self.column, f"CAST({self.asked.alias} AS VARCHAR)"), counts]

    def next(self, answers: Sequence[Any]) -> Question | Column:
        """Give the column."""
        exact, counts = answers
        counted = Counter[str]()
        for value in self.candidates:
            counted[self._label(value)] += counts[f"={value}"]
        # Of equally frequent values, the first by name: the same data, the same description.
        frequent = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:_FREQUENT]
        if others := self.present - sum(count for _, count in frequent):
            frequent.append((OTHERS, others))
        return _completed(self.column, exact, frequent)

    def _label(self, value: str) -> str:
        if self.column.kind == "boolean":
            return value.lower()
        return value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"


def _weight(column: Column) -> int:
    return 8 if column.distinct <= _FEW else 1


def _exact(column: Column, value: str) -> str:
    return f"count(DISTINCT {value})" if column.distinct <= _FEW else "NULL"


def _told_apart(alias: str) -> str:
    return f"left(CAST({alias} AS VARCHAR), {_TOLD_APART})"


def _quoted(text: str) -> str:
    """Write a text as a literal, marked so that it is not what DuckDB calls all others: ''."""
    return "'=" + text.replace("'", "''") + "'"


def _literal(kind: Kind, end: float) -> str:
    return f"'{end!r}'::DOUBLE" if kind == "number" else f"{end}"


def _completed(column: Column, exact: int | None, histogram: Sequence[tuple[str, int]]) -> Column:
    distinct = column.distinct if exact is None else exact
    return replace(column, distinct=distinct, histogram=tuple(histogram))
