"""Reading what SageMaker captured of an endpoint, in the form of what this machine captures."""

import base64
import heapq
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from mlpipe_aws import Settings, client, failing
from mlpipe_endpoint.awsnames import ASKED, captures_prefix
from mlpipe_endpoint.monitoring import captures
from mlpipe_endpoint.monitoring.captures import Captured
from mlpipe_endpoint.values import Deployment


def read(settings: Settings, there: Deployment, columns: Sequence[str], rows: int) -> Captured:
    """Read the newest captures of the variants that answer.

    What mlpipe itself has asked, as probes and rows of the baseline, is left out.

    Args:
        settings: The target's.
        there: What the endpoint serves.
        columns: The features' names, in the order in which requests have them.
        rows: How many rows at most.

    Raises:
        StageError: S3 does not answer.
    """
    with failing("what was captured cannot be read", f"s3://{settings.bucket}"):
        newest = list(islice(_newest(client(settings, "s3"), settings, there), rows))
    return captures.of_lines(reversed(newest), columns, rows)


def _newest(s3: Any, settings: Settings, there: Deployment) -> Iterator[str]:
    """Give captures, the newest first: no more is fetched than is taken."""
    places = [
        f"{captures_prefix(settings, there.name)}/{there.name}/{variant}/"
        for variant in there.answering
    ]
    found = [((key.removeprefix(p), key) for key in _keys(s3, settings.bucket, p)) for p in places]
    for _, key in heapq.merge(*found, reverse=True):
        body = s3.get_object(Bucket=settings.bucket, Key=key)["Body"].read().decode()
        for line in reversed(body.splitlines()):
            capture = json.loads(line)
            if not _id(capture).startswith(ASKED):
                yield json.dumps(_as_here(capture))


def _keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    """List keys, the last first. They begin with year, month, day and hour, a folder each."""
    listed = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, Delimiter="/"
    )
    folders: list[str] = []
    keys: list[str] = []
    for page in listed:
        folders += [each["Prefix"] for each in page.get("CommonPrefixes", ())]
        keys += [each["Key"] for each in page.get("Contents", ())]
    yield from reversed(keys)
    for folder in reversed(folders):
        yield from _keys(s3, bucket, folder)


def _id(capture: Any) -> str:
    """Give the id that the caller gave the request, else SageMaker's own."""
    said = capture["eventMetadata"]
    return str(said.get("inferenceId") or said["eventId"])


def _as_here(capture: Any) -> dict[str, str]:
    sides = capture["captureData"]
    asked, answered = (sides.get(f"endpoint{name}", {}) for name in ("Input", "Output"))
    return {
        "id": _id(capture),
        "content_type": asked.get("observedContentType", ""),
        "body": _encoded(asked),
        "answer_type": answered.get("observedContentType", ""),
        "answer": _encoded(answered),
    }


def _encoded(side: Any) -> str:
    data = str(side.get("data", ""))
    if side.get("encoding") == "BASE64":
        return data
    return base64.b64encode(data.encode()).decode()
