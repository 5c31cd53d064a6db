"""Outcomes from files, CSV, JSON lines or Parquet; and from the query of an experiment's plan."""

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlpipe import UserError
from mlpipe_experiments.assignment import fingerprint
from mlpipe_experiments.keeping import Experiment, Outcome
from mlpipe_experiments.outcomequery import OutcomeQuery
from mlpipe_experiments.plan import ExperimentPlan
from mlpipe_experiments.querying import rows

_KINDS = (".csv", ".jsonl", ".parquet")


def record_file(experiment: Experiment, path: Path, *, again: bool = False) -> int:
    """Record a file's outcomes; give how many.

    Its columns: ``key``, that units were assigned by, or ``id``, of the request (the one that its
    answer names, or the caller's own inference id); ``value``; and of a ratio metric ``of``.

    Args:
        experiment: What they are outcomes of.
        path: The file.
        again: Whether outcomes that were recorded before are recorded once more.

    Raises:
        UserError: It cannot be read, a row is wrong, its bytes were recorded before, or the plan
            names a query instead. Nothing is recorded then.
    """
    if experiment.plan.outcomes is not None:
        raise UserError(
            "outcomes of this experiment come from its query, as was decided before it began",
            where=str(path),
            fix=f"Read them: mlpipe ab record {experiment.name}",
        )
    outcomes = file_outcomes(path, experiment.plan, experiment.salt)
    batch = hashlib.sha256(path.read_bytes()).hexdigest()
    if again:
        batch = f"{batch} again {len(list(experiment.outcomes()))}"
    try:
        return experiment.record(outcomes, batch)
    except UserError as error:
        raise UserError(
            error.what, where=str(path), fix="If that is meant: --again. They then count twice."
        ) from error


def record_query(experiment: Experiment) -> int:
    """Read the outcomes that the plan's query gives now, instead of those it gave before.

    Returns:
        How many they are.

    Raises:
        UserError: The plan has no query, it cannot be run, or a row is wrong. What was read
            before stays then.
    """
    query = experiment.plan.outcomes
    if query is None:
        raise UserError(
            "its plan names no query that gives outcomes",
            where=f"experiment on {experiment.name}",
            fix="Name a file: --file. Or give the next experiment  outcomes: {sql: …, database: …}",
        )
    return experiment.put(
        query_outcomes(query, experiment.root, experiment.since, experiment.plan, experiment.salt)
    )


def file_outcomes(path: Path, plan: ExperimentPlan, salt: str) -> list[Outcome]:
    """Give a file's outcomes.

    Args:
        path: The file; see ``record_file``.
        plan: What they are outcomes of.
        salt: That its keys are to be hashed with.

    Raises:
        UserError: It cannot be read, or a row is wrong.
    """
    if path.suffix not in _KINDS:
        raise UserError(
            f'"{path.suffix}" is no kind of file that outcomes come in',
            where=str(path),
            fix=f"Kinds: {', '.join(_KINDS)}.",
        )
    try:
        found = list(_rows(path))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"cannot be read: {error}", where=str(path)) from error
    return [
        _outcome(plan, salt, row, f"{path}: row {number}") for number, row in enumerate(found, 1)
    ]


def query_outcomes(
    query: OutcomeQuery, root: Path, since: float, plan: ExperimentPlan, salt: str
) -> Iterator[Outcome]:
    """Give the outcomes that a query gives now, as they are fetched.

    Args:
        query: What to ask, and whom.
        root: The project's folder.
        since: What ``:since`` stands for, as Unix time in seconds.
        plan: What they are outcomes of.
        salt: That keys are to be hashed with.

    Raises:
        UserError: The query cannot be run, or a row is wrong.
    """
    for number, row in enumerate(rows(query, root, since), 1):
        yield _outcome(plan, salt, row, f"outcomes.sql: row {number}")


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet

        table: list[Mapping[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
        return table
    with path.open(newline="", encoding="utf-8-sig") as file:
        if path.suffix == ".csv":
            return list(csv.DictReader(file, strict=True))
        return list(_json_lines(file))


def _json_lines(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for line in filter(str.strip, lines):
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError(f"{line.strip()[:40]} is no object")  # noqa: TRY004 - of the file
        yield row


def _outcome(plan: ExperimentPlan, salt: str, row: Mapping[str, Any], where: str) -> Outcome:
    key, identifier = row.get("key"), row.get("id")
    if (key in (None, "")) == (identifier in (None, "")):
        raise UserError("it has either a key or an id", where=where, fix="Columns: key, value.")
    unit = str(identifier) if key in (None, "") else fingerprint(str(key), salt)
    value = _number(row, "value", where)
    metric = plan.metric
    if metric.kind == "binary" and value not in (0, 1):
        raise UserError(f'value is {value:g}: "{metric.name}" is 0 or 1', where=where)
    return Outcome(unit, value, _number(row, "of", where) if metric.kind == "ratio" else 1.0)


def _number(row: Mapping[str, Any], name: str, where: str) -> float:
    given = row.get(name)
    try:
        number = float(given)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{name} is {given!r}, which is no number", where=where)
    return number
