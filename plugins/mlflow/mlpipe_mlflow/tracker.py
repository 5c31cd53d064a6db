"""Finding and making the MLflow runs of pipeline runs and stages."""

import getpass
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from mlpipe import Event, ObserverContext, UserError
from mlpipe_mlflow import adoption
from mlpipe_mlflow.config import TrackingConfig
from mlpipe_mlflow.location import PROJECT_TAG, RUN_TAG, STAGE_TAG
from mlpipe_mlflow.registry import Registry
from mlpipe_mlflow.writing import MetricBuffer, flat, log_params, log_tags, milliseconds, quoted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run
    from mlflow.store.entities import PagedList

#: Only a pipeline run's MLflow run has this tag; only a stage's has the next.
RECIPE_TAG = "mlpipe.recipe"
USES_TAG = "mlpipe.uses"
ATTEMPT_TAG = "mlpipe.attempt"
PARENT_TAG = "mlflow.parentRunId"

_PAGE = 1000

#: Makes MLflow's pages open an experiment as one of model training.
_KIND = MappingProxyType({"mlflow.experimentKind": "custom_model_development"})

_Item = TypeVar("_Item")


@dataclass(slots=True)
class Family:
    """The MLflow runs of one pipeline run.

    Attributes:
        recipe: The recipe's name.
        experiment: The MLflow experiment's identifier.
        parent: The parent's identifier.
        stages: Identifiers of the nested runs by stage.
        attempts: The last attempt of each stage that was told.
        trials: Of each stage that tunes: the runs of its trials by number and start; an empty
            text where nothing is left to be written.
    """

    recipe: str
    experiment: str
    parent: str
    stages: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    trials: dict[str, dict[tuple[str, int], str]] = field(default_factory=dict)


