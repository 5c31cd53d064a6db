"""What a recipe says of a target of type ``aws``."""

from difflib import get_close_matches
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlpipe import StageError, Target

_ROLE = r"^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$"
_BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"


class Settings(BaseModel):
    """The keys of a target.

    Attributes:
        region: Where.
        bucket: For what goes there and comes back.
        prefix: Before every key in the bucket.
        role: ARN of the role that jobs assume.
        profile: Of the AWS configuration.
        endpoint_url: Another address than AWS's own.
        kms_key: Encrypts volumes and what jobs write.
        tags: On everything that is made.
        subnets: Of the VPC that jobs run in, with
        security_groups: of it.
        network_isolation: Whether jobs have no network.
        encrypt_traffic: Whether traffic between a job's instances is encrypted.
        read_timeout: Seconds that AWS may take to answer a call, before it is tried again.
        prices: A price table of the project's own, by its path.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    bucket: str = Field(pattern=_BUCKET)
    prefix: str = Field(default="mlpipe", pattern=r"^[\w.!'()*-]+(/[\w.!'()*-]+)*$")
    role: str | None = Field(default=None, pattern=_ROLE)
    profile: str | None = None
    endpoint_url: str | None = Field(default=None, pattern=r"^https?://")
    kms_key: str | None = None
    tags: dict[str, str] = Field(default_factory=dict, max_length=40)
    subnets: tuple[str, ...] = Field(default=(), max_length=16)
    security_groups: tuple[str, ...] = Field(default=(), max_length=5)
    network_isolation: bool = False
    encrypt_traffic: bool = False
    read_timeout: float = Field(default=60, gt=0, le=600)
    prices: str | None = None

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if bool(self.subnets) != bool(self.security_groups):
            raise ValueError("subnets and security_groups go together")
        return self


def settings(target: Target) -> Settings:
    """Read a target's settings.

    Raises:
        StageError: A key is missing, unknown or wrong.
    """
    try:
        return Settings.model_validate(dict(target.settings))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "security_groups"
        raise StageError(
            _what(first["type"], str(first["msg"])),
            where=f"targets.{target.name}.{key}",
            fix=_fix(first["type"], key),
        ) from None


def _what(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing"
    return "unknown key" if kind == "extra_forbidden" else message.removeprefix("Value error, ")


_EXAMPLES = {
    "region": "eu-west-1",
    "bucket": "acme-ml",
    "role": "arn:aws:iam::111122223333:role/training",
    "prefix": "teams/churn",
    "endpoint_url": "https://vpce-1.sagemaker.eu-west-1.vpce.amazonaws.com",
}


def _fix(kind: str, key: str) -> str:
    known = list(Settings.model_fields)
    if kind == "extra_forbidden":
        close = get_close_matches(key, known, 1)
        return f'Did you mean "{close[0]}"?' if close else f"Known: {', '.join(known)}."
    return f"As {key}: {_EXAMPLES[key]}" if key in _EXAMPLES else "See the guide on SageMaker."
