"""Tuning at SageMaker: one tuning job, made once, whose training jobs are told as they end."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any

from mlpipe import StageError
from mlpipe_aws import Settings, Store, client, failing
from mlpipe_sagemaker import awstunerequest as requests
from mlpipe_sagemaker.awsjobs import (
    Pace,
    create,
    described,
    ending_with,
    fetch_outputs,
    forget,
    is_noted,
    note,
    stop,
    stop_mark,
    trains_the_same,
)
from mlpipe_sagemaker.awslogs import LogFollower
from mlpipe_sagemaker.awsspace import trials as trials_of
from mlpipe_sagemaker.awstrials import best_of, has_ended, listed, summary_of, trial_of
from mlpipe_sagemaker.config import TuneConfig
from mlpipe_sagemaker.contract import FinishedJob, TrainingJob, Trial, Tuned

_UNDER_WAY = ("InProgress", "Stopping", "Deleting")
_LAST_LINES = 50


@dataclass(frozen=True)
class SagemakerTuner:
    """Runs tuning jobs at SageMaker, whose training jobs are the trials.

    Attributes:
        settings: The target's.
    """

    settings: Settings

    def tune(
        self,
        job: TrainingJob,
        config: TuneConfig,
        earlier: tuple[Trial, ...],
        on_trial: Callable[[Trial], None],
    ) -> Tuned:
        """Run a tuning job to its end; see ``Tuner``.

        A tuning job that a killed run has made is found and followed. A run that is stopped
        (Ctrl-C, a timeout) stops it; the same command then makes the trials that are missing, in
        a tuning job that starts warm from the stopped one.
        """
        # Whatever SageMaker cannot do is said before anything is uploaded or asked for.
        wanted = trials_of(config.space, config.strategy, config.budget.trials)
        requests.tuning_config(config, wanted, scripted=bool(job.program))
        requests.check_hyperparameters(job, config)
        requests.check_money(job, config)
        return _Run(self.settings, job, config, earlier, on_trial, wanted).to_the_end()


@dataclass
class _Run:
    """One go at tuning.

    Attributes:
        settings: The target's.
        job: The training to repeat.
        config: What is searched, and how.
        earlier: Trials to start warm from.
        on_trial: Called with each trial as it ends.
        wanted: How many trials.
    """

    settings: Settings
    job: TrainingJob
    config: TuneConfig
    earlier: tuple[Trial, ...]
    on_trial: Callable[[Trial], None]
    wanted: int
    _trials: dict[str, Trial] = field(default_factory=dict)

    @cached_property
    def _sagemaker(self) -> Any:
        return client(self.settings, "sagemaker")

    def to_the_end(self) -> Tuned:
        """Follow the tuning job, which is made unless it is there; fetch the best model."""
        stopped = self._stopped_before()
        missing = self.wanted - sum(each.state != "stopped" for each in self._trials.values())
        if missing > 0:
            name = requests.tuning_name(self.job.name, len(stopped))
            if not (is_noted(self.job, name) and self._described(name)):
                self._begin(name, missing, stopped)
            with ending_with(lambda: self._stop(name)):
                reason = self._follow(name)
        else:
            name, reason = stopped[-1], ""
        trials = sorted(self._trials.values(), key=lambda trial: trial.number)
        best = best_of(trials, self.config)
        if best is None:
            raise self._nothing(name, reason, trials)
        return Tuned(best, self._fetched(best), tuple(trials), {"tuning_job": name})

    # -- beginning --------------------------------------------------------------------------

    def _stopped_before(self) -> list[str]:
        """Take up the trials of tuning jobs that earlier goes stopped; give the jobs' names."""
        names: list[str] = []
        for part in count():
            name = requests.tuning_name(self.job.name, part)
            found = self._described(name) if stop_mark(self.job, name).exists() else None
            if found is None or found["HyperParameterTuningJobStatus"] in ("InProgress", "Failed"):
                return names
            if self.config.strategy == "grid":  # SageMaker can only try a grid as a whole
                print(f"the tuning job {name} was stopped: the grid is begun anew", flush=True)
            else:
                self._follow(name)
            names.append(name)
        raise AssertionError("count() does not end")

    def _begin(self, name: str, missing: int, stopped: list[str]) -> None:
        store = Store(self.settings)
        configured = requests.tuning_config(
            self.config, missing, part=len(stopped), scripted=bool(self.job.program)
        )
        parents = [*self._parents(), *(stopped if self.config.strategy != "grid" else ())]
        warm = requests.warm_start(parents, self.config.warm_start or "identical")
        request = requests.tuning_request(self.job, self.settings, store, name, configured, warm)
        note(self.job, name, "tuning")
        made = create(lambda: self._sagemaker.create_hyper_parameter_tuning_job(**request), name)
        if not made and not _is_as_asked(self._described(name) or {}, request):
            forget(self.job, name)
            raise StageError(
                "SageMaker has another tuning job of this name, which searches something else",
                where=name,
                fix="Run it again: it is given another name.",
            )
        print(f"tuning job {name} {'was made' if made else 'is there already'}", flush=True)

    def _parents(self) -> list[str]:
        """Give the tuning jobs that made the earlier trials.

        Raises:
            StageError: They were not made at SageMaker, or are no longer there.
        """
        parents: list[str] = []
        for trial in self.earlier:
            # SageMaker names training jobs after their tuning job.
            if not any(trial.job.startswith(f"{parent}-") for parent in parents):
                parents.append(self._parent(trial))
        return parents

    def _parent(self, trial: Trial) -> str:
        found = self._training(trial.job) if trial.job else None
        if not found or not found.get("TuningJobArn"):
            raise StageError(
                f"its trial {trial.number} was not made by SageMaker, which starts warm from its "
                "own tuning jobs only",
                where="inputs.earlier",
                fix="Tune on this target first, or leave earlier and warm_start out.",
            )
        return str(found["TuningJobArn"]).rpartition("/")[2]

    # -- following --------------------------------------------------------------------------

    def _follow(self, name: str) -> str:
        """Tell the trials of a tuning job until it has ended; give why it failed, if it did."""
        pace, before = Pace(), len(self._trials)
        while True:
            try:
                tuning = self._described(name)
                summaries = self._listed(name)
                ended = [
                    (before + index, summary, self._training(summary["TrainingJobName"]))
                    for index, summary in enumerate(summaries)
                    if has_ended(summary) and summary["TrainingJobName"] not in self._trials
                ]
            except StageError as error:
                pace.endure(error)
                continue
            if tuning is None:
                raise StageError(f"the tuning job {name} is gone", where=name)
            for number, summary, training in ended:
                self._tell(
                    trial_of(
                        number,
                        summary,
                        training or summary,
                        self.config,
                        scripted=bool(self.job.program),
                    )
                )
            status = tuning["HyperParameterTuningJobStatus"]
            if status not in _UNDER_WAY and all(has_ended(each) for each in summaries):
                if status == "Stopped":
                    print(f"the tuning job {name} was stopped after {len(summaries)} trials")
                return str(tuning.get("FailureReason", ""))
            pace.wait(news=bool(ended))

    def _tell(self, trial: Trial) -> None:
        print(summary_of(trial, self.config), flush=True)
        self._trials[trial.job] = trial
        self.on_trial(trial)

    def _described(self, name: str) -> Mapping[str, Any] | None:
        describe = self._sagemaker.describe_hyper_parameter_tuning_job
        return described(lambda: describe(HyperParameterTuningJobName=name))

    def _training(self, name: str) -> Mapping[str, Any] | None:
        describe = self._sagemaker.describe_training_job
        return described(lambda: describe(TrainingJobName=name))

    def _listed(self, name: str) -> list[Mapping[str, Any]]:
        with failing(f"the trials of {name} cannot be listed"):
            return listed(self._sagemaker, name)

    def _stop(self, name: str) -> None:
        ask = self._sagemaker.stop_hyper_parameter_tuning_job
        stop(self.job, name, "tuning", lambda: ask(HyperParameterTuningJobName=name))

    # -- ending -----------------------------------------------------------------------------

    def _fetched(self, best: Trial) -> FinishedJob:
        description = self._training(best.job)
        if description is None:
            raise StageError("the best trial's training job is gone", where=best.job)
        model, output, uri = fetch_outputs(description, Store(self.settings), self.job.scratch)
        return FinishedJob(model, output, best.metrics, {"job": best.job, "model_uri": uri})

    def _nothing(self, name: str, reason: str, trials: list[Trial]) -> StageError:
        """Say why there is no model: in SageMaker's words, and the first failed trial's."""
        failed = next((trial for trial in trials if trial.error), None)
        if failed is None:
            return StageError(reason or "it was stopped before a trial ended", where=name)
        with suppress(StageError), failing("the log cannot be read"):
            lines = list(LogFollower(client(self.settings, "logs"), failed.job).new())
            said = [line for line in lines if line.strip()][-_LAST_LINES:]
            return StageError(
                "\n   ".join(["no trial ended well", failed.error, *said]), where=failed.job
            )
        return StageError(f"no trial ended well\n   {failed.error}", where=failed.job)


def _is_as_asked(description: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    """Tell whether a tuning job trains and searches what a request asks for."""
    if not description:
        return False
    kind, configured = "TrainingJobDefinition", "HyperParameterTuningJobConfig"
    if not trains_the_same(description[kind], request[kind], "StaticHyperParameters"):
        return False
    there = _searched(description[configured]["ParameterRanges"])
    return there == _searched(request[configured]["ParameterRanges"])


def _searched(ranges: Mapping[str, Any]) -> dict[str, Any]:
    """Give the ends, or the values, of each parameter's range."""
    keys = ("MinValue", "MaxValue", "Values")
    return {each["Name"]: [each.get(k) for k in keys] for kind in ranges.values() for each in kind}
