"""A project that is tracked: what a run tells the observer, models, and what MLflow then has."""

import hashlib
import itertools
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
from mlflow import MlflowClient
from mlflow.entities import Dataset, Run

import mlpipe_mlflow
import mlpipe_scriptmode
from mlpipe import Event, ObserverContext
from mlpipe_mlflow.config import TrackingConfig

#: A plain SageMaker serving script.
SCRIPT = """
    import os
    import joblib

    def model_fn(model_dir):
        return joblib.load(os.path.join(model_dir, "model.joblib"))
"""

BEGINNING = 1_700_000_000.0


def pack(archive: Path, model: object, script: str = SCRIPT) -> Path:
    """Pack a fitted model as training does."""
    folder = archive.parent / f"{archive.name}-parts"
    (folder / "model").mkdir(parents=True)
    joblib.dump(model, folder / "model" / "model.joblib")
    source = folder / "serve.py"
    source.write_text(textwrap.dedent(script))
    mlpipe_scriptmode.pack(folder / "model", {"serve.py": source}, "serve.py", archive)
    return archive


def datasets(run: Run) -> dict[str, Dataset]:
    """Give a run's data sets by name."""
    assert run.inputs is not None
    return {each.dataset.name: each.dataset for each in run.inputs.dataset_inputs}


@dataclass
class Pipeline:
    """A pipeline run, as the observer is told it.

    Attributes:
        root: The project's folder.
        run: The run's identifier.
        recipe: The recipe's name.
        config: The observer's settings.
    """

    root: Path
    run: str = "7f3a"
    recipe: str = "churn"
    config: TrackingConfig = field(default_factory=TrackingConfig)
    told: list[Event] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self.context = self.new_process()

    def new_process(self) -> ObserverContext:
        """Forget all that the observer keeps in memory, as a new process does."""
        self.context = ObserverContext(
            root=self.root, state_dir=self.root / ".mlpipe", report=self.reports.append
        )
        return self.context

    def tell(self, kind: str, stage: str = "", /, **data: Any) -> Event:
        number = next(self._numbers)
        event = Event(number, self.run, BEGINNING + number, kind, stage, data)
        self.told.append(event)
        self.hear(event)
        return event

    def hear(self, event: Event) -> None:
        hook = getattr(mlpipe_mlflow, event.kind)
        hook(config=self.config, event=event, context=self.context)

    def replay(self) -> None:
        """Tell everything again, to a new process."""
        self.new_process()
        for event in self.told:
            self.hear(event)

    # -- what a run says --------------------------------------------------------------------

    def start(self, **params: Any) -> None:
        self.tell(
            "run_started",
            recipe=self.recipe,
            path="churn.yaml",
            target="local",
            params=params,
            version="0.1.0",
            stages={"train": "sagemaker.train"},
            command="mlpipe run churn",
        )

    def begin(self, stage: str, attempt: int = 1, **settings: Any) -> None:
        self.tell(
            "stage_started",
            stage,
            attempt=attempt,
            uses="sagemaker.train",
            config=settings,
            reason="never ran",
            inputs={},
            log="",
        )

    def say(self, stage: str, kind: str, **payload: Any) -> None:
        self.tell("stage_event", stage, kind=kind, payload=payload)

    def metric(self, stage: str, step: int, **metrics: float) -> None:
        when = BEGINNING + 100 + step
        self.say(stage, "metrics", metrics=metrics, step=step, time=when)

    def end(self, stage: str, state: str = "done", **data: Any) -> None:
        facts = {
            "attempt": 1,
            "seconds": 1.0,
            "metrics": {},
            "values": {},
            "outputs": {},
            "error": None,
            "log": "",
            "summary": "",
            **data,
        }
        self.tell("stage_finished", stage, state=state, **facts)

    def finish(self, state: str = "done", error: str | None = None) -> None:
        self.tell("run_finished", state=state, seconds=9.0, error=error)

    def model(self, stage: str, archive: Path) -> dict[str, str]:
        """Say that a stage trained a model; give what a release says of it."""
        facts = {
            "digest": f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}",
            "location": archive.relative_to(self.root).as_posix(),
        }
        self.say(stage, "model", name=stage, framework="scriptmode", program="serve.py", **facts)
        return facts

    def release(self, kind: str = "released", **variants: Mapping[str, str]) -> None:
        payload = {"variants": variants, "weights": dict.fromkeys(variants, 1.0), "port": 0}
        self.tell(kind, "endpoint", kind="endpoint", name="churn", label="churn-1", payload=payload)

    # -- what MLflow has ----------------------------------------------------------------------

    @property
    def client(self) -> MlflowClient:
        uri = self.config.tracking_uri or f"sqlite:///{self.root}/mlflow.db"
        return MlflowClient(uri, uri)

    def runs(self, experiment: str | None = None) -> list[Run]:
        known = self.client.get_experiment_by_name(experiment or self.recipe)
        assert known is not None
        return list(
            self.client.search_runs([known.experiment_id], order_by=["attributes.start_time ASC"])
        )

    def parent(self) -> Run:
        (parent,) = [run for run in self.runs() if run.info.run_name == self.run]
        return parent

    def nested(self, stage: str) -> Run:
        (found,) = [run for run in self.runs() if run.data.tags.get("mlpipe.stage") == stage]
        return found

    def aliases(self, model: str = "churn") -> dict[str, str]:
        found = self.client.get_registered_model(model).aliases
        return {alias: str(version) for alias, version in found.items()}

    def picture(self) -> Any:
        """All that MLflow holds of this project, for comparing."""
        runs = [
            (
                run.info.run_name,
                run.info.run_id,
                run.info.status,
                run.info.start_time,
                run.info.end_time,
                run.data.params,
                run.data.tags,
                {
                    name: [
                        (each.step, each.timestamp, repr(each.value))
                        for each in self.client.get_metric_history(run.info.run_id, name)
                    ]
                    for name in run.data.metrics
                },
                [(each.name, each.digest) for each in datasets(run).values()],
                sorted(each.path for each in self.client.list_artifacts(run.info.run_id)),
            )
            for run in self.runs()
        ]
        versions = [
            (each.name, each.version, each.source, each.tags)
            for each in self.client.search_model_versions("")
        ]
        models = [
            (each.name, each.aliases, each.tags) for each in self.client.search_registered_models()
        ]
        return runs, versions, models


def put_in_service(pipeline: Pipeline, archive: Path) -> str:
    """Train and release a model as the variant ``champion``; give its digest."""
    pipeline.start()
    pipeline.begin("train")
    facts = pipeline.model("train", archive)
    pipeline.end("train")
    pipeline.release(champion=facts)
    pipeline.finish()
    return facts["digest"]
