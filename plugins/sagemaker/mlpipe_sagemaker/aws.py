"""Training on SageMaker: one job, made once, followed to its end."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

from mlpipe import StageError
from mlpipe_aws import Settings, Store, client
from mlpipe_sagemaker import awsjobs
from mlpipe_sagemaker.awsjobs import Pace
from mlpipe_sagemaker.awslogs import Line, LogFollower
from mlpipe_sagemaker.contract import FinishedJob, TrainingJob
from mlpipe_sagemaker.distributed import first_failure
from mlpipe_sagemaker.endings import KEPT_LINES, SHOWN_LINES
from mlpipe_sagemaker.following import MetricReader

_LAST_LINES = 50
_UNDER_WAY = ("InProgress", "Stopping")
OnMetrics = Callable[[Mapping[str, float]], None]


@dataclass(frozen=True)
class SagemakerTrainer:
    """Runs training jobs at SageMaker; their log is the stage's log.

    Attributes:
        settings: The target's.
    """

    settings: Settings

    @cached_property
    def _sagemaker(self) -> Any:
        return client(self.settings, "sagemaker")

    def train(self, job: TrainingJob, on_metrics: OnMetrics) -> FinishedJob:
        """Run a job to its end; see ``Trainer``.

        A job that a killed run has made is found and followed. A run that is stopped (Ctrl-C, a
        timeout) stops its job, which nobody would wait for; the same command then makes another
        one, which has the first one's checkpoints.
        """
        store = Store(self.settings)
        name = self._name(job)
        is_there = awsjobs.is_noted(job, name) and self._describe(name) is not None
        request = None if is_there else self._request(job, name, store)
        metrics = MetricReader(job.metrics)
        with awsjobs.ending_with(lambda: self._stop(job, name)):
            if request is None:
                awsjobs.note(job, name, "training")
            else:
                self._make(job, name, request)
            description = self._follow(job, name, metrics, on_metrics)
        model, output, uri = awsjobs.fetch_outputs(description, store, job.scratch)
        return FinishedJob(model, output, _metrics(description, metrics), _values(description, uri))

    def _describe(self, name: str) -> Mapping[str, Any] | None:
        describe = self._sagemaker.describe_training_job
        return awsjobs.described(lambda: describe(TrainingJobName=name))

    # -- beginning --------------------------------------------------------------------------

    def _name(self, job: TrainingJob) -> str:
        """Name the job: by its key, and by a number after one that a run of ours stopped."""
        for part in count():
            name = f"{job.name}-{part}" if part else job.name
            if not awsjobs.stop_mark(job, name).exists() or not self._was_stopped(name):
                return name
        raise AssertionError("count() does not end")

    def _was_stopped(self, name: str) -> bool:
        """Tell how the stopping of a job went: it may have ended before, or not have begun."""
        pace = Pace()
        while True:
            description = self._describe(name)
            status = description["TrainingJobStatus"] if description else ""
            if status != "Stopping":  # until then it saves its checkpoints
                return status == "Stopped"
            pace.wait()

    def _request(self, job: TrainingJob, name: str, store: Store) -> dict[str, Any]:
        from mlpipe_sagemaker.awsrequest import training_request

        return {**training_request(job, self.settings, store), "TrainingJobName": name}

    def _make(self, job: TrainingJob, name: str, request: Mapping[str, Any]) -> None:
        """Make the job, once, whatever becomes of the answer.

        Raises:
            StageError: SageMaker refuses it, or has somebody else's of the same name.
        """
        awsjobs.note(job, name, "training")
        pace = Pace()
        while True:
            try:
                made = awsjobs.create(lambda: self._sagemaker.create_training_job(**request), name)
                break
            except StageError as error:
                pace.endure(error)
        if not made and not awsjobs.trains_the_same(self._describe(name) or {}, request):
            awsjobs.forget(job, name)
            raise StageError(
                "SageMaker has another job of this name, which trains something else",
                where=name,
                fix="Run it again: it is given another name.",
            )
        print(f"training job {name} {'was made' if made else 'is there already'}", flush=True)

    def _stop(self, job: TrainingJob, name: str) -> None:
        ask = self._sagemaker.stop_training_job
        awsjobs.stop(job, name, "training", lambda: ask(TrainingJobName=name))

    # -- following --------------------------------------------------------------------------

    def _follow(
        self, job: TrainingJob, name: str, metrics: MetricReader, on_metrics: OnMetrics
    ) -> Mapping[str, Any]:
        """Print a job's log until it has ended; give its description.

        Raises:
            StageError: It did not end well.
        """
        log = LogFollower(client(self.settings, "logs"), name)
        last: deque[Line] = deque(maxlen=KEPT_LINES)
        pace, shown = Pace(), ""
        while True:
            try:
                description = self._describe(name)
                lines = log.read()
            except StageError as error:
                pace.endure(error)
                continue
            if description is None:
                raise StageError("the training job is gone", where=name)
            for line in lines:
                print(line.shown, flush=True)
                last.append(line)
                if found := metrics.read(line.text):
                    on_metrics(found)
            if description["SecondaryStatus"] != shown:
                shown = str(description["SecondaryStatus"])
                print(f"-- {name}: {shown}", flush=True)
            if description["TrainingJobStatus"] not in _UNDER_WAY and not lines:
                _check(description, job, last)
                return description
            pace.wait(news=bool(lines))


def _check(description: Mapping[str, Any], job: TrainingJob, last: Sequence[Line]) -> None:
    status, how = description["TrainingJobStatus"], description["SecondaryStatus"]
    if status == "Completed":
        return
    said = _said(job, last)
    fix = None
    if how == "MaxRuntimeExceeded":
        what = f"SageMaker stopped the job after {job.compute.max_runtime:g} s"
        fix = "Allow it more: with.compute.max_runtime."
    elif how == "MaxWaitTimeExceeded":
        what = "SageMaker gave up the job: spot instances were not free for long enough"
        fix = "Allow it more time: with.compute.spot.max_wait; or do without spot."
    elif status == "Stopped":
        what = "somebody stopped the job"
    else:
        what = str(description.get("FailureReason") or "SageMaker does not say why the job failed")
        fix = f"Run it here, with the same data and code: mlpipe replay {job.run} {job.stage}"
    where = str(description["TrainingJobName"])
    raise StageError("\n   ".join([what.strip(), *said]), where=where, fix=fix)


def _said(job: TrainingJob, last: Sequence[Line]) -> list[str]:
    """Give the end of a log; before it, if a launcher's report is all of that, what failed."""
    said = [line.shown for line in last if line.shown.strip()][-_LAST_LINES:]
    found = first_failure([line.text for line in last]) if job.distribution is not None else None
    if found is not None:
        own = found.said[-SHOWN_LINES:]
        said = [f"rank {found.rank} of the script failed first:", *own, "the log ends:", *said]
    return said or ["(it logged nothing)"]


def _metrics(description: Mapping[str, Any], read: MetricReader) -> dict[str, float]:
    """Give the last metrics: as SageMaker saw them, and as the log has them, which has all."""
    theirs = {
        str(each["MetricName"]): float(each["Value"])
        for each in description.get("FinalMetricDataList", ())
    }
    return {**theirs, **read.last}


def _values(description: Mapping[str, Any], uri: str) -> dict[str, Any]:
    return {
        "job": description["TrainingJobName"],
        "model_uri": uri,
        "instance": description["ResourceConfig"].get("InstanceType"),
        "billable_seconds": description.get("BillableTimeInSeconds"),
    }
