"""Tuning on this machine: processes of the same script side by side, chosen by Optuna."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlpipe import StageError
from mlpipe_sagemaker.config import TuneConfig
from mlpipe_sagemaker.contract import FinishedJob, TrainingJob, Trial, Tuned
from mlpipe_sagemaker.environment import kept_checkpoints
from mlpipe_sagemaker.local import LocalTrainer
from mlpipe_sagemaker.study import Study

#: When the first trials all fail, the rest will, too.
_HOPELESS = 3
_DONE = "done"


class _Pruned(Exception):
    """The trial will not be among the best."""


class LocalTuner:
    """Runs a tuning job's trials as processes of this machine."""

    def tune(
        self,
        job: TrainingJob,
        config: TuneConfig,
        earlier: tuple[Trial, ...],
        on_trial: Callable[[Trial], None],
    ) -> Tuned:
        """Run a tuning job to its end, or continue the one that a killed run began."""
        folder = _folder(job)
        study = Study.open(folder / "study.db", config, earlier)
        run = _Run(job, config, study, folder, on_trial)
        trials = run.to_the_end()
        best = _best(trials, config)
        if best is None:
            raise _nothing(trials)
        finished = FinishedJob(
            folder / f"best-{best.number}" / "model",
            folder / f"best-{best.number}" / "output",
            best.metrics,
            {"job": job.name},
        )
        (folder / _DONE).touch()
        return Tuned(best, finished, tuple(trials))


def _folder(job: TrainingJob) -> Path:
    """Give the folder of a tuning job's study; those of earlier ones, which are done, go."""
    studies = job.state_dir / "studies"
    folder = studies / job.name
    folder.mkdir(parents=True, exist_ok=True)
    for other in studies.iterdir():
        if other != folder and (other / _DONE).exists():
            shutil.rmtree(other, ignore_errors=True)
    return folder


def _best(trials: list[Trial], config: TuneConfig) -> Trial | None:
    sign = 1 if config.direction == "maximize" else -1
    complete = [trial for trial in trials if trial.objective is not None]
    # Of equals the first, so that a continued run agrees with itself.
    return max(complete, key=lambda t: (sign * (t.objective or 0.0), -t.number), default=None)


def _nothing(trials: list[Trial]) -> StageError:
    errors = [trial.error for trial in trials if trial.error]
    said = errors[0] if errors else "none was done within the budget"
    return StageError(
        f"no trial ended well\n   {said}", where="with.budget" if not errors else None
    )


@dataclass
class _Run:
    """One go at a study.

    Attributes:
        job: The training to repeat.
        config: What is searched, and how.
        study: What was tried.
        folder: Of the study; the best model so far is kept in it.
        on_trial: Called with each trial as it ends.
    """

    job: TrainingJob
    config: TuneConfig
    study: Study
    folder: Path
    on_trial: Callable[[Trial], None]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _begun: int = 0
    _until: float = 0.0

    def to_the_end(self) -> list[Trial]:
        """Try until the budget is used up; give all trials."""
        budget = self.config.budget
        before = self.study.ended()
        for trial in before:
            self.on_trial(trial)
        for left in (self.job.state_dir / "checkpoints").glob(f"{self.job.name}-*"):
            shutil.rmtree(left, ignore_errors=True)  # of trials that a kill has ended
        self._begun = len(before)
        self._until = time.monotonic() + budget.time if budget.time else float("inf")
        with ThreadPoolExecutor(budget.parallel) as pool:
            for future in [pool.submit(self._work) for _ in range(budget.parallel)]:
                future.result()
        return self.study.ended()

    def _work(self) -> None:
        while (asked := self._next()) is not None:
            self._try(*asked)

    def _next(self) -> tuple[int, Mapping[str, bool | int | float | str]] | None:
        with self._lock:
            if self._begun >= self.config.budget.trials or time.monotonic() >= self._until:
                return None
            ended = self.study.ended()
            if len(ended) >= _HOPELESS and all(trial.state == "failed" for trial in ended):
                return None
            asked = self.study.ask()
            self._begun += asked is not None
            return asked

    def _try(self, number: int, parameters: Mapping[str, bool | int | float | str]) -> None:
        scratch = self.job.scratch / f"trial-{number}"
        left = self._until - time.monotonic()
        job = replace(
            self.job,
            name=f"{self.job.name}-{number}",
            hyperparameters={**self.job.hyperparameters, **parameters},
            scratch=scratch,
            compute=self.job.compute.model_copy(
                update={"max_runtime": max(1.0, min(self.job.compute.max_runtime, left))}
            ),
        )
        trial = Trial(number, "failed", parameters, None, started=time.time())
        try:
            trial = self._train(job, trial)
        finally:
            for folder in (scratch, kept_checkpoints(job)):
                shutil.rmtree(folder, ignore_errors=True)
        with self._lock:
            self.study.tell(trial)
            self._forget_worse()
            self.on_trial(trial)

    def _train(self, job: TrainingJob, trial: Trial) -> Trial:
        seen: dict[str, float] = {}
        steps = 0

        def on_metrics(found: Mapping[str, float]) -> None:
            nonlocal steps
            seen.update(found)
            if self.config.objective in found:
                steps += 1
                with self._lock:
                    if self.study.report(trial.number, found[self.config.objective], steps):
                        raise _Pruned

        def ended(state: str, error: str = "", objective: float | None = None) -> Trial:
            return replace(
                trial,
                state=state,
                error=error,
                objective=objective,
                metrics=dict(seen),
                finished=time.time(),
            )

        trainer = LocalTrainer(lambda line: print(f"[{trial.number}] {line}", flush=True))
        try:
            finished = trainer.train(job, on_metrics)
        except _Pruned:
            return ended("pruned")
        except StageError as error:
            stopped = time.monotonic() >= self._until
            return ended("stopped") if stopped else ended("failed", str(error))
        if self.config.objective not in seen:
            pattern = self.config.metrics[self.config.objective]
            said = f'no line of the log had a number for "{self.config.objective}": {pattern}'
            return ended("failed", said)
        self._keep(trial.number, finished)
        return ended("complete", objective=seen[self.config.objective])

    def _keep(self, number: int, finished: FinishedJob) -> None:
        """Keep what a trial left before it is told of: a kill between the two loses nothing."""
        kept = self.folder / f"best-{number}"
        writing = self.folder / f".best-{number}"
        for each in (kept, writing):
            shutil.rmtree(each, ignore_errors=True)
        writing.mkdir()
        shutil.move(finished.model_dir, writing / "model")
        shutil.move(finished.output_dir, writing / "output")
        writing.rename(kept)

    def _forget_worse(self) -> None:
        """Delete the models of trials that have ended and are not the best."""
        ended = self.study.ended()
        best = _best(ended, self.config)
        for trial in ended:
            if best is None or trial.number != best.number:
                shutil.rmtree(self.folder / f"best-{trial.number}", ignore_errors=True)
