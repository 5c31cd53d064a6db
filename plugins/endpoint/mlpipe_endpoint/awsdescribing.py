"""What SageMaker has of an endpoint, by read-only calls."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mlpipe.errors import StageError
from mlpipe_aws import Settings, Store, client, failing
from mlpipe_endpoint.awsnames import OWNER, VERIFIED, from_tags
from mlpipe_endpoint.values import Deployment, Found, near

#: In these states an endpoint answers.
_ANSWERING = ("InService", "Updating", "SystemUpdating", "RollingBack")


@dataclass(frozen=True, slots=True)
class There:
    """An endpoint at SageMaker.

    Attributes:
        status: As SageMaker calls it.
        config: Its configuration's name.
        weights: As they are now, by variant that answers.
        shadows: The same of those that answer nobody.
        failure: What SageMaker says of what went wrong last.
        tags: Of the endpoint.
        arn: Its own.
    """

    status: str
    config: str
    weights: Mapping[str, float]
    shadows: Mapping[str, float]
    failure: str
    tags: Mapping[str, str]
    arn: str

    @property
    def settled(self) -> bool:
        """Whether nothing is being changed."""
        return self.status in ("InService", "Failed", "OutOfService", "UpdateRollbackFailed")


@dataclass(frozen=True)
class Describer:
    """Looks at what a target has.

    Attributes:
        settings: The target's.
    """

    settings: Settings

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def client(self, service: str) -> Any:
        """Give the client of a service; making one takes a good part of a second."""
        if service not in self._clients:
            self._clients[service] = client(self.settings, service)
        return self._clients[service]

    @property
    def sagemaker(self) -> Any:
        """The client of SageMaker."""
        return self.client("sagemaker")

    @cached_property
    def store(self) -> Store:
        """The target's store."""
        return Store(self.settings)

    def there(self, name: str) -> There | None:
        """Look at an endpoint.

        Raises:
            StageError: SageMaker does not answer.
        """
        found = self.described("endpoint", EndpointName=name)
        if found is None:
            return None
        return There(
            status=found["EndpointStatus"],
            config=found["EndpointConfigName"],
            weights=_weights(found.get("ProductionVariants") or ()),
            shadows=_weights(found.get("ShadowProductionVariants") or ()),
            failure=str(found.get("FailureReason") or ""),
            tags=self.tags(found["EndpointArn"]),
            arn=found["EndpointArn"],
        )

    def found(self, name: str, there: There | None) -> Found | None:
        """Say what an endpoint serves.

        Raises:
            StageError: It was not made by mlpipe.
        """
        if there is None or there.status == "Failed":
            return None
        if OWNER not in there.tags:
            raise StageError(
                "there is such an endpoint, and it was not made by mlpipe",
                where=name,
                fix="Give with.endpoint another name, or delete that one.",
            )
        now = self.recorded(name, there.config)
        weights = {
            variant: there.weights.get(variant, now.weights[variant]) for variant in now.weights
        }
        said = from_tags(there.tags)
        now = replace(now, weights=weights, **{**said, "declared": said["declared"] or weights})
        now = replace(now, shadow=_shadow(there, now))
        running = there.status in _ANSWERING
        verified = there.settled and there.tags.get(VERIFIED) == there.config
        return Found(now, running, verified)

    def recorded(self, name: str, config: str) -> Deployment:
        """Give the deployment that a configuration was made for."""
        with failing(f"what {config} serves cannot be read"):
            answer = self.store.s3.get_object(
                Bucket=self.settings.bucket, Key=self.record_key(name, config)
            )
        return Deployment.from_json(json.loads(answer["Body"].read()))

    def record_key(self, name: str, config: str) -> str:
        """Give where it is recorded."""
        return f"{self.settings.prefix}/endpoints/{name}/{config}.json"

    def described(self, what: str, **request: str) -> dict[str, Any] | None:
        """Describe an endpoint, model or configuration; ``None`` where there is none."""
        describe = getattr(self.sagemaker, f"describe_{what}")
        from botocore.exceptions import ClientError

        with failing(f"the {what.replace('_', ' ')} cannot be looked at", *request.values()):
            try:
                return dict(describe(**request))
            except ClientError as error:
                if "Could not find" in str(error):
                    return None
                raise

    def tags(self, arn: str) -> dict[str, str]:
        """Give the tags of something."""
        with failing("tags cannot be read", arn):
            pages = self.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
            return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def _weights(variants: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    return {each["VariantName"]: _plain(each["CurrentWeight"]) for each in variants}


def _shadow(there: There, recorded: Deployment) -> Mapping[str, float]:
    """Give which share of the requests shadows get: as recorded, if that is so."""
    whole = sum(there.weights.values()) or 1.0
    shares = {name: _plain(weight / whole) for name, weight in there.shadows.items()}
    return recorded.shadow if near(shares, recorded.shadow) else shares


def _plain(weight: float) -> float:
    """Give a weight as it was written: SageMaker keeps single precision, some seven digits."""
    return float(f"{weight:.6g}")
