"""Checks as a gate: all that is wrong with the data is told at once, and reported."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import GateMissed, StageError
from mlpipe_dvc.checkconfig import AnyCheck, SchemaFile
from mlpipe_dvc.functions import load
from mlpipe_dvc.quality.functions import FunctionCheck
from mlpipe_dvc.quality.outcomes import Outcome, counted
from mlpipe_dvc.quality.report import Report, table, write_report
from mlpipe_dvc.quality.schemas import SchemaCheck
from mlpipe_dvc.quality.yamlschemas import load_yaml

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandera.pandas import DataFrameSchema

    from mlpipe import Stage

#: How many failures an error names; the report has all.
_NAMED = 50


class Checker:
    """Holds one data set, whole or in batches, against its checks.

    Args:
        checks: As the recipe names them.
        root: The project's folder.

    Raises:
        StageError: A check cannot be loaded.
    """

    def __init__(self, checks: Sequence[AnyCheck], root: Path) -> None:
        self._checks = [_loaded(check, root) for check in checks]
        self._batches = 0
        self._noun = "row"
        self._total = 0

    def add(self, batch: DataFrame) -> None:
        """Look at rows: at all of them, or at one batch after the other.

        The table is not changed: schemas coerce a copy, and functions are given one.

        Args:
            batch: At least one row. Rows are numbered on from batch to batch.

        Raises:
            StageError: A check is no check.
        """
        from pandas import RangeIndex

        start, stop = self._total, self._total + len(batch)
        seen = batch.set_axis(RangeIndex(start, stop), axis="index")
        for check in self._checks:
            check.add(seen, f"rows {start + 1:,} to {stop:,}")
        self._batches += 1
        self._total = stop

    def add_files(self, files: Mapping[str, Path]) -> None:
        """Look at files that are no tables.

        Args:
            files: Where they are, by their names in the data set.

        Raises:
            StageError: A check is a schema, which only tables have.
        """
        for check in self._checks:
            if isinstance(check, SchemaCheck):
                raise StageError(
                    "a schema describes a table, and this data set is of files",
                    where=check.label,
                    fix="Name a function that takes the files' paths by name.",
                )
            check.add_files(files)
        self._noun = "file"
        self._total += len(files)

    def finish(self, stage: Stage) -> None:
        """Write and keep the report, and say what failed.

        Raises:
            GateMissed: Anything failed.
        """
        outcomes = [each for check in self._checks for each in check.outcomes(self._batches)]
        report = Report(stage.name, self._total, self._noun, tuple(outcomes))
        page, _ = [stage.keep(path) for path in write_report(report, stage.scratch / "checks")]
        print(table(report))
        if report.failed:
            labels = list(dict.fromkeys(outcome.source for outcome in report.failed))
            raise _missed(report.failed, ", ".join(labels), _place(page, stage.root))


def _loaded(check: AnyCheck, root: Path) -> SchemaCheck | FunctionCheck:
    if isinstance(check, SchemaFile):
        return SchemaCheck(load_yaml(root / check.file, check.file), check.file)
    found = load(check.function, root)
    schema = _schema(found, check.function)
    return (
        FunctionCheck(found, check.function)
        if schema is None
        else SchemaCheck(schema, check.function)
    )


def _schema(found: object, label: str) -> DataFrameSchema | None:
    """Give the schema that an object is, if it is one."""
    if "pandera" not in sys.modules:  # whoever made a schema has imported it
        return None
    from pandera.api.base.model import BaseModel
    from pandera.api.base.schema import BaseSchema
    from pandera.pandas import DataFrameModel, DataFrameSchema

    if isinstance(found, DataFrameSchema):
        return found
    try:
        if isinstance(found, type) and issubclass(found, DataFrameModel):
            return found.to_schema()
    except Exception as error:  # a model is put together only now, and may be at odds with itself
        raise StageError(f"is no model: {type(error).__name__}: {error}", where=label) from error
    if isinstance(found, BaseSchema) or (isinstance(found, type) and issubclass(found, BaseModel)):
        raise StageError(
            "is a schema of pandera that is not of pandas tables",
            where=label,
            fix="Make it with pandera.pandas: a DataFrameSchema, or a DataFrameModel.",
        )
    return None


def _place(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _missed(failed: Sequence[Outcome], labels: str, page: str) -> GateMissed:
    lines = [f"- {outcome.text}" for outcome in failed[:_NAMED]]
    if len(failed) > _NAMED:
        lines.append(f"- and {len(failed) - _NAMED:,} more")
    return GateMissed(
        "\n   ".join([f"{counted(len(failed), 'check')} failed", *lines]),
        metric="checks.failures",
        bound="<= 0",
        value=len(failed),
        where=labels,
        fix=f"No file was written. Repair the source, or add a step that does. Report: {page}",
    )
