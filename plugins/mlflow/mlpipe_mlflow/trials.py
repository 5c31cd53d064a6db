"""Trials of a tuning: each is a run below the stage's."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mlpipe import Event
from mlpipe_mlflow import adoption
from mlpipe_mlflow.tracker import PARENT_TAG, Tracker
from mlpipe_mlflow.writing import flat, log_once, quoted, tag_value, valid_name

if TYPE_CHECKING:
    from mlflow.entities import Metric

#: Only a trial's MLflow run has this tag: its number.
TRIAL_TAG = "mlpipe.trial"

#: MLflow's word for each way in which a trial can end.
_STATUS: Mapping[str, str] = MappingProxyType(
    {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED", "stopped": "KILLED"}
)
#: Stands for the run of a trial that has nothing left to be written.
_WRITTEN = ""


def log(tracker: Tracker, event: Event, payload: Mapping[str, Any]) -> None:
    """Make the run of a trial that has ended, unless it is there.

    Args:
        tracker: Writes to MLflow.
        event: Who says so.
        payload: ``number``, ``state``, ``parameters``, ``objective``, ``metrics``, ``started`` and
            ``finished`` (Unix seconds), ``job`` and ``error``.
    """
    family = tracker.family(event.run)
    stage = family.stages.get(event.stage)
    if stage is None:
        return
    if event.stage not in family.trials:
        family.trials[event.stage] = _known(tracker, event.run, stage)
    known = family.trials[event.stage]
    started = _milliseconds(payload, "started", event)
    trial = str(payload["number"]), started
    run = known.get(trial)
    if run == _WRITTEN:
        return
    if run is None:
        tags = {**tracker.tags(event.run), PARENT_TAG: stage, **_tags(payload)}
        name = f"trial {payload['number']}"
        made = tracker.client.create_run(family.experiment, started, tags, run_name=name)
        run = str(made.info.run_id)
    ended = _milliseconds(payload, "finished", event)
    log_once(tracker.client, run, _metrics(payload, ended), flat(payload.get("parameters") or {}))
    tracker.client.set_terminated(run, _STATUS.get(str(payload["state"]), "FINISHED"), ended)
    known[trial] = _WRITTEN


def _known(tracker: Tracker, run: str, stage: str) -> dict[tuple[str, int], str]:
    """Find a stage's trials, by number and start: a second attempt counts from 0 again.

    From now on no run of the stage's own code can take the place of the stage's run, which the
    trials are below.
    """
    if adoption.MADE_TAG in tracker.client.get_run(stage).data.tags:
        tracker.client.delete_tag(stage, adoption.MADE_TAG)
    below = f"tags.`{PARENT_TAG}` = {quoted(stage)} and tags.`{TRIAL_TAG}` LIKE '%'"
    return {
        (each.data.tags[TRIAL_TAG], each.info.start_time): each.info.run_id
        if each.info.status == "RUNNING"
        else _WRITTEN
        for each in tracker.runs(run, below)
    }


def _tags(payload: Mapping[str, Any]) -> dict[str, str]:
    facts = {"mlpipe.job": payload.get("job"), "mlpipe.error": payload.get("error")}
    return {
        TRIAL_TAG: str(payload["number"]),
        "mlpipe.state": str(payload["state"]),
        **{name: tag_value(str(value)) for name, value in facts.items() if value},
    }


def _metrics(payload: Mapping[str, Any], when: int) -> "list[Metric]":
    from mlflow.entities import Metric

    values = dict(payload.get("metrics") or {})
    if payload.get("objective") is not None:
        values["objective"] = payload["objective"]
    return [Metric(valid_name(name), float(value), when, 0) for name, value in values.items()]


def _milliseconds(payload: Mapping[str, Any], name: str, event: Event) -> int:
    return int((payload.get(name) or event.time) * 1000)
