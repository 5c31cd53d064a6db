"""One function for each lifecycle event."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from mlpipe import Event
from mlpipe_mlflow import experiments, models, trials
from mlpipe_mlflow.datasets import dataset_input
from mlpipe_mlflow.tracker import Tracker
from mlpipe_mlflow.writing import (
    flat,
    log_final_metrics,
    log_params,
    log_tags,
    milliseconds,
    valid_name,
)

#: MLflow's word for each way in which a stage or run can end.
STATUS: Mapping[str, str] = MappingProxyType(
    {
        "done": "FINISHED",
        "cached": "FINISHED",
        "in place": "FINISHED",
        "failed": "FAILED",
        "gate failed": "FAILED",
        "interrupted": "KILLED",
        "killed": "KILLED",
    }
)
_GATE_TAG = "mlpipe.gate"
_OF_A_STAGE = ("dataset", "artifact", "model", "experiment")


def run_started(tracker: Tracker, event: Event) -> None:
    """Make the parent run, with the recipe's parameters."""
    family = tracker.family(event.run)
    log_params(tracker.client, family.parent, flat(event.data.get("params") or {}))


def stage_started(tracker: Tracker, event: Event) -> None:
    """Make the nested run, with the stage's settings."""
    tracker.begin_stage(event)


def stage_event(tracker: Tracker, event: Event) -> None:
    """Log what a stage said, where it is of a kind that MLflow has a place for."""
    kind, payload = event.data["kind"], event.data["payload"]
    if kind == "metrics":
        _metrics(tracker, event, payload)
    elif kind == "trial":
        trials.log(tracker, event, payload)
    elif kind in _OF_A_STAGE and (run := tracker.stage(event)):
        if kind == "dataset":
            tracker.client.log_inputs(run, datasets=[dataset_input(payload, tracker.context.root)])
        elif kind == "artifact":
            _artifact(tracker, event, run, payload)
        elif kind == "experiment":
            experiments.log(tracker, event, run, payload)
        else:
            models.register(tracker, event, run, payload)


def _metrics(tracker: Tracker, event: Event, payload: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric

    run = tracker.family(event.run).stages.get(event.stage)
    if run is None:
        return
    when = int((payload.get("time") or event.time) * 1000)
    step = payload.get("step") or 0
    metrics = [
        Metric(valid_name(name), float(value), when, step)
        for name, value in payload["metrics"].items()
    ]
    tracker.metrics.add(run, metrics)


def _artifact(tracker: Tracker, event: Event, run: str, payload: Mapping[str, Any]) -> None:
    place = str(payload.get("location") or payload.get("path") or "")
    path = tracker.context.root / place
    folder = payload.get("name")
    if len(urlsplit(place).scheme) > 1 or not place or not path.exists():
        tracker.context.report(f"{event.stage}: artifact {place or folder} is not here to be kept")
    elif path.is_dir():
        tracker.client.log_artifacts(run, str(path), folder or path.name)
    else:
        tracker.client.log_artifact(run, str(path), folder)


def stage_finished(tracker: Tracker, event: Event) -> None:
    """Log final metrics on the parent, by stage, and end the nested run if there is one."""
    data = event.data
    metrics = data.get("metrics") or {}
    family = tracker.family(event.run)
    named = {f"{event.stage}.{name}": value for name, value in metrics.items()}
    if named:
        log_final_metrics(tracker.client, family.parent, named, milliseconds(event))
    run = tracker.stage(event)
    if run is None or data["state"] not in STATUS:
        return
    if metrics:
        log_final_metrics(tracker.client, run, metrics, milliseconds(event))
    log_tags(tracker.client, run, _result_tags(data))
    log = tracker.context.root / (data.get("log") or "")
    if log.is_file():
        tracker.client.log_artifact(run, str(log), "logs")
    tracker.client.set_terminated(run, STATUS[data["state"]], milliseconds(event))


def _result_tags(data: Mapping[str, Any]) -> dict[str, str]:
    outputs = (data.get("outputs") or {}).items()
    return {
        "mlpipe.state": data["state"],
        **({"mlpipe.summary": data["summary"]} if data.get("summary") else {}),
        **({"mlpipe.error": _error(data["error"])} if data.get("error") else {}),
        **{valid_name(f"mlpipe.output.{name}"): output["digest"] for name, output in outputs},
    }


def _error(error: Any) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    lines = [error.get("where"), error.get("what"), error.get("fix")]
    return "\n".join(str(line) for line in lines if line)


def run_finished(tracker: Tracker, event: Event) -> None:
    """End the parent, and as killed what still runs below it."""
    family = tracker.family(event.run)
    data = event.data
    for left in tracker.runs(event.run, "attributes.status = 'RUNNING'"):
        if left.info.run_id != family.parent:
            tracker.client.set_terminated(left.info.run_id, "KILLED", milliseconds(event))
    tags = {"mlpipe.state": data["state"]}
    if data.get("error"):
        tags["mlpipe.error"] = _error(data["error"])
    log_tags(tracker.client, family.parent, tags)
    tracker.client.set_terminated(family.parent, STATUS[data["state"]], milliseconds(event))
    tracker.forget(event.run)


def gate_failed(tracker: Tracker, event: Event) -> None:
    """Say on the runs of stage and pipeline which bound was missed, and by how much."""
    data = event.data
    text = f"{data['metric']} {data['value']:g}, wanted {data['bound']}"
    if data.get("shortfall") is not None:
        beyond = "over" if str(data["bound"]).startswith("<") else "short"
        text += f" ({data['shortfall']:g} {beyond})"
    family = tracker.family(event.run)
    if run := family.stages.get(event.stage):
        _note_gate(tracker, run, text)
    _note_gate(tracker, family.parent, f"{event.stage}: {text}")


def _note_gate(tracker: Tracker, run: str, text: str) -> None:
    noted = tracker.client.get_run(run).data.tags.get(_GATE_TAG, "").splitlines()
    if text not in noted:
        log_tags(tracker.client, run, {_GATE_TAG: "\n".join([*noted, text])})


def released(tracker: Tracker, event: Event) -> None:
    """Point aliases at what was put into service."""
    models.released(tracker, event)


def rolled_back(tracker: Tracker, event: Event) -> None:
    """Point aliases at what is in service again."""
    models.rolled_back(tracker, event)
