"""Runs that a stage's own code made with MLflow: they take the place of the observer's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlpipe_mlflow.writing import log_metrics, log_params, log_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

#: Marks a run that the observer made.
MADE_TAG = "mlpipe.made"

_PARENT = "mlflow.parentRunId"
_USES = "mlpipe.uses"


def adopt(client: "MlflowClient", own: str, runs: "Sequence[Run]", parent: str) -> str:
    """Bring runs that a stage's own code made into the tree.

    The only one becomes the stage's run: it gets what the observer knows, and the observer's
    own is deleted. Where there are several, or the stage's run is not the observer's any more,
    they go below it.

    Args:
        client: MLflow.
        own: Identifier of the stage's run.
        runs: All runs with the stage's tags.
        parent: Identifier of the pipeline run's.

    Returns:
        The identifier of the run that is the stage's now.
    """
    mine = next((run for run in runs if run.info.run_id == own), None)
    strangers = [run for run in runs if _USES not in run.data.tags and _PARENT not in run.data.tags]
    if mine is not None and len(strangers) == 1 and MADE_TAG in mine.data.tags:
        _replace(client, mine, strangers[0].info.run_id, parent)
        return str(strangers[0].info.run_id)
    for run in strangers:
        client.set_tag(run.info.run_id, _PARENT, own)
    return own


def _replace(client: "MlflowClient", mine: "Run", other: str, parent: str) -> None:
    """Copy what the observer wrote, then delete its run.

    The tag that makes the other the stage's run is written last but for the deletion, so that
    a process which dies in between leaves nothing that the next cannot finish.
    """
    log_params(client, other, mine.data.params)
    for name in mine.data.metrics:
        log_metrics(client, other, client.get_metric_history(mine.info.run_id, name))
    inputs: list[DatasetInput] = mine.inputs.dataset_inputs if mine.inputs else []
    if inputs:
        client.log_inputs(other, datasets=inputs)
    tags = {
        name: value
        for name, value in mine.data.tags.items()
        if not name.startswith("mlflow.") and name != MADE_TAG
    }
    log_tags(client, other, {**tags, _PARENT: parent})
    client.delete_run(mine.info.run_id)
