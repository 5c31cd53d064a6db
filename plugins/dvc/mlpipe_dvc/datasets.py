"""Data sets that have been made and are not versioned yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlpipe import Stage
from mlpipe_dvc.tracking.values import Made
from mlpipe_dvc.values import Description


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set, and what is known of it.

    Attributes:
        name: As the recipe calls it.
        made: Where it is and where it belongs.
        count: Its rows, or its files.
        facts: Beside the count, what observers are told.
        table: A description of its rows; of files, of the table that lists them.
    """

    name: str
    made: Made
    count: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    table: Description | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that was made of a source.

    Attributes:
        sets: The data sets, in the recipe's order.
        unit: What is counted, ``rows`` or ``files``.
        measured: A further metric, by name.
    """

    sets: Sequence[DataSet]
    unit: str
    measured: Mapping[str, float]


def belongs(path: Path, label: str, stage: Stage, links: Mapping[str, Path] | None = None) -> Made:
    """Say where something that was made belongs.

    Args:
        path: Where it is.
        label: Where it belongs, relative to the project's folder.
        stage: Whose project it is.
        links: Files that a folder consists of.
    """
    return Made(path=path, place=stage.root.resolve() / label, label=label, links=links)
