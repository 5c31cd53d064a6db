"""SageMaker's operations that moto answers without running anything: jobs and hosting."""

import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from mlpipe_awstest import hosting
from mlpipe_awstest.checks import check
from mlpipe_awstest.cloud import Cloud
from mlpipe_awstest.containers import programs
from mlpipe_awstest.describing import describe, summarise
from mlpipe_awstest.errors import Refused, invalid, not_found
from mlpipe_awstest.hosting import Hosting
from mlpipe_awstest.kept import arn_of, tags_in
from mlpipe_awstest.listing import page
from mlpipe_awstest.rules import check_training, check_tuning, check_warm_start
from mlpipe_awstest.training import FATES, TrainingJob
from mlpipe_awstest.tuning import TuningJob

_TOOLKIT = f"{sys.executable} -m mlpipe_awstest.toolkit"
Answer = dict[str, Any]


@dataclass
class SageMaker:
    """Training and tuning jobs, by name, and hosting.

    Attributes:
        cloud: Where their data is.
        hosting: Models and endpoints.
    """

    cloud: Cloud
    hosting: Hosting = field(init=False)
    _training: dict[str, TrainingJob] = field(default_factory=dict)
    _tuning: dict[str, TuningJob] = field(default_factory=dict)
    _tags: dict[str, dict[str, str]] = field(default_factory=dict)
    _fates: list[str] = field(default_factory=list)
    _images: list[tuple[str, str, str]] = field(default_factory=list)
    _made: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.hosting = Hosting(self.cloud, self._tags)

    def _answers(self) -> Mapping[str, Callable[[Any], Answer]]:
        return {
            **self.hosting.answers(),
            "CreateTrainingJob": self._create_training,
            "DescribeTrainingJob": lambda request: describe(self._training_job(request)),
            "ListTrainingJobs": self._list_training,
            "StopTrainingJob": self._stop_training,
            "CreateHyperParameterTuningJob": self._create_tuning,
            "DescribeHyperParameterTuningJob": lambda r: self._tuning_job(r).describe(),
            "ListHyperParameterTuningJobs": self._list_tuning,
            "ListTrainingJobsForHyperParameterTuningJob": self._list_trials,
            "StopHyperParameterTuningJob": self._stop_tuning,
        }

    def _tagging(self) -> Mapping[str, Callable[[Any], Answer]]:
        return {
            "ListTags": lambda request: {"Tags": _pairs(self._tags[request["ResourceArn"]])},
            "AddTags": self._add_tags,
            "DeleteTags": self._delete_tags,
        }

    def answer(self, operation: str, request: Any) -> Answer | None:
        """Serve an operation, or give ``None`` for one that moto is to serve.

        Raises:
            Refused: The request is wrong, also one of those for moto.
        """
        check("sagemaker", operation, request)
        found = self._answers().get(operation)
        if found is None and request.get("ResourceArn") in self._tags:
            found = self._tagging().get(operation)
        return None if found is None else found(request)

    def doom(self, fate: str) -> None:
        """Let something happen to the next training job, or to the next update of an endpoint."""
        if fate in hosting.FATES:
            self.hosting.doom(fate)
            return
        if fate not in FATES:
            raise invalid(f"{fate} is no fate of jobs; there are {', '.join(FATES)}")
        self._fates.append(fate)

    def image(self, pattern: str, python: str, train: str) -> None:
        """Let images whose URIs fit a pattern have another interpreter, or program ``train``."""
        self._images.insert(0, (pattern, python, train))

    def reset(self) -> None:
        """End all jobs and endpoints, and forget them."""
        self.hosting.reset()
        with self._lock:
            for tuning in self._tuning.values():
                tuning.kill()
            for training in self._training.values():
                training.kill()
            ended = list(self._training.values())
            for kept in (self._training, self._tuning, self._tags):
                kept.clear()
            self._fates.clear()
            self._images.clear()
        for each in ended:
            each.done.wait(10)

    # -- training ---------------------------------------------------------------------------------

    def _create_training(self, request: Any) -> Answer:
        check_training(request)
        return {"TrainingJobArn": self._make(request, {}, "").arn}

    def _make(
        self, request: Mapping[str, Any], tuned: Mapping[str, str], tuning: str
    ) -> TrainingJob:
        name = str(request["TrainingJobName"])
        arn = arn_of("training-job", name)
        with self._lock:
            if name in self._training:
                raise Refused(
                    "ResourceInUse",
                    "Job name must be unique within an AWS account and region, and a training job "
                    f"with this name already exists ({arn})",
                )
            self._made += 1
            folder = self.cloud.folder / f"job-{self._made}"
            bin_folder = programs(folder / "bin", *self._programs_of(request))
            fate = self._fates.pop(0) if self._fates else ""
            job = TrainingJob(request, arn, self.cloud, folder, bin_folder, fate, tuning, tuned)
            self._training[name] = job
            self._tags[arn] = tags_in(request)
        job.start()
        return job

    def _programs_of(self, request: Mapping[str, Any]) -> tuple[str, str]:
        algorithm = request["AlgorithmSpecification"]
        uri = algorithm.get("TrainingImage", algorithm.get("AlgorithmName", ""))
        fitting = [image for image in self._images if fnmatchcase(uri, image[0])]
        python = next((python for _, python, _ in fitting if python), sys.executable)
        return python, next((train for _, _, train in fitting if train), _TOOLKIT)

    def _training_job(self, request: Any) -> TrainingJob:
        found = self._training.get(request["TrainingJobName"])
        if found is None:
            raise not_found()
        return found

    def _list_training(self, request: Any) -> Answer:
        jobs = [summarise(job) for job in list(self._training.values())]
        return page(jobs, "TrainingJob", request)

    def _stop_training(self, request: Any) -> Answer:
        job = self._training_job(request)
        if job.is_over:
            raise invalid(
                f"The request was rejected because the training job is in status {job.status}."
            )
        job.stop()
        return {}

    # -- tuning -----------------------------------------------------------------------------------

    def _create_tuning(self, request: Any) -> Answer:
        name = request["HyperParameterTuningJobName"]
        check_tuning(request)
        with self._lock:
            if name in self._tuning:
                raise Refused(
                    "ResourceInUse",
                    "Hyper parameter tuning job names must be unique within an AWS account and "
                    f"region; there is one named {name}",
                )
            parents = tuple(self._parents(request))
            arn = arn_of("hyper-parameter-tuning-job", name)
            job = TuningJob(request, arn, self._make, parents)
            self._tuning[name] = job
            self._tags[arn] = tags_in(request)
        job.start()
        return {"HyperParameterTuningJobArn": job.arn}

    def _parents(self, request: Any) -> Iterable[TuningJob]:
        for each in request.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", ()):
            parent = self._tuning.get(each["HyperParameterTuningJobName"])
            if parent is None:
                raise invalid(
                    f"Parent tuning job {each['HyperParameterTuningJobName']} does not exist."
                )
            check_warm_start(request, parent.request, parent.status)
            yield parent

    def _tuning_job(self, request: Any) -> TuningJob:
        found = self._tuning.get(request["HyperParameterTuningJobName"])
        if found is None:
            raise Refused("ResourceNotFound", "Requested resource not found.")
        return found

    def _list_tuning(self, request: Any) -> Answer:
        jobs = [job.listing() for job in list(self._tuning.values())]
        return page(jobs, "HyperParameterTuningJob", request)

    def _list_trials(self, request: Any) -> Answer:
        job = self._tuning_job(request)
        return page([job.summary(each) for each in list(job.jobs)], "TrainingJob", request)

    def _stop_tuning(self, request: Any) -> Answer:
        job = self._tuning_job(request)
        if job.status != "InProgress":
            raise invalid(f"The tuning job is in status {job.status} and cannot be stopped.")
        job.stop()
        return {}

    # -- tags -------------------------------------------------------------------------------------

    def _add_tags(self, request: Any) -> Answer:
        tags = self._tags[request["ResourceArn"]]
        tags |= tags_in(request)
        return {"Tags": _pairs(tags)}

    def _delete_tags(self, request: Any) -> Answer:
        for key in request["TagKeys"]:
            self._tags[request["ResourceArn"]].pop(key, None)
        return {}


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
