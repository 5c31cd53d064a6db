"""What an endpoint keeps on disk: ``.mlpipe/endpoints/<name>/``."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlpipe_endpoint import processes
from mlpipe_endpoint.values import Deployment, Found


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """The process that serves an endpoint.

    Attributes:
        pid: Its number.
        identity: What tells it from others that had that number.
        port: Where it listens.
        control: Path of its control socket.
        folder: The endpoint's folder. A copied project must not claim the original's server.
    """

    pid: int
    identity: str
    port: int
    control: str
    folder: str


@dataclass(frozen=True, slots=True)
class EndpointFolder:
    """An endpoint's files.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """What the endpoint serves; written by its server."""
        return self.path / "config.json"

    @property
    def process(self) -> Path:
        """Who serves it; written by its server."""
        return self.path / "process.json"

    @property
    def log(self) -> Path:
        """Stdout and stderr of the server and of the models."""
        return self.path / "endpoint.log"

    @property
    def invocations(self) -> Path:
        """One JSON line for each request answered by a variant."""
        return self.path / "invocations.jsonl"

    @property
    def captures(self) -> Path:
        """One JSON line for each request that was kept with its answer."""
        return self.path / "captures.jsonl"

    @property
    def versions(self) -> Path:
        """Unpacked models, one folder a digest."""
        return self.path / "versions"

    def deployment(self) -> Found | None:
        """Read what is, or would be, served; ``running`` is left false.

        A damaged file counts as a missing one: the next deploy writes it again.
        """
        data = _read(self.config)
        try:
            return Found(Deployment.from_json(data), running=False, verified=data["verified"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def save(self, deployment: Deployment, *, verified: bool) -> None:
        """Write what is served, atomically and durably."""
        write_json(self.config, {**deployment.to_json(), "verified": verified})

    def claim(self, process: ServerProcess) -> None:
        """Write who serves, atomically."""
        write_json(self.process, asdict(process))

    def recorded(self) -> ServerProcess | None:
        """Read who is said to serve, dead or alive."""
        try:
            return ServerProcess(**_read(self.process))
        except TypeError:
            return None

    def server(self) -> ServerProcess | None:
        """Give the live server's process; a record of a dead one or of another's is nobody."""
        found = self.recorded()
        if found is None or found.folder != str(self.path.resolve()):
            return None
        return found if processes.identity(found.pid) == found.identity else None

    def forget(self) -> None:
        """Remove what a server that is dead has left behind."""
        left = self.recorded()
        if left is None or self.server() is not None:
            return
        self.process.unlink(missing_ok=True)
        if left.folder == str(self.path.resolve()):
            control = Path(left.control)
            control.unlink(missing_ok=True)
            with suppress(OSError):
                control.parent.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait for, then hold, the endpoint's lock. It dies with its holder."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replace a file by JSON: a reader sees the old text or the new, also after a crash."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(data, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
