"""Objects of S3, or of a service that speaks its protocol."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_dvc.sourceconfig import S3Source
from mlpipe_dvc.sources.local import is_data, local_files
from mlpipe_dvc.sources.s3errors import explained, is_missing
from mlpipe_dvc.values import LocalFiles

_WORKERS = 8


@dataclass(frozen=True, slots=True)
class _Object:
    """One object, as it is right now.

    Attributes:
        key: Its key.
        identity: Its version, else its ETag.
        version: Its version, where the bucket keeps versions.
        size: In bytes.
    """

    key: str
    identity: str
    version: str | None
    size: int


def open_s3(source: S3Source, stage: Stage) -> LocalFiles:
    """Download an object, or all below a prefix.

    Raises:
        StageError: They are not there, or may not be had.
    """
    bucket, key = _parts(source)
    folder = stage.scratch / "source"
    with explained(source.s3):
        client = _client(source)
        objects = _objects(client, source)
        places = {each: _place(each.key, key, folder, source) for each in objects}
        _download(client, bucket, places)
    print(f"{source.s3}: {len(objects):,} objects, {sum(each.size for each in objects):,} bytes")
    base = folder if _is_prefix(key) else None
    return local_files(
        places.values(), base, source.s3, format=source.format, encoding=source.encoding
    )


def identify_s3(source: S3Source, stage: Stage) -> dict[str, str]:  # noqa: ARG001 - as others
    """Give the version or ETag of an object, or a digest of those of all below a prefix.

    Raises:
        StageError: They are not there, or may not be seen.
    """
    _, key = _parts(source)
    with explained(source.s3):
        objects = _objects(_client(source), source)
    if not _is_prefix(key):
        return {"source": objects[0].identity}
    lines = "".join(f"{each.key}\0{each.identity}\n" for each in objects)
    return {"source": f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"}


def _parts(source: S3Source) -> tuple[str, str]:
    bucket, _, key = source.s3.removeprefix("s3://").partition("/")
    return bucket, key


def _is_prefix(key: str) -> bool:
    return not key or key.endswith("/")


def _client(source: S3Source) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise StageError(
            "reading from S3 needs boto3",
            where=source.s3,
            fix="Install mlpipe-framework-dvc[s3].",
        ) from None
    config = Config(retries={"mode": "standard"}, connect_timeout=10, max_pool_connections=_WORKERS)
    return boto3.Session().client(
        "s3", endpoint_url=source.endpoint_url, region_name=source.region, config=config
    )


def _objects(client: Any, source: S3Source) -> list[_Object]:
    bucket, key = _parts(source)
    if not _is_prefix(key):
        return [_head(client, bucket, key)]
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    found = [
        _Object(each["Key"], each["ETag"], None, each["Size"])
        for page in pages
        for each in page.get("Contents", ())
        if _counts(each["Key"].removeprefix(key))
    ]
    if not found:
        raise StageError("there is no object below it", where=source.s3)
    return found


def _head(client: Any, bucket: str, key: str) -> _Object:
    try:
        head = client.head_object(Bucket=bucket, Key=key)
    except Exception as error:
        if is_missing(error):
            client.head_bucket(Bucket=bucket)  # raises where it is the bucket that is not there
        raise
    version = head.get("VersionId")
    version = None if version == "null" else version
    return _Object(key, version or head["ETag"], version, head["ContentLength"])


def _counts(name: str) -> bool:
    # A key that ends in "/" is how consoles show an empty folder.
    return not _is_prefix(name) and all(map(is_data, name.split("/")))


def _place(key: str, prefix: str, folder: Path, source: S3Source) -> Path:
    """Give the path for an object; refuse a key that would lead out of the folder."""
    if not _is_prefix(prefix):
        return folder / PurePosixPath(key).name
    name = key.removeprefix(prefix)
    if any(part in {"", ".", ".."} for part in name.split("/")) or "\0" in name:
        raise StageError(f'the key "{key}" cannot be a file\'s name', where=source.s3)
    return folder / name


def _download(client: Any, bucket: str, places: dict[_Object, Path]) -> None:
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(use_threads=len(places) == 1)

    def fetch(each: _Object) -> None:
        extra = {"VersionId": each.version} if each.version else None
        client.download_file(bucket, each.key, str(places[each]), ExtraArgs=extra, Config=config)

    for path in places.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(fetch, places))
