"""Data capture of emulated endpoints: what they were asked and answered, in S3."""

import base64
import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlpipe_awstest.cloud import Cloud


@dataclass(frozen=True)
class Captured:
    """A request, and what a variant answered.

    Attributes:
        endpoint: The endpoint's name.
        variant: The variant's.
        bodies: Of the request, and of the answer.
        kinds: Their content types.
        inference: The id that the caller gave the request.
    """

    endpoint: str
    variant: str
    bodies: tuple[bytes, bytes]
    kinds: tuple[str, str]
    inference: str = ""


def keep(cloud: Cloud, config: Mapping[str, Any], captured: Captured) -> None:
    """Put a request and its answer where SageMaker does; an object each, and at once.

    Args:
        cloud: Where to.
        config: The endpoint configuration's ``DataCaptureConfig``.
        captured: What is to be kept, if it is drawn.
    """
    if random.random() * 100 >= config["InitialSamplingPercentage"]:  # noqa: S311 - no secret
        return
    now, event = datetime.now(UTC), str(uuid.uuid4())
    modes = {each["CaptureMode"] for each in config["CaptureOptions"]}
    headers = config.get("CaptureContentTypeHeader", {})
    data = {
        f"endpoint{mode}": _side(mode, body, kind, headers)
        for mode, body, kind in zip(
            ("Input", "Output"), captured.bodies, captured.kinds, strict=True
        )
        if mode in modes
    }
    said = {"eventId": event, "inferenceTime": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if captured.inference:
        said["inferenceId"] = captured.inference
    line = {"captureData": data, "eventMetadata": said, "eventVersion": "0"}
    file = cloud.folder / f"capture-{event}.jsonl"
    file.write_text(f"{json.dumps(line)}\n")
    hour = now.strftime("%Y/%m/%d/%H/%M-%S-%f")[:-3]
    place = f"{captured.endpoint}/{captured.variant}/{hour}-{event}.jsonl"
    cloud.store(file, f"{config['DestinationS3Uri'].rstrip('/')}/{place}")
    file.unlink()


def _side(mode: str, body: bytes, kind: str, headers: Mapping[str, Any]) -> dict[str, str]:
    said = {"observedContentType": kind, "mode": mode.upper()}
    plain = kind.partition(";")[0].strip()
    if plain in headers.get("CsvContentTypes", ()):
        return {**said, "data": body.decode(), "encoding": "CSV"}
    if plain in headers.get("JsonContentTypes", ()):
        return {**said, "data": body.decode(), "encoding": "JSON"}
    return {**said, "data": base64.b64encode(body).decode(), "encoding": "BASE64"}
