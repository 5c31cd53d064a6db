"""The emulated AWS as tests have it: a process, its address, what it was asked."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REGION = "eu-west-1"
ROLE = "arn:aws:iam::123456789012:role/training"
_USER_KEY = "AKIATESTER0000000000"
_JOB_KEY = "AKIAJOBSROLE00000000"


@dataclass(frozen=True)
class Aws:
    """A running emulator.

    Attributes:
        url: Where it answers.
    """

    url: str

    def environment(self) -> dict[str, str]:
        """Give variables with which any AWS client talks to it, and to nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": _USER_KEY,
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def guarded(self, log: Path) -> dict[str, str]:
        """Give the same, and that its Python processes can reach no other machine.

        Args:
            log: Where what they try to reach is written, a line each.
        """
        guard = str(Path(__file__).with_name("guard"))
        return {**self.environment(), "PYTHONPATH": guard, "MLPIPE_GUARD": str(log)}

    def client(self, service: str) -> Any:
        """Make an unmodified boto3 client."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=_USER_KEY,
            aws_secret_access_key="none",  # noqa: S106 - the emulator asks for no secret
        )

    def bucket(self, name: str) -> str:
        """Make a bucket; give its name."""
        self.client("s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        return name

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Give a bucket's objects by key."""
        s3 = self.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return {k: s3.get_object(Bucket=bucket, Key=k)["Body"].read() for k in keys}

    def fault(
        self, operation: str, kind: str, *, times: int = 1, seconds: float = 5.0, after: int = 0
    ) -> None:
        """Let the next calls of an operation go wrong.

        Args:
            operation: As ``CreateTrainingJob``; ``*`` for any.
            kind: ``throttling``, ``error500``, ``denied``, ``timeout`` (the answer is late), or
                ``lost-response`` (the call takes effect, the connection breaks).
            times: How many calls.
            seconds: How late.
            after: How many calls go well still, before.

        Raises:
            ValueError: There is no such kind.
        """
        given = {"operation": operation, "kind": kind, "times": times}
        self._control("fault", {**given, "seconds": seconds, "after": after})

    def heal(self) -> None:
        """Let calls go well again."""
        self._control("heal")

    def doom(self, fate: str) -> None:
        """Let something happen to the next training job, or to the next update of an endpoint.

        Args:
            fate: Of a job: ``fail`` (a fault of the service's), ``capacity`` (no instance is free),
                or ``spot`` (its instances are taken away once it has written a checkpoint). Of an
                endpoint: ``update-fails`` (it is rolled back, and in service again), or ``stale``
                (the next descriptions are those from before).

        Raises:
            ValueError: There is no such fate.
        """
        self._control("fate", {"fate": fate})

    def image(self, pattern: str, *, python: str = "", train: str = "") -> None:
        """Let the containers of some images have other programs, until the next reset.

        Args:
            pattern: Of images' URIs, as ``*/pytorch-*``.
            python: The interpreter that they find as ``python3``, instead of the emulator's own.
            train: A shell command, which is their program ``train``, instead of SageMaker's
                training toolkit.
        """
        self._control("image", {"pattern": pattern, "python": python, "train": train})

    def registry(self, host: str) -> None:
        """Let ECR say that its images are at a registry of this machine, until the next reset.

        Args:
            host: Its host and port.
        """
        self._control("registry", {"host": host})

    def calls(self, operation: str | None = None, *, by_jobs: bool = False) -> list[Any]:
        """Give the calls since the last reset: (service, operation, parameters).

        Args:
            operation: Only these.
            by_jobs: Those that jobs made, instead of those that users did.
        """
        found = []
        for key, service, name, parameters in self._control("calls"):
            if (key == _JOB_KEY) == by_jobs and operation in (None, name):
                found.append((service, name, parameters))
        return found

    def reset(self) -> None:
        """End all jobs, forget everything."""
        self._control("reset")

    def _control(self, what: str, given: Any = None) -> Any:
        data = json.dumps(given or {}).encode()
        request = urllib.request.Request(  # noqa: S310 - always our own http: address
            f"{self.url}/_mlpipe/{what}", data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from error


@contextmanager
def start() -> Iterator[Aws]:
    """Start an emulator; it ends with the block, and with this process whatever happens.

    Raises:
        RuntimeError: It did not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "mlpipe_awstest"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the emulated AWS did not start: exit code {process.wait()}")
        yield Aws(url)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
