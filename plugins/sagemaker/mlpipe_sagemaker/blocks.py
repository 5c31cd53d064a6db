"""The blocks of settings within a stage's ``with:``: what it runs on, and for how long."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mlpipe import Duration


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Distribution(_Block):
    """Processes that train together."""

    type: Literal["torchrun", "mpi"] = Field(description="What starts the processes.")
    processes: int = Field(default=1, ge=1, le=1024, description="Processes on each instance.")


class Spot(_Block):
    """Managed spot training: cheaper instances that may be taken away."""

    max_wait: Duration = Field(
        default=86_400.0, description="Longest time for waiting and training together."
    )


class Compute(_Block):
    """What a job runs on at SageMaker.

    On this machine, ``instances`` and ``max_runtime`` have the same meaning, and others none.
    """

    instance: str = Field(
        default="ml.m5.large", pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$", description="Its type."
    )
    instances: int = Field(default=1, ge=1, le=512, description="How many.")
    volume: int = Field(default=30, ge=1, le=16_384, description="Disk of each, in GB.")
    max_runtime: Duration = Field(
        default=3600.0, le=2_419_200, description="The job is stopped after this time."
    )
    spot: Spot | None = Field(default=None, description="Use spot instances.")
    keep_alive: Duration | None = Field(
        default=None, le=3600, description="Keep instances warm for the next job that long."
    )
    input_mode: Literal["File", "FastFile", "Pipe"] = Field(
        default="File", description="How data comes: copied first, or read as it is asked for."
    )
    retries: int = Field(
        default=0, ge=0, le=30, description="How often SageMaker retries internal errors."
    )


class Framework(_Block):
    """A prebuilt framework image of SageMaker's."""

    name: str = Field(description="As sklearn, pytorch, xgboost.")
    version: str = Field(description="As SageMaker names it.")
    python: str | None = Field(default=None, description="As py310, where there are several.")


class TrialBudget(_Block):
    """When tuning ends: at the first limit that is reached."""

    trials: int = Field(default=10, ge=1, le=750, description="How many trainings in all.")
    parallel: int = Field(default=1, ge=1, le=100, description="How many at once.")
    time: Duration | None = Field(default=None, description="For all of them together.")
    money: float | None = Field(
        default=None, gt=0, description="On SageMaker, in the price table's currency."
    )
