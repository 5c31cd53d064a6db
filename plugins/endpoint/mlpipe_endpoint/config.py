"""What a recipe says to ``endpoint.deploy``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from mlpipe import Declares, InputFile, Permission, SecretName, StageConfig, Target
from mlpipe_endpoint.hostingconfig import Hosting
from mlpipe_experiments import ExperimentPlan, Guardrail, Metric, OutcomeQuery

#: SageMaker's rule for names of endpoints and production variants.
NAME_PATTERN = r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$"

_LOOPBACK = ("127.0.0.1", "localhost")

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]


class ProbeConfig(BaseModel):
    """A request that every variant must answer before it gets traffic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: InputFile | None = Field(default=None, description="A file that holds the body.")
    body: Any = Field(
        default=None, description="The body: text as it is, anything else is sent as JSON."
    )
    content_type: str = Field(default="application/json", description="The body's type.")
    accept: str = Field(default="application/json", description="The type wanted back.")

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if (self.file is None) == (self.body is None):
            raise ValueError('give either "file" or "body"')
        return self

    def inline(self) -> bytes:
        """Give ``body`` as the bytes to send."""
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return text.encode()


class LimitsBlock(BaseModel):
    """How much an endpoint of this machine takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    body: Annotated[ByteSize, Field(ge=1)] = Field(
        default=ByteSize(6 * 1024 * 1024),
        description="Of a request, as 6MiB; more is answered by 413.",
    )
    concurrency: Annotated[int, Field(ge=1)] = Field(
        default=256, description="Requests at once; more are answered by 429."
    )


class ExperimentBlock(BaseModel):
    """An experiment between the variants, decided before it starts; shares are ``traffic``'s."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Metric = Field(description="What is compared.")
    effect: Annotated[float, Field(gt=0)] = Field(
        description="The smallest difference that matters, in the metric's own unit."
    )
    control: Name = Field(description="The variant in service.")
    alpha: float = Field(
        default=0.05, description="How often an experiment without any effect may be decided."
    )
    power: float = Field(default=0.8, description="How often the smallest effect is found.")
    guardrails: tuple[Guardrail, ...] = Field(
        default=(), description="What must not become worse: error_rate, or latency."
    )
    units_a_day: float | None = Field(
        default=None, description="Users a day, all variants together; to say how long it takes."
    )
    outcomes: OutcomeQuery | None = Field(
        default=None, description="The query that gives outcomes; they come in files when left out."
    )

    @field_validator("guardrails")
    @classmethod
    def _known(cls, guardrails: tuple[Guardrail, ...]) -> tuple[Guardrail, ...]:
        for guardrail in guardrails:
            if guardrail.metric not in ("error_rate", "latency"):
                raise ValueError(
                    f'"{guardrail.metric}" is no guardrail of an endpoint: error_rate, latency'
                )
        return guardrails

    def plan(self, traffic: Mapping[str, float]) -> ExperimentPlan:
        """Give the plan.

        Raises:
            ValueError: Its parts do not go together.
        """
        weights = {name: weight for name, weight in traffic.items() if weight > 0}
        return ExperimentPlan.model_validate({**self.model_dump(), "weights": weights})


