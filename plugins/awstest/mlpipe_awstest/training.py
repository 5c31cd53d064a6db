"""Training jobs: what is asked, how they stand, and the threads that carry them out."""

import contextlib
import re
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError  # noqa: TID253 - only the server imports this

from mlpipe_awstest.cloud import Cloud, LogStream
from mlpipe_awstest.containers import Container
from mlpipe_awstest.hosts import Hosts, NoData

GROUP = "/aws/sagemaker/TrainingJobs"
#: What a test can want to happen to a job.
FATES = ("fail", "spot", "capacity")
_REASON = 1024
_GRACE = 20.0
_DAY = 86_400
_ENDED = ("Completed", "Failed", "Stopped")
_BROKEN = "InternalServerError: We encountered an internal error. Please try again."


@dataclass
class TrainingJob:
    """A training job.

    Attributes:
        request: As it was made.
        arn: Its ARN.
        cloud: Where its data is and its log goes.
        folder: For its hosts' files.
        programs: A folder of programs that its containers find.
        fate: What a test wants to happen to it: one of ``FATES``, or nothing.
        tuning: ARN of the tuning job that made it, or empty.
        tuned: The hyperparameters that the tuning job chose.
    """

    request: Mapping[str, Any]
    arn: str
    cloud: Cloud
    folder: Path
    programs: Path
    fate: str = ""
    tuning: str = ""
    tuned: Mapping[str, str] = field(default_factory=dict)
    status: str = "InProgress"
    secondary: str = ""
    reason: str = ""
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    transitions: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, tuple[float, float]] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    _lost: str = ""
    _stopping: bool = False
    _killed: bool = False
    _too_long: bool = False
    _failed: list[int] = field(default_factory=list)
    _containers: list[Container] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._hosts = Hosts(self.request, self.hyperparameters, self.cloud, self.folder)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.request["TrainingJobName"])

    @property
    def hyperparameters(self) -> dict[str, str]:
        """All of them."""
        return {**self.request.get("HyperParameters", {}), **self.tuned}

    def start(self) -> None:
        """Begin to carry it out."""
        self._move("Starting", "Starting the training job")
        threading.Thread(target=self._carry_out, name=self.name, daemon=True).start()

    def stop(self) -> None:
        """Stop it, as StopTrainingJob does: SIGTERM, then SIGKILL."""
        with self._lock:
            if self.status != "InProgress":
                return
            self._stopping = True
            self.status = "Stopping"
            self._move("Stopping", "Stopping the training job")
            for container in self._containers:
                container.stop(_GRACE)

    def kill(self) -> None:
        """End its processes; nobody looks at it any more."""
        with self._lock:
            self._stopping = self._killed = True
            for container in self._containers:
                container.kill()

    # -- how it is carried out ------------------------------------------------------------------

    def _carry_out(self) -> None:
        try:
            self._attempts()
        except NoData as error:
            self._end("Failed", f"ClientError: Data download failed: {error}")
        except ClientError as error:
            self._end("Failed", f"ClientError: {error}")
        except Exception as error:  # whatever else goes wrong here is the service's fault
            self._end("Failed", f"InternalServerError: {type(error).__name__}: {error}")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.done.set()

    def _attempts(self) -> None:
        retries = int(self.request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0))
        if self.fate == "capacity":
            self._end("Failed", "CapacityError: Unable to provision requested ML compute capacity.")
            return
        while True:
            self._move_on("Downloading", "Downloading input data")
            roots = self._hosts.lay_out()
            codes = self._train(roots)
            if self._killed:
                return
            self._hosts.keep_checkpoints(roots)
            lost, self._lost = self._lost, ""
            if self._stopping or not lost or (lost == "fail" and retries == 0):
                break
            if lost == "fail":
                retries -= 1
                self._move_on("Restarting", "Training job failed and is started again")
            else:
                self._move_on("Interrupted", "Spot capacity was reclaimed")
                self._move_on("Starting", "Starting the training job again")
        self._conclude(roots, codes, lost)

    def _train(self, roots: Sequence[Path]) -> list[int]:
        self._move_on("Training", "Training image download completed. Training in progress.")
        self.started = self.started or time.time()
        streams = [self._stream(root) for root in roots]
        made = [self._container(*each) for each in zip(roots, streams, strict=True)]
        with self._lock:
            self._containers = made
            if self._stopping:
                return [0] * len(roots)
        codes = dict.fromkeys(range(len(roots)), -1)
        self._failed.clear()
        threads = [threading.Thread(target=self._run, args=(i, codes)) for i in codes]
        timers = self._timers()
        for thread in (*timers, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        for timer in timers:
            timer.cancel()
        for stream in streams:
            stream.close()
        return list(codes.values())

    def _run(self, index: int, codes: dict[int, int]) -> None:
        container = self._containers[index]
        codes[index] = container.run()
        if codes[index] != 0:  # one host that fails ends the others
            self._failed.append(index)
            for other in self._containers:
                if other is not container:
                    other.stop(5.0)

    def _timers(self) -> list[threading.Timer]:
        limit = self.request["StoppingCondition"].get("MaxRuntimeInSeconds", _DAY)
        timers = [threading.Timer(limit, self._exceed)]
        if self.fate == "fail":
            timers.append(threading.Timer(0.5, self._lose))
        return timers

    def _exceed(self) -> None:
        with self._lock:
            self._too_long = True
            self._move_on("MaxRuntimeExceeded", "Training job ran longer than MaxRuntimeInSeconds")
            for container in self._containers:
                container.stop(_GRACE)

    def _lose(self) -> None:
        """Let the job's fate happen: its instances are gone."""
        with self._lock:
            if self.fate:
                self._lost, self.fate = self.fate, ""
            for container in self._containers:
                container.kill()

    def _conclude(self, roots: Sequence[Path], codes: Sequence[int], lost: str) -> None:
        if lost == "fail" and not self._stopping:
            self._end("Failed", _BROKEN)
        elif any(codes) and not self._stopping and not self._too_long:
            self._end("Failed", self._failure(roots, codes))
        else:
            if not self._too_long:
                self._move_on("Uploading", "Uploading generated training model")
            self._hosts.upload(roots, self.output)
            if self._too_long:
                self._end("Stopped", "", "MaxRuntimeExceeded")
            else:
                self._end("Stopped" if self._stopping else "Completed", "")

    def _failure(self, roots: Sequence[Path], codes: Sequence[int]) -> str:
        first = self._failed[0]
        said = self._hosts.failure(roots[first])
        end = f", exit code: {codes[first]}"
        return f"AlgorithmError: {said}"[: _REASON - len(end)] + end

    # -- a host ---------------------------------------------------------------------------------

    def _stream(self, root: Path) -> LogStream:
        return self.cloud.log(GROUP, f"{self.name}/{root.name}-{int(self.created * 1000)}")

    def _container(self, root: Path, stream: LogStream) -> Container:
        algorithm = self.request["AlgorithmSpecification"]
        command = [
            *(algorithm.get("ContainerEntrypoint") or ["train"]),
            *(algorithm.get("ContainerArguments") or []),
        ]
        environment = {
            **self.cloud.environment(),
            "PATH": f"{self.programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": "/opt/ml",
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            # What a job installs is the job's alone.
            "PIP_TARGET": "/opt/ml/site",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONPATH": "/opt/ml/site",
            **self.request.get("Environment", {}),
            "TRAINING_JOB_NAME": self.name,
            "TRAINING_JOB_ARN": self.arn,
        }

        def said(line: str) -> None:
            stream.write(line)
            self._measure(line)
            if self.fate == "spot" and self._hosts.has_checkpoints(root):
                self._lose()

        return Container(root, command, environment, said)

    def _measure(self, line: str) -> None:
        for each in self.request["AlgorithmSpecification"].get("MetricDefinitions", ()):
            if match := re.search(each["Regex"], line):
                with contextlib.suppress(ValueError, IndexError):
                    self.metrics[each["Name"]] = (float(match.group(1)), time.time())

    # -- how it stands --------------------------------------------------------------------------

    @property
    def output(self) -> str:
        """URI of the folder with what it leaves."""
        where = self.request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        return f"{where}/{self.name}/output"

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in _ENDED

    def _move_on(self, secondary: str, message: str) -> None:
        """Show how far it is; one that is being stopped shows only that."""
        if not self._stopping:
            self._move(secondary, message)

    def _move(self, secondary: str, message: str) -> None:
        with self._lock:
            now = time.time()
            if self.transitions:
                self.transitions[-1].setdefault("EndTime", now)
            self.secondary = secondary
            self.transitions.append(
                {"Status": secondary, "StartTime": now, "StatusMessage": message}
            )

    def _end(self, status: str, reason: str, secondary: str = "") -> None:
        with self._lock:
            self.reason = reason
            if self.secondary != (secondary or status):
                self._move(secondary or status, reason or f"Training job {status.lower()}")
            self.transitions[-1]["EndTime"] = self.ended = time.time()
            self.status = status
