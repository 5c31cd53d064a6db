"""The emulated cloud as its own jobs see it: S3 and CloudWatch Logs, over HTTP like for anyone."""

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

#: Access keys say who calls: users, the role of jobs, the service itself.
JOB_KEY = "AKIAJOBSROLE00000000"
SERVICE_KEY = "AKIASERVICE000000000"
REGION = "eu-west-1"
ACCOUNT = "123456789012"
_LONGEST_LINE = 256_000
_MOST_LINES = 1_000


@dataclass
class Cloud:
    """What jobs read from and write to.

    Attributes:
        url: Where the emulator answers.
        folder: Its files.
    """

    url: str
    folder: Path
    _clients: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def environment(self) -> dict[str, str]:
        """Give the variables that a job's processes talk to the cloud with."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": JOB_KEY,
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        """Give a client for the service's own calls, which are not recorded."""
        import boto3

        with self._lock:  # boto3 makes clients in one thread only; they work in many
            if service not in self._clients:
                self._clients[service] = boto3.client(
                    service,
                    endpoint_url=self.url,
                    region_name=REGION,
                    aws_access_key_id=SERVICE_KEY,
                    aws_secret_access_key="none",  # noqa: S106 - the emulator asks for no secret
                )
            return self._clients[service]

    def fetch(self, uri: str, into: Path, *, share: tuple[int, int] = (0, 1)) -> int:
        """Copy the objects whose URIs begin with one into a folder.

        Args:
            uri: A prefix, as SageMaker's data type ``S3Prefix``.
            into: A folder.
            share: Which of how many equal parts of them.

        Returns:
            How many there are, in all parts.
        """
        bucket, prefix = _split(uri)
        keys = list(self._keys(bucket, prefix))
        into.mkdir(parents=True, exist_ok=True)
        for key in keys[share[0] :: share[1]]:
            path = into / _below(key, prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            self.client("s3").download_file(bucket, key, str(path))
        return len(keys)

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        lists = self.client("s3").get_paginator("list_objects_v2")
        for page in lists.paginate(Bucket=bucket, Prefix=prefix):
            keys = [str(each["Key"]) for each in page.get("Contents", ())]
            yield from (key for key in keys if not key.endswith("/"))

    def store(self, file: Path, uri: str) -> None:
        """Put a file at a URI."""
        bucket, key = _split(uri)
        self.client("s3").upload_file(str(file), bucket, key)

    def store_folder(self, folder: Path, uri: str) -> None:
        """Put all files of a folder below a URI."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.store(file, f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}")

    def log(self, group: str, stream: str) -> "LogStream":
        """Make a log stream."""
        logs = self.client("logs")
        for make, names in (
            (logs.create_log_group, {"logGroupName": group}),
            (logs.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
        ):
            try:
                make(**names)
            except logs.exceptions.ResourceAlreadyExistsException:
                continue
        return LogStream(logs, group, stream)


@dataclass
class LogStream:
    """A log stream that is written to live: each call takes what has come since the last.

    Attributes:
        logs: A client of CloudWatch Logs.
        group: The log group's name.
        name: The stream's.
    """

    logs: Any
    group: str
    name: str
    _events: "queue.SimpleQueue[dict[str, Any] | None]" = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._send, name=self.name, daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Add a line."""
        message = line[:_LONGEST_LINE] or " "
        self._events.put({"timestamp": int(time.time() * 1000), "message": message})

    def close(self) -> None:
        """Wait until all lines are there."""
        self._events.put(None)
        self._thread.join()

    def _send(self) -> None:
        more = True
        while more:
            events = [self._events.get()]
            while not self._events.empty() and len(events) < _MOST_LINES:
                events.append(self._events.get())
            more = None not in events
            if lines := [event for event in events if event is not None]:
                self.logs.put_log_events(
                    logGroupName=self.group, logStreamName=self.name, logEvents=lines
                )


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def _below(key: str, prefix: str) -> str:
    """Give the path of an object below the folder that a prefix stands for."""
    if key == prefix:
        return PurePosixPath(key).name
    if prefix and not prefix.endswith("/") and not key.startswith(f"{prefix}/"):
        prefix = prefix.rpartition("/")[0]
    return key.removeprefix(prefix).lstrip("/")