class EndpointConfig(StageConfig):
    """Serve the stage's input models as the variants of one HTTP endpoint."""

    endpoint: Name = Field(description="The endpoint's name.")
    traffic: dict[Name, Weight] = Field(
        default_factory=dict,
        description="Share of the traffic for each input, in any unit. May be left out when "
        "there is one input. One name more stands for the model that is in service.",
    )
    shadow: dict[Name, Share] = Field(
        default_factory=dict,
        description="Inputs without traffic that get a copy of a share of all requests, from 0 "
        "to 1. Their answers are recorded, and given to nobody.",
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=0, description="0: a free one when the endpoint is created, kept afterwards."
    )
    host: str = Field(
        default="127.0.0.1",
        description="The address to listen on. Another one than this machine's own needs a token.",
    )
    token: SecretName | None = Field(
        default=None, description="The secret that callers send as: Authorization: Bearer …"
    )
    capture: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0,
        description="Share of the requests that are kept with their answers, for monitoring. At "
        "SageMaker: hosting.capture.",
    )
    limits: LimitsBlock = Field(default=LimitsBlock(), description="How much it takes.")
    salt: str = Field(
        default="",
        description="Another one assigns keys to variants anew. When left out: the endpoint's "
        "name; with an experiment, also its models, so that others begin another one.",
    )
    spares: Annotated[int, Field(ge=0, le=1)] = Field(
        default=1,
        description="Processes that have loaded each model, too, and go on at once should the one "
        "that answers die. 0 saves the memory; the variant is then away while its model loads.",
    )
    python: dict[Name, str] = Field(
        default_factory=dict,
        description="The interpreter that an input's model runs in, as envs/old/bin/python; "
        "mlpipe's own when left out. It needs Python 3.11 and numpy, not mlpipe. model: one "
        "that is made from the requirements that MLflow saved with it.",
    )
    probe: ProbeConfig | None = Field(
        default=None, description="A request that every variant must answer before it gets traffic."
    )
    hosting: Hosting | None = Field(
        default=None, description="At SageMaker: what the variants run in. Needed there only."
    )
    experiment: ExperimentBlock | None = Field(
        default=None, description="What is to be decided between the variants, and how surely."
    )

    @model_validator(mode="after")
    def _some_traffic(self) -> Self:
        if self.traffic and not any(self.traffic.values()):
            raise ValueError("traffic: at least one variant needs a weight above 0")
        return self

    @model_validator(mode="after")
    def _shadows_answer_nobody(self) -> Self:
        for name in self.shadow:
            if self.traffic.get(name):
                raise ValueError(
                    f'shadow: "{name}" has traffic, too; a shadow variant answers nobody'
                )
        return self

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.host not in _LOOPBACK and self.token is None:
            raise ValueError(
                f"host: {self.host} can be reached from elsewhere, so a token is needed"
            )
        return self

    @model_validator(mode="after")
    def _can_be_decided(self) -> Self:
        if self.experiment is not None:
            self._plan(self.experiment)
        return self

    def _plan(self, experiment: ExperimentBlock) -> ExperimentPlan:
        try:
            return experiment.plan(self.traffic)
        except ValidationError as error:
            said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            raise ValueError(f"experiment: {said}") from None

    @property
    def plan(self) -> ExperimentPlan | None:
        """The experiment's plan, where there is one."""
        return self._plan(self.experiment) if self.experiment is not None else None

    def recorded(self, target: Target, root: Path) -> tuple[Path, str]:
        """Give the file of what the endpoint answered, and the salt that its keys are hashed with.

        Args:
            target: Where it is.
            root: The project's folder.
        """
        from mlpipe_endpoint.places import backend

        found = backend(target, root, root / ".mlpipe")
        there = found.describe(self.endpoint)
        salt = there.deployment.assigned_with if there is not None else self.endpoint
        return found.records(self.endpoint), salt

    def permissions(self, target: Target, inputs: Mapping[str, str]) -> tuple[Permission, ...]:
        """What making and changing an endpoint takes; and what its containers do."""
        if target.type != "aws" or self.hosting is None:
            return ()
        from mlpipe_endpoint.awspermissions import to_deploy

        return to_deploy(target, self.endpoint, self.hosting, probed=self.probe is not None)

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """A deploy makes no artifact and no metric; its values say where the endpoint is."""
        return Declares(outputs=(), metrics=(), values=("endpoint", "url", "port"))


class MonitorConfig(StageConfig):
    """Hold what an endpoint is asked against the data that its model was trained on."""

    endpoint: Name = Field(description="The endpoint's name; its deploy captures requests.")
    label: str | None = Field(
        default=None, description="The column of the baseline that is no feature."
    )
    rows: Annotated[int, Field(ge=1)] = Field(
        default=10_000, description="How many captured rows, the newest, are looked at."
    )
    least: Annotated[int, Field(ge=50)] = Field(
        default=200, description="Rows below which nothing is concluded."
    )
    effect: Annotated[float, Field(gt=0)] = Field(
        default=0.1, description="Population stability index from which a feature has drifted."
    )
    alpha: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.05, description="Share of the features said to drift that may be said so wrongly."
    )
    labels: InputFile | None = Field(
        default=None, description="CSV, JSON lines or Parquet: id and label, once they are known."
    )
    task: Literal["classification", "regression"] = Field(
        default="classification", description="What the labels are."
    )

    def permissions(self, target: Target, inputs: Mapping[str, str]) -> tuple[Permission, ...]:
        """What reading captures and asking the endpoint takes."""
        if target.type != "aws":
            return ()
        from mlpipe_endpoint.awspermissions import to_monitor

        return to_monitor(target, self.endpoint)

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """The page, and the metrics for gates."""
        if tuple(inputs) != ("baseline",):
            raise ValueError("it takes one input, baseline: the table that the model trained on")
        quality = ("accuracy",) if self.task == "classification" else ("mae",)
        labelled = ("labelled", *quality) if self.labels else ()
        return Declares(
            outputs=("report",),
            metrics=("rows", "drifted", "drift_share", "prediction_drift", *labelled),
            values=(),
        )
