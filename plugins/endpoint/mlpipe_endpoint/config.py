"""What a recipe says to ``endpoint.deploy``."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlpipe import Declares, InputFile, StageConfig

#: SageMaker's rule for names of endpoints and production variants.
NAME_PATTERN = r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$"

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


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


class EndpointConfig(StageConfig):
    """Serve the stage's input models as the variants of one HTTP endpoint."""

    endpoint: Name = Field(description="The endpoint's name.")
    traffic: dict[Name, Weight] = Field(
        default_factory=dict,
        description="Share of the traffic for each input, in any unit. May be left out when "
        "there is one input.",
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=0, description="0: a free one when the endpoint is created, kept afterwards."
    )
    salt: str = Field(
        default="",
        description="Another one assigns keys to variants anew, as a new experiment should; the "
        "endpoint's name when left out.",
    )
    probe: ProbeConfig | None = Field(
        default=None, description="A request that every variant must answer before it gets traffic."
    )

    @model_validator(mode="after")
    def _some_traffic(self) -> Self:
        if self.traffic and not any(self.traffic.values()):
            raise ValueError("traffic: at least one variant needs a weight above 0")
        return self

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """A deploy makes no artifact and no metric; its values say where the endpoint is."""
        return Declares(outputs=(), metrics=(), values=("endpoint", "url", "port"))
