"""What is only kept: models and endpoint configurations, which do nothing until they are used."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mlpipe_awstest.cloud import ACCOUNT, REGION
from mlpipe_awstest.errors import invalid, not_found

Answer = dict[str, Any]


@dataclass
class Kept:
    """Models and configurations, by name.

    Attributes:
        tags: By ARN.
    """

    tags: dict[str, dict[str, str]]
    _of: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"model": {}, "endpoint-config": {}}
    )
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def answers(self) -> Mapping[str, Callable[[Any], Answer]]:
        """Give what is served here, by operation."""
        found: dict[str, Callable[[Any], Answer]] = {
            "CreateModel": lambda request: self._make("Model", "model", request),
            "CreateEndpointConfig": self._make_config,
        }
        for what, kind in (("Model", "model"), ("EndpointConfig", "endpoint-config")):
            for verb, serve, many in (
                ("Describe", self._describe_kept, ""),
                ("Delete", self._delete, ""),
                ("List", self._list, "s"),
            ):
                found[f"{verb}{what}{many}"] = partial(serve, what, kind)
        return found

    def clear(self) -> None:
        """Forget all."""
        for each in self._of.values():
            each.clear()

    def _make(self, what: str, kind: str, request: Any) -> Answer:
        name = request[f"{what}Name"]
        with self._lock:
            if name in self._of[kind]:
                raise invalid(
                    f'Cannot create already existing {_said(kind)} "{arn_of(kind, name)}".'
                )
            self._of[kind][name] = {**request, "CreationTime": time.time()}
            self.tags[arn_of(kind, name)] = tags_in(request)
        return {f"{what}Arn": arn_of(kind, name)}

    def _make_config(self, request: Any) -> Answer:
        shadows = request.get("ShadowProductionVariants", [])
        if shadows and (len(shadows), len(request["ProductionVariants"])) != (1, 1):
            raise invalid("With a shadow variant there is one, and one production variant.")
        variants = [*request["ProductionVariants"], *shadows]
        for variant in variants:
            self.find("model", variant["ModelName"])
            if ("ServerlessConfig" in variant) == ("InstanceType" in variant):
                raise invalid("A variant has either an InstanceType or a ServerlessConfig.")
        if any("ServerlessConfig" in variant for variant in variants):
            if len(variants) > 1:
                raise invalid("Serverless endpoints have one production variant only.")
            if "DataCaptureConfig" in request:
                raise invalid("DataCaptureConfig is not supported for serverless endpoints.")
        return self._make("EndpointConfig", "endpoint-config", request)

    def _describe_kept(self, what: str, kind: str, request: Any) -> Answer:
        name = request[f"{what}Name"]
        found = {n: v for n, v in self.find(kind, name).items() if n != "Tags"}
        return {**found, f"{what}Arn": arn_of(kind, name)}

    def find(self, kind: str, name: str) -> Any:
        """Give the request that made a ``model`` or an ``endpoint-config``.

        Raises:
            Refused: There is none.
        """
        found = self._of[kind].get(name)
        if found is None:
            raise not_found(f'Could not find {_said(kind)} "{arn_of(kind, name)}".')
        return found

    def _delete(self, what: str, kind: str, request: Any) -> Answer:
        name = request[f"{what}Name"]
        self.find(kind, name)
        with self._lock:
            del self._of[kind][name]
            self.tags.pop(arn_of(kind, name), None)
        return {}

    def _list(self, what: str, kind: str, request: Any) -> Answer:
        found = [
            {
                f"{what}Name": name,
                f"{what}Arn": arn_of(kind, name),
                "CreationTime": made["CreationTime"],
            }
            for name, made in self._of[kind].items()
            if request.get("NameContains", "") in name
        ]
        return {f"{what}s": found}


def arn_of(kind: str, name: str) -> str:
    """Give the ARN of something of SageMaker's."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def tags_in(request: Mapping[str, Any]) -> dict[str, str]:
    """Give the tags that a request gives what it makes."""
    return {each["Key"]: each["Value"] for each in request.get("Tags", ())}


def _said(kind: str) -> str:
    return "endpoint configuration" if kind == "endpoint-config" else kind
