"""A study of Optuna's in SQLite: which trials there are, and what is tried next."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe import Scalar
from mlpipe_sagemaker.config import TuneConfig
from mlpipe_sagemaker.contract import Trial
from mlpipe_sagemaker.optunaspace import contains, distribution, encode, grid, suggest

if TYPE_CHECKING:
    import optuna

#: How many of an earlier, different tuning's best points are tried first.
_TRANSFERRED = 3
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


@dataclass
class Study:
    """Trials of one tuning job. One process has it at a time; its threads take turns.

    Attributes:
        config: What is searched, and how.
        study: Optuna's.
    """

    config: TuneConfig
    study: "optuna.Study"
    _asked: dict[int, "optuna.Trial"] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, config: TuneConfig, earlier: tuple[Trial, ...]) -> "Study":
        """Open a study, or the one that a killed run left: what it had under way is tried again.

        Args:
            path: The database.
            config: What is searched, and how.
            earlier: Trials to start warm from.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}}
        )
        study = optuna.create_study(
            storage=storage,
            study_name="study",
            direction=config.direction,
            load_if_exists=True,
            sampler=_sampler(config),
            pruner=_pruner(config),
        )
        opened = cls(config, study)
        if "begun" not in study.user_attrs:
            opened._begin(earlier)
            study.set_user_attr("begun", True)
        else:
            opened._resume()
        return opened

    def _begin(self, earlier: tuple[Trial, ...]) -> None:
        if self.config.warm_start == "identical":
            self._know(earlier)
        elif self.config.warm_start == "transfer":
            sign = -1 if self.config.direction == "maximize" else 1
            complete = [t for t in earlier if t.objective is not None]
            best = sorted(complete, key=lambda trial: sign * (trial.objective or 0.0))
            fitting = [t for t in best if contains(self.config.space, t.parameters)]
            self._enqueue(trial.parameters for trial in fitting[:_TRANSFERRED])
        if self.config.strategy == "grid":
            self._enqueue(grid(self.config.space))

    def _know(self, earlier: tuple[Trial, ...]) -> None:
        import optuna

        space = self.config.space
        for trial in earlier:
            if trial.state != "complete" or trial.objective is None:
                continue
            self.study.add_trial(
                optuna.trial.create_trial(
                    params={n: encode(space[n], v) for n, v in trial.parameters.items()},
                    distributions={n: distribution(space[n]) for n in trial.parameters},
                    value=trial.objective,
                    user_attrs={"earlier": True},
                )
            )

    def _enqueue(self, points: Iterable[Mapping[str, Scalar]]) -> None:
        for point in points:
            self.study.enqueue_trial(
                {name: encode(self.config.space[name], value) for name, value in point.items()},
                skip_if_exists=True,
            )

    def _resume(self) -> None:
        import optuna

        running = self.study.get_trials(False, (optuna.trial.TrialState.RUNNING,))
        for trial in running:
            self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            self.study.enqueue_trial(trial.params)
        # Else the same values would be drawn again that were drawn before.
        self.study.sampler = _sampler(self.config, drawn=len(self.study.trials))

    # -- trials -----------------------------------------------------------------------------

    def ask(self) -> tuple[int, dict[str, Scalar]] | None:
        """Give the next trial's number and parameters, or ``None`` where none is left."""
        import optuna

        waiting = self.study.get_trials(False, (optuna.trial.TrialState.WAITING,))
        if self.config.strategy == "grid" and not waiting:
            return None
        trial = self.study.ask()
        values = suggest(trial, self.config.space)
        trial.set_user_attr("parameters", json.dumps(values))
        self._asked[trial.number] = trial
        return trial.number, values

    def report(self, number: int, value: float, step: int) -> bool:
        """Tell an intermediate objective; answer whether the trial is to be ended early."""
        trial = self._asked[number]
        trial.report(value, step)
        return bool(trial.should_prune())

    def tell(self, ended: Trial) -> None:
        """Record how a trial ended."""
        import optuna

        trial = self._asked.pop(ended.number)
        facts = {
            "metrics": dict(ended.metrics),
            "started": ended.started,
            "finished": ended.finished,
            "error": ended.error,
            "state": ended.state,
        }
        trial.set_user_attr("facts", json.dumps(facts))
        states = optuna.trial.TrialState
        if ended.state == "complete":
            self.study.tell(trial, ended.objective)
        elif ended.state == "pruned":
            self.study.tell(trial, state=states.PRUNED)
        else:
            self.study.tell(trial, state=states.FAIL)

    def ended(self) -> list[Trial]:
        """Give the trials that have ended, without those of an earlier tuning."""
        found = []
        for each in self.study.get_trials(deepcopy=False):
            facts = each.user_attrs.get("facts")
            if facts is not None and each.state.is_finished():
                found.append(_trial(each.number, each.user_attrs["parameters"], each, facts))
        return found


def _trial(number: int, parameters: str, frozen: Any, facts: str) -> Trial:
    known = json.loads(facts)
    return Trial(
        number=number,
        state=known["state"],
        parameters=json.loads(parameters),
        objective=frozen.value if known["state"] == "complete" else None,
        metrics=known["metrics"],
        started=known["started"],
        finished=known["finished"],
        error=known["error"],
    )


def _sampler(config: TuneConfig, drawn: int = 0) -> Any:
    from optuna import samplers

    seed = None if config.seed is None else config.seed + drawn
    if config.strategy in ("random", "grid"):
        return samplers.RandomSampler(seed=seed)
    return samplers.TPESampler(seed=seed, multivariate=True, group=True)


def _pruner(config: TuneConfig) -> Any:
    from optuna import pruners

    if config.strategy == "hyperband":
        return pruners.HyperbandPruner()
    if config.early_stopping:
        return pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
    return pruners.NopPruner()