class Tracker:
    """Writes what events tell; remembers which MLflow run is whose.

    Args:
        client: MLflow.
        config: The observer's settings.
        context: The observer's surroundings.
        project: What tells this project's runs from others.
        artifacts: Where a new experiment's artifacts go, a URI; ``None`` leaves it to the server.
        starts: The events ``run_started`` that this process was told, by run.
    """

    def __init__(
        self,
        client: "MlflowClient",
        config: TrackingConfig,
        context: ObserverContext,
        project: str,
        artifacts: str | None,
        starts: Mapping[str, Event],
    ) -> None:
        self.client = client
        self.config = config
        self.context = context
        self.metrics = MetricBuffer(client)
        self.registry = Registry(client)
        self._project = project
        self._artifacts = artifacts
        self._starts = starts
        self._families: dict[str, Family] = {}

    # -- pipeline runs ----------------------------------------------------------------------

    def family(self, run: str) -> Family:
        """Give the MLflow runs of a pipeline run; the parent is made where there is none.

        Raises:
            UserError: It is not in MLflow, and how it started was not told.
        """
        if run not in self._families:
            self._families[run] = self._found(run) or self._begun(run)
        return self._families[run]

    def forget(self, run: str) -> None:
        """Keep nothing of a run that has ended."""
        self._families.pop(run, None)

    def runs(self, run: str, more: str = "") -> "list[Run]":
        """Find all MLflow runs that belong to a pipeline run, oldest first.

        Args:
            run: The pipeline run.
            more: A further condition of MLflow's filter language.
        """
        family = self._families.get(run)
        experiments = [family.experiment] if family else self._experiments(run)
        condition = f"tags.`{PROJECT_TAG}` = '{self._project}' and tags.`{RUN_TAG}` = '{run}'"
        if not experiments:
            return []

        def page(token: str | None) -> "PagedList[Run]":
            return self.client.search_runs(
                experiments,
                f"{condition} and {more}" if more else condition,
                max_results=_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )

        return list(_all(page))

    def _experiments(self, run: str) -> list[str]:
        start = self._starts.get(run)
        name = self.config.experiment or (start.data["recipe"] if start else None)
        if name is not None:
            known = self.client.get_experiment_by_name(name)
            return [known.experiment_id] if known else []
        pages = _all(lambda token: self.client.search_experiments(page_token=token))
        return [each.experiment_id for each in pages]

    def _found(self, run: str) -> Family | None:
        runs = self.runs(run)
        parent = next((each for each in runs if RECIPE_TAG in each.data.tags), None)
        if parent is None:
            return None
        family = Family(parent.data.tags[RECIPE_TAG], parent.info.experiment_id, parent.info.run_id)
        for each in runs:
            tags = each.data.tags
            if USES_TAG in tags:
                family.stages[tags[STAGE_TAG]] = each.info.run_id
                family.attempts[tags[STAGE_TAG]] = int(tags.get(ATTEMPT_TAG, "1"))
        return family

    def _begun(self, run: str) -> Family:
        start = self._starts.get(run)
        if start is None:
            raise UserError(f"run {run} is not in MLflow, so what follows in it is not tracked")
        data = start.data
        experiment = self._experiment(self.config.experiment or data["recipe"])
        tags = {
            **self.tags(run),
            RECIPE_TAG: data["recipe"],
            "mlpipe.target": str(data.get("target", "")),
            "mlpipe.version": str(data.get("version", "")),
            "mlpipe.command": str(data.get("command", "")),
            "mlflow.source.name": str(data.get("path", "")),
            "mlflow.source.type": "LOCAL",
            "mlflow.user": _user(),
        }
        made = self.client.create_run(experiment, milliseconds(start), tags, run_name=run)
        return Family(data["recipe"], experiment, made.info.run_id)

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        known = self.client.get_experiment_by_name(name)
        if known is None:
            try:
                return str(self.client.create_experiment(name, self._artifacts, dict(_KIND)))
            except MlflowException as error:  # a stage's own MLflow calls may have been faster
                known = self.client.get_experiment_by_name(name)
                if known is None:
                    raise error from None
        return _active(known)

    def tags(self, run: str) -> dict[str, str]:
        """Give the tags that every MLflow run of a pipeline run has."""
        return {**self.config.tags, PROJECT_TAG: self._project, RUN_TAG: run}

    # -- stages -----------------------------------------------------------------------------

    def begin_stage(self, event: Event) -> None:
        """Make a stage's nested run, or reopen it for another attempt."""
        family = self.family(event.run)
        data = event.data
        attempt = int(data.get("attempt", 1))
        known = family.stages.get(event.stage)
        if known is None:
            tags = {
                **self.tags(event.run),
                STAGE_TAG: event.stage,
                USES_TAG: str(data.get("uses", "")),
                ATTEMPT_TAG: str(attempt),
                adoption.MADE_TAG: "observer",
                PARENT_TAG: family.parent,
            }
            made = self.client.create_run(
                family.experiment, milliseconds(event), tags, run_name=event.stage
            )
            family.stages[event.stage] = known = made.info.run_id
        elif attempt > family.attempts.get(event.stage, 0):
            self.client.update_run(known, status="RUNNING")
            log_tags(self.client, known, {ATTEMPT_TAG: str(attempt)})
        family.attempts[event.stage] = attempt
        log_params(self.client, known, flat(data.get("config") or {}))

    def stage(self, event: Event) -> str | None:
        """Give the MLflow run of a stage; the one its own code made, where it made one.

        Returns:
            Its identifier, or ``None`` for a stage that did not begin in this run.
        """
        family = self.family(event.run)
        own = family.stages.get(event.stage)
        if own is None:
            return None
        runs = self.runs(event.run, f"tags.`{STAGE_TAG}` = {quoted(event.stage)}")
        family.stages[event.stage] = adoption.adopt(self.client, own, runs, family.parent)
        return family.stages[event.stage]


def _all(page: "Callable[[str | None], PagedList[_Item]]") -> Iterator[_Item]:
    """Give the items of all pages."""
    token: str | None = None
    while True:
        items = page(token)
        yield from items
        token = items.token
        if not token:
            return


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        return ""


def _active(experiment: "Experiment") -> str:
    if experiment.lifecycle_stage != "active":
        raise UserError(
            f'the MLflow experiment "{experiment.name}" is deleted',
            where="observers.mlflow.experiment",
            fix=f"Restore it (mlflow experiments restore -x {experiment.experiment_id}), "
            "or name another.",
        )
    return str(experiment.experiment_id)
