"""Variants of emulated endpoints: a process each, which really serves its model."""

import http.client
import random
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlpipe_scriptmode
from mlpipe_awstest.cloud import Cloud

_ANSWER_SECONDS = 60


class Unhealthy(Exception):
    """A container did not come up."""


@dataclass
class Variant:
    """A running variant.

    Attributes:
        process: Its container.
        port: Where that answers.
        weight: Its share of the traffic, in any unit.
        count: How many instances it would have.
    """

    process: "subprocess.Popen[bytes]"
    port: int
    weight: float
    count: int

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, str]:
        """Ask the model; give status, answer and content type."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("POST", "/invocations", body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers.get("Content-Type", "")
        finally:
            connection.close()

    def stop(self) -> None:
        """End the container."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()


def start(
    cloud: Cloud, folder: Path, model: Mapping[str, Any], asked: Mapping[str, Any]
) -> Variant:
    """Start a variant.

    Args:
        cloud: Where the model's data is.
        folder: An empty one, for the container.
        model: The request that made the model.
        asked: The production variant of the endpoint's configuration.

    Raises:
        Unhealthy: Its data is not there, or its container does not come up.
    """
    container = model["PrimaryContainer"]
    try:
        cloud.fetch(container["ModelDataUrl"], folder / "data")
        (archive,) = (folder / "data").iterdir()
        unpacked = mlpipe_scriptmode.unpack(archive, folder / "model")
    except (ValueError, mlpipe_scriptmode.ModelFailure) as error:
        raise Unhealthy(f"the model's data cannot be used: {error}") from error
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlpipe_awstest.container", str(unpacked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={"PATH": "/usr/bin:/bin", **container.get("Environment", {})},
        )
    assert process.stdout is not None
    port = process.stdout.readline()
    if not port:
        process.wait()
        said = (folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
        raise Unhealthy("".join(said))
    return Variant(
        process, int(port), asked["InitialVariantWeight"], asked.get("InitialInstanceCount", 1)
    )


def summaries(variants: Mapping[str, Variant]) -> list[dict[str, Any]] | None:
    """Describe variants as SageMaker does; ``None`` where there are none."""
    return [
        {
            "VariantName": name,
            "CurrentWeight": _single(each.weight),
            "DesiredWeight": _single(each.weight),
            "CurrentInstanceCount": each.count,
            "DesiredInstanceCount": each.count,
        }
        for name, each in variants.items()
    ] or None


def _single(weight: float) -> float:
    """Give a number as SageMaker keeps it, in single precision."""
    kept: float = struct.unpack("f", struct.pack("f", weight))[0]
    return kept


def retain(
    before: Mapping[str, Variant], after: Mapping[str, Variant], request: Mapping[str, Any]
) -> None:
    """Give new variants the weights and counts of old ones, as a request asks."""
    left_out = {
        each["VariantPropertyType"] for each in request.get("ExcludeRetainedVariantProperties", ())
    }
    for name in before.keys() & after.keys():
        if "DesiredWeight" not in left_out:
            after[name].weight = before[name].weight
        if "DesiredInstanceCount" not in left_out:
            after[name].count = before[name].count


def drawn(variants: Mapping[str, Variant]) -> str:
    """Draw the variant that answers a request."""
    weights = [each.weight for each in variants.values()]
    return random.choices(list(variants), weights)[0]  # noqa: S311 - nothing secret depends on it
