"""What a recipe says of hosting at SageMaker; an endpoint of this machine needs none of it."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlpipe import Duration

_Share = Annotated[float, Field(gt=0, le=1)]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Framework(_Block):
    """A prebuilt image of SageMaker's."""

    name: str = Field(description="As sklearn, pytorch, xgboost.")
    version: str = Field(description="As SageMaker names it.")
    python: str | None = Field(default=None, description="As py310, where there are several.")


class Serverless(_Block):
    """No instances: what is paid is the time that requests take."""

    memory: Literal[1024, 2048, 3072, 4096, 5120, 6144] = Field(default=2048, description="In MB.")
    concurrency: Annotated[int, Field(ge=1, le=200)] = Field(
        default=5, description="Requests at once."
    )


class Autoscaling(_Block):
    """Instances as traffic needs them."""

    least: Annotated[int, Field(ge=1)] = Field(default=1, description="Instances of a variant.")
    most: Annotated[int, Field(ge=1)] = Field(description="Instances of a variant.")
    invocations: Annotated[float, Field(gt=0)] = Field(
        description="Requests a minute that an instance shall have."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least: {self.least} is more than most, {self.most}")
        return self


class Rollout(_Block):
    """How new instances get the traffic of old ones; alarms lead it back."""

    type: Literal["all_at_once", "canary", "linear"] = Field(
        default="canary", description="All traffic at once, a part first, or part by part."
    )
    share: Annotated[float, Field(ge=0.05, le=0.5)] = Field(
        default=0.1, description="The part, of 1."
    )
    wait: Duration = Field(default=600, description="Between parts, and before old ones end.")
    errors: _Share = Field(
        default=0.01, description="Share of failed requests above which all is led back."
    )
    latency: Annotated[float, Field(gt=0)] = Field(
        default=5.0, description="Seconds that 99 % of requests may take, above which it is."
    )


class Hosting(_Block):
    """Where an endpoint's variants run at SageMaker."""

    framework: Framework | None = Field(
        default=None, description="The prebuilt image to serve in; or image."
    )
    image: str | None = Field(default=None, description="The URI of an image of your own.")
    instance: str = Field(default="ml.m5.large", pattern=r"^ml\.", description="Their type.")
    count: Annotated[int, Field(ge=1)] = Field(default=1, description="Instances of a variant.")
    serverless: Serverless | None = Field(default=None, description="Instead of instances.")
    autoscaling: Autoscaling | None = Field(default=None, description="Between two numbers.")
    rollout: Rollout | None = Field(
        default=None, description="With alarms that are made for it. All at once when left out."
    )
    capture: _Share | None = Field(
        default=None, description="Share of requests that are kept in the bucket, with answers."
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.framework is None) == (self.image is None):
            raise ValueError("give either framework or image")
        if self.serverless is not None:
            for name in ("autoscaling", "rollout", "capture"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name}: SageMaker has it for instances only, not serverless")
        return self
