"""What an hour of an instance costs: a table that ships with its date and can be replaced."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from mlpipe import StageError


@dataclass(frozen=True, slots=True)
class Prices:
    """A price table.

    Attributes:
        date: As of when.
        currency: Of the prices.
        hourly: By instance type.
    """

    date: str
    currency: str
    hourly: Mapping[str, float]

    def of(self, instance: str) -> float | None:
        """Give an hour's price, or ``None`` where the table has none."""
        return self.hourly.get(instance)

    @classmethod
    def load(cls, path: Path | None = None) -> "Prices":
        """Read a table.

        Args:
            path: A file of the project's: YAML with ``date``, ``currency`` and ``hourly``. The
                table that ships when left out.

        Raises:
            StageError: The file is not there or is no such table.
        """
        import yaml

        if path is None:
            text = resources.files("mlpipe_aws").joinpath("prices.yaml").read_text("utf-8")
            return _table(yaml.safe_load(text), "prices.yaml")
        try:
            return _table(yaml.safe_load(path.read_text("utf-8")), str(path))
        except (OSError, yaml.YAMLError, UnicodeError) as error:
            raise StageError(f"the price table cannot be read: {error}", where=str(path)) from error


def _table(found: Any, where: str) -> Prices:
    hourly = found.get("hourly") if isinstance(found, dict) else None
    numbers = isinstance(hourly, dict) and all(
        isinstance(price, int | float) and not isinstance(price, bool) and price >= 0
        for price in hourly.values()
    )
    if not numbers:
        raise StageError(
            "is no price table",
            where=where,
            fix="Write date: 2026-11-01, currency: USD, hourly: {ml.m5.large: 0.115}.",
        )
    return Prices(str(found.get("date", "")), str(found.get("currency", "USD")), dict(hourly or {}))
