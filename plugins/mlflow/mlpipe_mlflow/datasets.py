"""Data sets as MLflow records them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

# MLflow's limits, in characters.
_NAME = 500
_DIGEST = 36

#: Facts that MLflow's page has its own words for.
_FACTS = {"rows": "num_rows", "columns": "num_columns"}


def dataset_input(payload: Mapping[str, Any], root: Path) -> "DatasetInput":
    """Make a run's input of an event of kind ``dataset``.

    Args:
        payload: ``name``, ``digest``, ``location`` and facts; ``context`` says what it was
            used for, as ``training``.
        root: The project's folder, which relative locations start from.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    location = str(payload.get("location") or "")
    scheme = urlsplit(location).scheme
    remote = len(scheme) > 1
    uri = location if remote else (root / location).resolve().as_uri()
    digest = str(payload.get("digest") or "")
    facts = {
        _FACTS.get(name, name): value
        for name, value in payload.items()
        if name not in ("name", "location", "context")
    }
    dataset = Dataset(
        name=str(payload["name"])[:_NAME],
        digest=digest.rpartition(":")[2][:_DIGEST],
        source_type=scheme if remote else "local",
        source=json.dumps({"uri": uri}),
        profile=json.dumps(facts),
    )
    context = payload.get("context")
    tags = [InputTag("mlflow.data.context", str(context))] if context else []
    return DatasetInput(dataset, tags)
