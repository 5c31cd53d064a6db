"""The artifact store of a target: a prefix in its bucket, content-addressed, written once."""

import base64
import hashlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from mlpipe import StageError
from mlpipe_aws.clients import client
from mlpipe_aws.explaining import failing
from mlpipe_aws.settings import Settings

#: Larger objects go in parts, and are named by their digest all the same.
_PART = 64 << 20


@dataclass(frozen=True)
class Store:
    """Puts files under their digests, and fetches objects.

    Attributes:
        settings: The target's.
    """

    settings: Settings

    @cached_property
    def s3(self) -> Any:
        """The client."""
        return client(self.settings, "s3")

    def uri(self, *parts: str) -> str:
        """Give the URI of a place below the target's prefix."""
        return "/".join((f"s3://{self.settings.bucket}", self.settings.prefix, *parts))

    def put(self, path: Path, digest: str, name: str = "") -> str:
        """Put a file or folder under its digest; nothing is sent that is there.

        Args:
            path: What to put.
            digest: ``algorithm:<hex>`` of it.
            name: What a file is called there; its own name when left out.

        Returns:
            The URI of the file, or of the folder without a slash at its end.

        Raises:
            StageError: The bucket refuses, the network does, or the file has another digest now.
        """
        place = PurePosixPath("artifacts", *digest.split(":", 1))
        with failing(f"{path.name} cannot be stored", f"s3://{self.settings.bucket}"):
            known = "" if path.is_dir() else digest
            for below, file in _files(path, name or path.name):
                self._put(file, f"{self.settings.prefix}/{place / below}", known)
        return self.uri(str(place if path.is_dir() else place / (name or path.name)))

    def _put(self, file: Path, key: str, digest: str) -> None:
        size = file.stat().st_size
        if self._size(self.settings.bucket, key) == size:
            return
        from boto3.s3.transfer import TransferConfig

        _check_unchanged(file, digest)
        extra: dict[str, Any] = {}
        if self.settings.kms_key:
            extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.settings.kms_key}
        if size > _PART:
            extra["ChecksumAlgorithm"] = "SHA256"
            transfer = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART)
            self.s3.upload_file(str(file), self.settings.bucket, key, extra, Config=transfer)
            return
        self._put_once(file, key, extra)

    def _put_once(self, file: Path, key: str, extra: dict[str, Any]) -> None:
        from botocore.exceptions import ClientError

        with file.open("rb") as stream:
            checksum = base64.b64encode(hashlib.file_digest(stream, "sha256").digest()).decode()
            stream.seek(0)
            try:
                self.s3.put_object(
                    Bucket=self.settings.bucket,
                    Key=key,
                    Body=stream,
                    ChecksumSHA256=checksum,
                    IfNoneMatch="*",
                    **extra,
                )
            except ClientError as error:
                # The same bytes came meanwhile, from elsewhere or with an answer that was lost.
                if error.response["Error"]["Code"] not in (
                    "PreconditionFailed",
                    "ConditionalRequestConflict",
                ):
                    raise

    def _size(self, bucket: str, key: str) -> int | None:
        """Give an object's size, or ``None`` where there is none."""
        head = self.s3.head_object  # before botocore is named: it says what is not installed
        from botocore.exceptions import ClientError

        try:
            found = head(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                return None
            raise
        return int(found["ContentLength"])

    def get(self, uri: str, into: Path, digest: str = "") -> Path:
        """Fetch an object.

        Args:
            uri: Its URI.
            into: The file to write; it appears when it is whole.
            digest: ``sha256:<hex>`` or ``md5:<hex>`` that it must have, where that is known.

        Returns:
            ``into``.

        Raises:
            StageError: It is not there, or is not what it should be.
        """
        bucket, key = _split(uri)
        into.parent.mkdir(parents=True, exist_ok=True)
        writing = into.with_name(f".{into.name}.{secrets.token_hex(4)}")
        try:
            with failing(f"{uri} cannot be fetched"):
                self.s3.download_file(bucket, key, str(writing))
            _verify(writing, digest, uri)
            os.replace(writing, into)
        finally:
            writing.unlink(missing_ok=True)
        return into

    def get_all(self, uri: str, into: Path) -> Path:
        """Fetch all objects below a URI into a folder; a URI of one object gives that one.

        Raises:
            StageError: One cannot be fetched, or its name leads out of the folder.
        """
        bucket, prefix = _split(uri)
        into.mkdir(parents=True, exist_ok=True)
        with failing(f"{uri} cannot be listed"):
            keys = list(self._keys(bucket, prefix))
        for key in keys:
            below = key.removeprefix(prefix).strip("/") or PurePosixPath(key).name
            if ".." in PurePosixPath(below).parts:
                raise StageError(f"s3://{bucket}/{key} has a name that leads out of its folder")
            self.get(f"s3://{bucket}/{key}", into / below)
        return into

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for each in page.get("Contents", ()):
                key = str(each["Key"])
                if key.endswith("/"):  # the console's way of showing an empty folder
                    continue
                if key == prefix or key.startswith(f"{prefix.rstrip('/')}/"):
                    yield key

    def exists(self, uri: str) -> bool:
        """Tell whether there is such an object."""
        with failing(f"{uri} cannot be looked at"):
            return self._size(*_split(uri)) is not None


def _files(path: Path, name: str) -> Iterator[tuple[str, Path]]:
    if not path.is_dir():
        yield name, path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file():
            yield file.relative_to(path).as_posix(), file


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise StageError(f"{uri} is no address in S3", fix="Write s3://BUCKET/KEY.")
    return parts.netloc, uri.removeprefix(f"s3://{parts.netloc}/")


def _check_unchanged(path: Path, digest: str) -> None:
    """Look whether a file has its digest still: what is put under another's stays there for good.

    Raises:
        StageError: It has not.
    """
    wanted, found = _digests(path, digest)
    if found != wanted:
        raise StageError(
            "has changed since it was digested",
            where=str(path),
            fix="Run the recipe again: what made it will notice.",
        )


def _digests(path: Path, digest: str) -> tuple[str, str]:
    """Give the digest that a file should have and the one it has; nothing where none is known."""
    algorithm, _, wanted = digest.partition(":")
    if not wanted:
        return "", ""
    with path.open("rb") as stream:
        return wanted, hashlib.file_digest(stream, algorithm).hexdigest()


def _verify(path: Path, digest: str, uri: str) -> None:
    wanted, found = _digests(path, digest)
    if found != wanted:
        algorithm = digest.partition(":")[0]
        raise StageError(
            f"{uri} is not what it should be: {algorithm} {found[:12]}…, not {wanted[:12]}…",
            fix="Delete the object; the stage that makes it will put it there again.",
        )
