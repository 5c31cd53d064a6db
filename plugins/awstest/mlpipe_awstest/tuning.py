"""Automatic tuning: jobs that choose hyperparameters and make training jobs."""

import itertools
import math
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlpipe_awstest.describing import summarise_trial
from mlpipe_awstest.rules import training_of
from mlpipe_awstest.training import TrainingJob

_TICK = 0.05


@dataclass
class TuningJob:
    """A tuning job.

    Attributes:
        request: As it was made.
        arn: Its ARN.
        make: Makes and starts a training job from a request, the tuned values, and this job's ARN.
        parents: The jobs that it starts warm from.
    """

    request: Mapping[str, Any]
    arn: str
    make: Callable[[Mapping[str, Any], Mapping[str, str], str], TrainingJob]
    parents: "tuple[TuningJob, ...]" = ()
    status: str = "InProgress"
    reason: str = ""
    created: float = field(default_factory=time.time)
    ended: float | None = None
    jobs: list[TrainingJob] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.request["HyperParameterTuningJobName"])

    @property
    def _config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self.request["HyperParameterTuningJobConfig"]
        return config

    @property
    def objective(self) -> str:
        """The objective metric's name."""
        return str(self._config["HyperParameterTuningJobObjective"]["MetricName"])

    def start(self) -> None:
        """Begin to make training jobs."""
        threading.Thread(target=self._carry_out, name=self.name, daemon=True).start()

    def stop(self) -> None:
        """Stop it and its training jobs."""
        with self._lock:
            self._stopping.set()
            if self.status == "InProgress":
                self.status = "Stopping"
            for job in self.jobs:
                job.stop()

    def kill(self) -> None:
        """End its training jobs; nobody looks at it any more."""
        with self._lock:
            self._stopping.set()
            for job in self.jobs:
                job.kill()

    # -- how it is carried out ------------------------------------------------------------------

    def _carry_out(self) -> None:
        limits = self._config["ResourceLimits"]
        until = self.created + float(limits.get("MaxRuntimeInSeconds", math.inf))
        for values in itertools.islice(self._choices(), limits.get("MaxNumberOfTrainingJobs")):
            self._wait(until, int(limits["MaxParallelTrainingJobs"]) - 1)
            with self._lock:
                if self._stopping.is_set():
                    break
                self.jobs.append(self._begin(values))
        self._wait(until, 0)
        for job in self.jobs:
            job.done.wait()
        self._end()

    def _wait(self, until: float, running: int) -> None:
        """Wait until so many training jobs run still, or it is to end; end it when its time is."""
        while sum(not job.is_over for job in self.jobs) > running:
            if self._stopping.wait(_TICK):
                return
            if time.time() > until:
                self.stop()

    def _begin(self, values: Mapping[str, str]) -> TrainingJob:
        static = self.request["TrainingJobDefinition"].get("StaticHyperParameters", {})
        number = len(self.jobs) + 1
        request = {
            **training_of(self.request),
            "TrainingJobName": f"{self.name}-{number:03d}-{zlib.crc32(self.arn.encode()):08x}",
            "HyperParameters": {**static, "_tuning_objective_metric": self.objective},
        }
        return self.make(request, values, self.arn)

    def _end(self) -> None:
        with self._lock:
            self.ended = time.time()
            if self._stopping.is_set():
                self.status = "Stopped"
            elif not any(job.status == "Completed" for job in self.jobs):
                self.status = "Failed"
                self.reason = "All training jobs failed. Check the logs of the training jobs."
            else:
                self.status = "Completed"

    # -- choosing -------------------------------------------------------------------------------

    def _choices(self) -> Iterator[dict[str, str]]:
        ranges = self._config.get("ParameterRanges", {})
        if self._config["Strategy"] == "Grid":
            named = [
                [(each["Name"], value) for value in each["Values"]]
                for each in ranges.get("CategoricalParameterRanges", ())
            ]
            return (dict(each) for each in itertools.product(*named))
        # No secret: the same seed tries the same values.
        source = random.Random(self._config.get("RandomSeed", 0))  # noqa: S311
        return (_sample(ranges, source) for _ in itertools.count())

    # -- how it stands --------------------------------------------------------------------------

    def _value(self, job: TrainingJob) -> float:
        return job.metrics[self.objective][0]

    def best(self) -> TrainingJob | None:
        """Give the best training job so far."""
        return self._best(self.jobs)

    def _best(self, jobs: list[TrainingJob]) -> TrainingJob | None:
        measured = [j for j in jobs if j.status == "Completed" and self.objective in j.metrics]
        maximize = self._config["HyperParameterTuningJobObjective"]["Type"] == "Maximize"
        choose = max if maximize else min
        return choose(measured, key=self._value, default=None)

    def _overall_best(self) -> dict[str, Any] | None:
        warm = self.request.get("WarmStartConfig", {})
        if warm.get("WarmStartType") != "IdenticalDataAndAlgorithm":
            return None
        by_job = {job.name: each.name for each in (self, *self.parents) for job in each.jobs}
        best = self._best([job for each in (self, *self.parents) for job in each.jobs])
        if best is None:
            return None
        return {"TuningJobName": by_job[best.name], **self.summary(best)}

    def summary(self, job: TrainingJob) -> dict[str, Any]:
        """Give what is said of one of its training jobs."""
        return summarise_trial(job, self.objective)

    def counters(self) -> dict[str, Any]:
        """Give how many training jobs stand how."""
        jobs = list(self.jobs)
        states = [job.status for job in jobs]
        measured = sum(job.is_over and self.objective in job.metrics for job in jobs)
        running = sum(not job.is_over for job in jobs)
        return {
            "TrainingJobStatusCounters": {
                "Completed": states.count("Completed"),
                "InProgress": running,
                "RetryableError": 0,
                "NonRetryableError": states.count("Failed"),
                "Stopped": states.count("Stopped"),
            },
            "ObjectiveStatusCounters": {
                "Succeeded": measured,
                "Pending": running,
                "Failed": len(jobs) - running - measured,
            },
        }

    def describe(self) -> dict[str, Any]:
        """Give what DescribeHyperParameterTuningJob answers."""
        best = self.best()
        return {
            **{name: value for name, value in self.request.items() if name != "Tags"},
            **self.counters(),
            "HyperParameterTuningJobArn": self.arn,
            "HyperParameterTuningJobStatus": self.status,
            "FailureReason": self.reason or None,
            "CreationTime": self.created,
            "LastModifiedTime": self.ended or self.created,
            "HyperParameterTuningEndTime": self.ended,
            "ConsumedResources": {
                "RuntimeInSeconds": int((self.ended or time.time()) - self.created)
            },
            "BestTrainingJob": self.summary(best) if best else None,
            "OverallBestTrainingJob": self._overall_best(),
        }

    def listing(self) -> dict[str, Any]:
        """Give what ListHyperParameterTuningJobs answers."""
        return {
            **self.counters(),
            "HyperParameterTuningJobName": self.name,
            "HyperParameterTuningJobArn": self.arn,
            "HyperParameterTuningJobStatus": self.status,
            "Strategy": self._config["Strategy"],
            "ResourceLimits": self._config["ResourceLimits"],
            "CreationTime": self.created,
            "HyperParameterTuningEndTime": self.ended,
        }


