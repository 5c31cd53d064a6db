"""Gates: bounds on metrics."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

_OPERATORS: Mapping[str, tuple[Callable[[float, float], bool], str]] = MappingProxyType(
    {
        ">=": (operator.ge, "≥"),
        "<=": (operator.le, "≤"),
        ">": (operator.gt, ">"),
        "<": (operator.lt, "<"),
        "==": (operator.eq, "="),
    }
)
_FORM = re.compile(r"\s*(>=|<=|==|>|<)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound on a metric.

    Attributes:
        metric: Its name.
        sign: ``>=``, ``<=``, ``>``, ``<`` or ``==``.
        bound: The number.
    """

    metric: str
    sign: str
    bound: float

    @property
    def bound_text(self) -> str:
        """The bound as the recipe writes it."""
        return f"{self.sign} {self.bound:g}"

    def missed(self, value: float) -> float | None:
        """Give by how much a value misses the bound; ``None`` if it does not. NaN always does."""
        holds, _ = _OPERATORS[self.sign]
        if holds(value, self.bound):
            return None
        return math.nan if math.isnan(value) else abs(value - self.bound)

    def text(self, value: float) -> str:
        """Say how a value stands to the bound."""
        sign = _OPERATORS[self.sign][1]
        shortfall = self.missed(value)
        if shortfall is None:
            return f"{self.metric} {value:.4g} {sign} {self.bound:g}"
        by = "" if math.isnan(shortfall) else f" ({shortfall:.2g} {self._direction})"
        return f"{self.metric} {value:.4g}, wanted {sign} {self.bound:g}{by}"

    @property
    def _direction(self) -> str:
        return {">": "short", "<": "over", "=": "off"}[self.sign[0]]


def parse_gate(metric: str, text: str) -> Gate:
    """Read a bound as ``>= 0.94``.

    Raises:
        ValueError: It is none.
    """
    match = _FORM.fullmatch(text)
    try:
        bound = float(match[2]) if match is not None else math.nan
    except ValueError:
        bound = math.nan
    if match is not None and math.isfinite(bound):
        return Gate(metric, match[1], bound)
    raise ValueError(f'"{text}" is no bound: write a sign and a number, as ">= 0.94"')
