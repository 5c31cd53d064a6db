"""The containers of a service, as an engine has them."""

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlpipe.errors import StageError
from mlpipe_container.engines import Engine, EngineFailed, labelled, last_line
from mlpipe_container.services import Service

_LABEL = "io.mlpipe."
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
#: How often a program that ends is started again.
_RESTARTS = 3
#: How often a port is looked for that is still free when the engine takes it.
_PORTS = 3
_START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Container:
    """A container.

    Attributes:
        identifier: The engine's.
        name: Its name.
        mark: Of the service that it is of.
        version: Of its image.
        port: Of this machine, where it answers.
        running: Whether its program runs.
        restarts: How often it was started again.
        health: What the image's own check says: ``healthy``, ``starting``, ``unhealthy`` or, where
            there is none, ``""``.
        exit_code: Of a program that has ended.
    """

    identifier: str
    name: str
    mark: str
    version: str
    port: int
    running: bool
    restarts: int = 0
    health: str = ""
    exit_code: int = 0

    @property
    def is_given_up(self) -> bool:
        """Whether its program has ended and is not started again."""
        return not self.running and (self.restarts >= _RESTARTS or self.exit_code == 0)


@dataclass(frozen=True, slots=True)
class Containers:
    """The containers of one service of a project.

    Attributes:
        engine: That has them.
        project: Tells the project from others on this machine.
        service: The service's name.
    """

    engine: Engine
    project: str
    service: str

    def all(self) -> list[Container]:
        """List them, those too that have stopped."""
        filters = [
            f"--filter=label={_LABEL}{key}={value}"
            for key, value in (("project", self.project), ("service", self.service))
        ]
        found = self.engine.run("ps", "--all", "--quiet", "--no-trunc", *filters).split()
        return list(self._inspected(found)) if found else []

    def look(self, container: Container) -> Container | None:
        """Look at one again; ``None`` where it is gone."""
        try:
            return next(self._inspected([container.identifier]))
        except (EngineFailed, StopIteration):
            return None

    def start(
        self, service: Service, image: str, mark: str, secrets: Mapping[str, str]
    ) -> Container:
        """Start another one, on a port of its own.

        Args:
            service: What it is of.
            image: What the engine knows the image by.
            mark: The service's.
            secrets: Values of its secrets by name.

        Raises:
            StageError: It does not start.
        """
        engine = replace(self.engine, variables={**self.engine.variables, **secrets})
        for left in reversed(range(_PORTS)):
            port = free_port()
            options = self._options(service, mark, port)
            try:
                found = engine.run("run", *options, image, seconds=_START_SECONDS)
            except EngineFailed as error:
                self._clear(self._name(mark, port))
                if left and ("in use" in error.said or "already allocated" in error.said):
                    continue
                raise StageError(
                    f"the container does not start: {last_line(error.said)}",
                    where=f"service {service.name}",
                ) from error
            identifier = found.splitlines()[-1]
            return Container(identifier, self._name(mark, port), mark, service.version, port, True)
        raise AssertionError("unreachable")

    def logs(self, container: Container, lines: int) -> str:
        """Give the last lines that a container wrote."""
        try:
            process = self.engine.opened(
                "logs", f"--tail={lines}", container.identifier, joined=True
            )
            return process.communicate()[0].decode(errors="replace").strip()
        except OSError:
            return ""

    def check(self, container: Container) -> bool:
        """Ask the image's own health check, which Podman does not do by itself without systemd."""
        try:
            self.engine.run("healthcheck", "run", container.identifier)
        except EngineFailed:
            return False
        return True

    def remove(self, container: Container, *, seconds: int = 10) -> None:
        """Stop and remove one; its program is told, and has some seconds."""
        try:
            self.engine.run("stop", f"--time={seconds}", container.identifier, seconds=seconds + 60)
        except EngineFailed as error:
            print(f"{container.name}: {last_line(error.said)}")
        self._clear(container.identifier)

    def _clear(self, container: str) -> None:
        try:
            self.engine.run("rm", "--force", container)
        except EngineFailed as error:
            if "o such container" not in error.said:
                raise

    def _name(self, mark: str, port: int) -> str:
        return f"{self.service}-{mark[:8]}-{port}"

    def _options(self, service: Service, mark: str, port: int) -> list[str]:
        inside = port if service.network == "host" else service.container_port
        labels = {
            "project": self.project,
            "service": service.name,
            "mark": mark,
            "version": service.version,
            "port": str(port),
        }
        return [
            *("--detach", "--init", f"--name={self._name(mark, port)}"),
            *labelled({f"{_LABEL}{name}": value for name, value in labels.items()}),
            f"--restart=on-failure:{_RESTARTS}",
            *self._network(service, port),
            *(f"--env={name}={value}" for name, value in service.env.items()),
            f"--env=PORT={inside}",
            # By name only: no list of processes shows their values.
            *(f"--env={name}" for name in service.secrets),
            *([f"--cpus={service.cpus:g}"] if service.cpus else []),
            *([f"--memory={_bytes(service.memory)}"] if service.memory else []),
        ]

    def _network(self, service: Service, port: int) -> list[str]:
        if service.network == "host":
            return ["--network=host"]
        return [f"--publish=127.0.0.1:{port}:{service.container_port}"]

    def _inspected(self, identifiers: list[str]) -> Iterator[Container]:
        for facts in json.loads(self.engine.run("container", "inspect", *identifiers)):
            labels, state = facts["Config"].get("Labels") or {}, facts["State"]
            yield Container(
                identifier=str(facts["Id"]),
                name=str(facts["Name"]).removeprefix("/"),
                mark=labels.get(f"{_LABEL}mark", ""),
                version=labels.get(f"{_LABEL}version", ""),
                port=int(labels.get(f"{_LABEL}port") or 0),
                running=bool(state.get("Running")),
                restarts=int(facts.get("RestartCount") or 0),
                health=_health(facts, state),
                exit_code=int(state.get("ExitCode") or 0),
            )


def free_port() -> int:
    """Give a port of this machine that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _health(facts: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    test = (facts["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
    if test[0] == "NONE":
        return ""
    said = state.get("Health") or state.get("Healthcheck") or {}
    return str(said.get("Status") or "starting")


def _bytes(memory: str) -> str:
    number = memory.rstrip("KMGi")
    unit = _UNITS[memory.removeprefix(number)] if number != memory else 1
    return f"{int(float(number) * unit)}b"