def _sample(ranges: Mapping[str, Any], source: random.Random) -> dict[str, str]:
    chosen = {}
    for each in ranges.get("ContinuousParameterRanges", ()):
        chosen[each["Name"]] = repr(_scaled(each, source))
    for each in ranges.get("IntegerParameterRanges", ()):
        chosen[each["Name"]] = str(round(_scaled(each, source)))
    for each in ranges.get("CategoricalParameterRanges", ()):
        chosen[each["Name"]] = source.choice(each["Values"])
    for each in ranges.get("AutoParameters", ()):
        chosen[each["Name"]] = _near(each["ValueHint"], source)
    return chosen


def _scaled(each: Mapping[str, str], source: random.Random) -> float:
    low, high = float(each["MinValue"]), float(each["MaxValue"])
    scaling = each.get("ScalingType", "Auto")
    if scaling == "Logarithmic":
        return min(high, max(low, math.exp(source.uniform(math.log(low), math.log(high)))))
    if scaling == "ReverseLogarithmic":
        inner = source.uniform(math.log1p(-high), math.log1p(-low))
        return min(high, max(low, -math.expm1(inner)))
    return source.uniform(low, high)


def _near(hint: str, source: random.Random) -> str:
    """Choose within a factor of ten of a hint; SageMaker does not say what it does."""
    factor = 10 ** source.uniform(-1, 1)
    try:
        return str(max(1, round(int(hint) * factor)))
    except ValueError:
        pass
    try:
        return repr(float(hint) * factor)
    except ValueError:
        return hint
