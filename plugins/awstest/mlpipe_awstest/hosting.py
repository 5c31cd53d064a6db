"""SageMaker's operations on models, endpoint configurations and endpoints, which really serve."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from mlpipe_awstest.capturing import Captured, keep
from mlpipe_awstest.cloud import ACCOUNT, Cloud
from mlpipe_awstest.endpoints import Endpoint
from mlpipe_awstest.errors import Refused, invalid, not_found
from mlpipe_awstest.kept import Kept, arn_of, tags_in
from mlpipe_awstest.variants import Unhealthy, Variant, drawn, retain, start, summaries

Answer = dict[str, Any]
FATES = ("update-fails", "stale")
#: How many descriptions are old after an update, where it is so fated.
_STALE = 3
_INFERENCE = "X-Amzn-Sagemaker-Inference-Id"
_UNHEALTHY = (
    "The primary container for production variant {} did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)


@dataclass
class Hosting:
    """Models, configurations and endpoints, by name.

    Attributes:
        cloud: Where models' data is.
        tags: By ARN.
    """

    cloud: Cloud
    tags: dict[str, dict[str, str]]
    _kept: Kept = field(init=False)
    _endpoints: dict[str, Endpoint] = field(default_factory=dict)
    _fates: list[str] = field(default_factory=list)
    _stale: list[Answer] = field(default_factory=list)
    _made: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._kept = Kept(self.tags)

    def answers(self) -> Mapping[str, Callable[[Any], Answer]]:
        """Give what is served here, by operation."""
        return {
            **self._kept.answers(),
            "CreateEndpoint": self._create,
            "DescribeEndpoint": self._described,
            "UpdateEndpoint": self._update,
            "UpdateEndpointWeightsAndCapacities": self._weigh,
            "DeleteEndpoint": self._delete_endpoint,
            "ListEndpoints": self._list_endpoints,
        }

    def doom(self, fate: str) -> None:
        """Let something happen to the next update of an endpoint: one of ``FATES``."""
        if fate not in FATES:
            raise invalid(f"{fate} is no fate of endpoints; there are {', '.join(FATES)}")
        self._fates.append(fate)

    def reset(self) -> None:
        """End all endpoints, forget everything."""
        with self._lock:
            ended = [each for found in self._endpoints.values() for each in found.all]
            self._endpoints.clear()
            self._kept.clear()
            self._fates.clear()
            self._stale.clear()
        for variant in ended:
            variant.stop()

    # -- endpoints --------------------------------------------------------------------------------

    def _create(self, request: Any) -> Answer:
        name, config = request["EndpointName"], request["EndpointConfigName"]
        self._kept.find("endpoint-config", config)
        with self._lock:
            if name in self._endpoints:
                raise invalid(
                    f'Cannot create already existing endpoint "{arn_of("endpoint", name)}".'
                )
            made = self._endpoints[name] = Endpoint(name, config)
            self.tags[arn_of("endpoint", name)] = tags_in(request)
        threading.Thread(target=self._begin, args=(made,), daemon=True).start()
        return {"EndpointArn": arn_of("endpoint", name)}

    def _begin(self, made: Endpoint) -> None:
        try:
            made.variants, made.shadows = self._start(made.config)
        except Unhealthy as error:
            made.failure, made.status = str(error), "Failed"
            return
        made.status = "InService"

    def _start(self, config: str) -> tuple[dict[str, Variant], dict[str, Variant]]:
        """Start a configuration's variants; give those that answer, and its shadows."""
        wanted = self._kept.find("endpoint-config", config)
        shadows = wanted.get("ShadowProductionVariants", ())
        started = self._started([*wanted["ProductionVariants"], *shadows])
        apart = {each["VariantName"]: started.pop(each["VariantName"]) for each in shadows}
        return started, apart

    def _started(self, wanted: Sequence[Any]) -> dict[str, Variant]:
        started: dict[str, Variant] = {}
        for asked in wanted:
            name = asked["VariantName"]
            with self._lock:
                self._made += 1
                folder = self.cloud.folder / f"variant-{self._made}"
            try:
                model = self._kept.find("model", asked["ModelName"])
                started[name] = start(self.cloud, folder, model, asked)
            except Unhealthy as error:
                for each in started.values():
                    each.stop()
                raise Unhealthy(f"{_UNHEALTHY.format(name)} ({error})") from error
        return started

    def _update(self, request: Any) -> Answer:
        found, config = self._settled(request), request["EndpointConfigName"]
        self._kept.find("endpoint-config", config)
        if config == found.config:
            raise invalid("Cannot update an endpoint to the configuration that it has.")
        fate = self._fates.pop(0) if self._fates else ""
        if fate == "stale":
            self._stale = [self._describe(found)] * _STALE
        found.status, found.failure = "Updating", ""
        thread = threading.Thread(
            target=self._change, args=(found, request, fate == "update-fails"), daemon=True
        )
        thread.start()
        return {"EndpointArn": arn_of("endpoint", found.name)}

    def _change(self, found: Endpoint, request: Any, fails: bool) -> None:
        """Start the new variants, and switch; else all stays as it was, and is in service."""
        try:
            started = ({}, {}) if fails else self._start(request["EndpointConfigName"])
        except Unhealthy as error:
            found.failure, found.status = str(error), "InService"
            return
        if fails:
            found.failure = "An alarm went off, and the deployment was rolled back."
            found.status = "InService"
            return
        if request.get("RetainAllVariantProperties"):
            retain(found.variants, started[0], request)
        before = found.all
        found.variants, found.shadows = started
        found.config, found.changed = request["EndpointConfigName"], time.time()
        found.status = "InService"
        for variant in before:
            variant.stop()

    def _weigh(self, request: Any) -> Answer:
        found = self._settled(request)
        wanted = {each["VariantName"]: each for each in request["DesiredWeightsAndCapacities"]}
        if unknown := wanted.keys() - found.variants.keys():
            raise invalid(f"Could not find variant {min(unknown)}.")
        found.status = "Updating"

        def change() -> None:
            for name, each in wanted.items():
                variant = found.variants[name]
                variant.weight = each.get("DesiredWeight", variant.weight)
                variant.count = each.get("DesiredInstanceCount", variant.count)
            found.status = "InService"

        threading.Timer(0.1, change).start()
        return {"EndpointArn": arn_of("endpoint", found.name)}

    def _delete_endpoint(self, request: Any) -> Answer:
        with self._lock:
            found = self._endpoint(request["EndpointName"])
            if found.status in ("Creating", "Updating"):
                raise invalid(f'Cannot delete in-progress endpoint "{found.name}".')
            del self._endpoints[found.name]
            self.tags.pop(arn_of("endpoint", found.name), None)
        for variant in found.all:
            variant.stop()
        return {}

    def _settled(self, request: Any) -> Endpoint:
        found = self._endpoint(request["EndpointName"])
        if found.status != "InService":
            raise invalid(f'Cannot update in-progress endpoint "{arn_of("endpoint", found.name)}".')
        return found

    def _endpoint(self, name: str) -> Endpoint:
        found = self._endpoints.get(name)
        if found is None:
            raise not_found(f'Could not find endpoint "{arn_of("endpoint", name)}".')
        return found

    def _described(self, request: Any) -> Answer:
        found = self._endpoint(request["EndpointName"])
        return self._stale.pop() if self._stale else self._describe(found)

    def _describe(self, found: Endpoint) -> Answer:
        return {
            "EndpointName": found.name,
            "EndpointArn": arn_of("endpoint", found.name),
            "EndpointConfigName": found.config,
            "EndpointStatus": found.status,
            "ProductionVariants": summaries(found.variants),
            "ShadowProductionVariants": summaries(found.shadows),
            "FailureReason": found.failure or None,
            "CreationTime": found.made,
            "LastModifiedTime": found.changed,
        }

    def _list_endpoints(self, request: Any) -> Answer:
        found = [self._describe(each) for each in list(self._endpoints.values())]
        names = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime")
        return {
            "Endpoints": [
                {**{n: each[n] for n in names}, "EndpointStatus": each["EndpointStatus"]}
                for each in found
                if request.get("NameContains", "") in each["EndpointName"]
            ]
        }

    # -- requests ---------------------------------------------------------------------------------

    def invoke(
        self, name: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        """Answer InvokeEndpoint; give status, body and headers.

        Raises:
            Refused: There is no such endpoint or variant.
        """
        found = self._endpoints.get(name)
        if found is None or not found.variants:
            raise Refused("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
        variant = headers.get("X-Amzn-Sagemaker-Target-Variant") or drawn(found.variants)
        if variant not in found.variants:
            raise Refused("ValidationError", f"Variant {variant} not found for Request")
        sent = {n: headers[n] for n in ("Content-Type", "Accept", _INFERENCE) if n in headers}
        for name_of, shadow in found.shadows.items():
            if random.random() * found.variants[variant].weight < shadow.weight:  # noqa: S311
                self._copy(found, name_of, body, sent)
        status, answer, kind = found.variants[variant].invoke(body, sent)
        self._capture(found, variant, sent, body, (status, answer, kind))
        said = {"x-Amzn-Invoked-Production-Variant": variant, "Content-Type": kind}
        if status == 200:
            return status, answer, said
        text = answer.decode(errors="replace")
        which = "client" if status < 500 else "server"
        raise Refused(
            "ModelError",
            f'Received {which} error ({status}) from {variant} with message "{text}".',
            424,
        )

    def _copy(self, found: Endpoint, shadow: str, body: bytes, sent: Mapping[str, str]) -> None:
        """Ask a shadow too, without waiting for it."""

        def ask() -> None:
            with suppress(OSError, HTTPException):  # it was stopped meanwhile
                answered = found.shadows[shadow].invoke(body, sent)
                self._capture(found, shadow, sent, body, answered)

        threading.Thread(target=ask, daemon=True).start()

    def _capture(
        self,
        found: Endpoint,
        variant: str,
        sent: Mapping[str, str],
        body: bytes,
        answered: tuple[int, bytes, str],
    ) -> None:
        config = self._kept.find("endpoint-config", found.config)
        if capture := config.get("DataCaptureConfig"):
            kinds = (sent.get("Content-Type", ""), answered[2])
            inference = sent.get(_INFERENCE, "")
            captured = Captured(found.name, variant, (body, answered[1]), kinds, inference)
            keep(self.cloud, capture, captured)
