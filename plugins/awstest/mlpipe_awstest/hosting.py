"""SageMaker's operations on models, endpoint configurations and endpoints, which really serve."""

import random
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlpipe_awstest.cloud import ACCOUNT, Cloud
from mlpipe_awstest.errors import Refused, invalid, not_found
from mlpipe_awstest.kept import Kept, arn_of, tags_in
from mlpipe_awstest.variants import Unhealthy, Variant, start

Answer = dict[str, Any]
FATES = ("update-fails", "stale")
#: How many descriptions are old after an update, where it is so fated.
_STALE = 3
_UNHEALTHY = (
    "The primary container for production variant {} did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)


@dataclass
class Endpoint:
    """An endpoint.

    Attributes:
        name: Its name.
        config: Of its configuration.
        status: As SageMaker calls it.
        variants: Those that serve.
        failure: Why it, or its last update, failed.
    """

    name: str
    config: str
    status: str = "Creating"
    variants: dict[str, Variant] = field(default_factory=dict)
    failure: str = ""
    made: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)


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
            ended = [each for found in self._endpoints.values() for each in found.variants.values()]
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
            made.variants = self._start(made.config)
        except Unhealthy as error:
            made.failure, made.status = str(error), "Failed"
            return
        made.status = "InService"

    def _start(self, config: str) -> dict[str, Variant]:
        started: dict[str, Variant] = {}
        for asked in self._kept.find("endpoint-config", config)["ProductionVariants"]:
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
            variants = {} if fails else self._start(request["EndpointConfigName"])
        except Unhealthy as error:
            found.failure, found.status = str(error), "InService"
            return
        if fails:
            found.failure = "An alarm went off, and the deployment was rolled back."
            found.status = "InService"
            return
        if request.get("RetainAllVariantProperties"):
            _retain(found.variants, variants, request)
        before, found.variants = found.variants, variants
        found.config, found.changed = request["EndpointConfigName"], time.time()
        found.status = "InService"
        for variant in before.values():
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
        for variant in found.variants.values():
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
        variants = [
            {
                "VariantName": name,
                "CurrentWeight": _single(each.weight),
                "DesiredWeight": _single(each.weight),
                "CurrentInstanceCount": each.count,
                "DesiredInstanceCount": each.count,
            }
            for name, each in found.variants.items()
        ]
        return {
            "EndpointName": found.name,
            "EndpointArn": arn_of("endpoint", found.name),
            "EndpointConfigName": found.config,
            "EndpointStatus": found.status,
            "ProductionVariants": variants or None,
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
        variant = headers.get("X-Amzn-Sagemaker-Target-Variant") or _drawn(found.variants)
        if variant not in found.variants:
            raise Refused("ValidationError", f"Variant {variant} not found for Request")
        sent = {n: headers[n] for n in ("Content-Type", "Accept") if n in headers}
        status, answer, kind = found.variants[variant].invoke(body, sent)
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


def _single(weight: float) -> float:
    """Give a number as SageMaker keeps it, in single precision."""
    kept: float = struct.unpack("f", struct.pack("f", weight))[0]
    return kept


def _retain(
    before: Mapping[str, Variant], after: Mapping[str, Variant], request: Mapping[str, Any]
) -> None:
    left_out = {
        each["VariantPropertyType"] for each in request.get("ExcludeRetainedVariantProperties", ())
    }
    for name in before.keys() & after.keys():
        if "DesiredWeight" not in left_out:
            after[name].weight = before[name].weight
        if "DesiredInstanceCount" not in left_out:
            after[name].count = before[name].count


def _drawn(variants: Mapping[str, Variant]) -> str:
    weights = [each.weight for each in variants.values()]
    return random.choices(list(variants), weights)[0]  # noqa: S311 - nothing secret depends on it
