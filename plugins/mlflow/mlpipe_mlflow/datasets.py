"""Data sets as MLflow records them."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

# MLflow's limits, in characters.
_NAME = 500
_DIGEST = 36
_SCHEMA = 1_048_575

#: Facts that MLflow's page has its own words for.
_FACTS = {"rows": "num_rows", "columns": "num_columns"}
#: MLflow's types of columns; of any other kind it is a string.
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "integer": "long",
        "number": "double",
        "boolean": "boolean",
        "date": "datetime",
        "timestamp": "datetime",
    }
)


def dataset_input(payload: Mapping[str, Any], root: Path) -> "DatasetInput":
    """Make a run's input of an event of kind ``dataset``.

    Args:
        payload: ``name``, ``digest``, ``location`` and facts; ``schema`` says the kind of each
            column, ``context`` what it was used for, as ``training``.
        root: The project's folder, which relative locations start from.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    location = str(payload.get("location") or "")
    scheme = urlsplit(location).scheme
    remote = len(scheme) > 1
    uri = location if remote else (root / location).resolve().as_uri()
    digest = str(payload.get("digest") or "")
    facts = {
        _FACTS.get(name, name): len(value) if name == "columns" and not _is_number(value) else value
        for name, value in payload.items()
        if name not in ("name", "location", "context", "schema")
    }
    dataset = Dataset(
        name=str(payload["name"])[:_NAME],
        digest=digest.rpartition(":")[2][:_DIGEST],
        source_type=scheme if remote else "local",
        source=json.dumps({"uri": uri}),
        schema=_schema(payload.get("schema")),
        profile=json.dumps(facts),
    )
    context = payload.get("context")
    tags = [InputTag("mlflow.data.context", str(context))] if context else []
    return DatasetInput(dataset, tags)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _schema(kinds: object) -> str | None:
    """Write columns with their types as MLflow's pages read them; the first, where it is too long.

    Args:
        kinds: The kind of each column by name, if it is known.
    """
    if not isinstance(kinds, Mapping) or not kinds:
        return None
    room = _SCHEMA - len('{"mlflow_colspec": []}')
    columns = []
    for name, kind in kinds.items():
        column = {"type": _TYPES.get(kind, "string"), "name": str(name), "required": False}
        room -= len(json.dumps(column)) + len(", ")
        if room < 0:
            break
        columns.append(column)
    return json.dumps({"mlflow_colspec": columns})
