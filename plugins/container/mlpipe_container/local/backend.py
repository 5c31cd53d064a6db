"""Putting services of this machine into service: describe, plan, change, look again."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlpipe import Action
from mlpipe.errors import StageError
from mlpipe_container.engines import Engine
from mlpipe_container.images import parsed
from mlpipe_container.local.balancing import Balancing, wait_until
from mlpipe_container.local.containers import Container, Containers, free_port
from mlpipe_container.local.probing import asked, listening
from mlpipe_container.services import Service

_LOG_LINES = 20


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a service.

    Attributes:
        containers: Running or not.
        ports: Those of the containers that get requests; ``None`` where nothing does.
        port: Where the service answers; 0 where it never did.
        version: The version that gets requests.
        verified: Whether that was probed.
    """

    containers: tuple[Container, ...]
    ports: tuple[int, ...] | None
    port: int
    version: str = ""
    verified: bool = False


@dataclass(frozen=True, slots=True)
class LocalService:
    """One service of a project, on this machine.

    Attributes:
        name: Its name.
        state_dir: The project's ``.mlpipe``.
        engine: That runs it.
        secrets: Values by name.
    """

    name: str
    state_dir: Path
    engine: Engine
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.state_dir / "services" / self.name

    @property
    def containers(self) -> Containers:
        """Its containers."""
        project = hashlib.sha256(str(self.state_dir.resolve()).encode()).hexdigest()[:16]
        return Containers(self.engine, project, self.name)

    @property
    def balancing(self) -> Balancing:
        """Who gives requests to its containers."""
        return Balancing(self.folder)

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Hold the service's lock."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def describe(self) -> Found:
        """Look at what there is. Read-only."""
        serving = self.balancing.serving()
        before = kept(self.state_dir, self.name)
        return Found(
            containers=tuple(self.containers.all()),
            ports=tuple(serving["ports"]) if serving else None,
            port=int(before.get("port", 0)),
            version=str(before.get("version", "")),
            verified=bool(before.get("verified")),
        )

    def mark(self, service: Service) -> str:
        """Give the mark of a service's containers."""
        return service.mark(self._key(), {name: self.secrets[name] for name in service.secrets})

    def actions(self, service: Service, found: Found) -> tuple[Action, ...]:
        """List the changes that lead from what there is to the service."""
        subject = f"service {self.name}"
        good = self._good(service, found)
        actions: list[Action] = []
        if missing := service.replicas - len(good):
            actions.append(Action("create", _counted(missing), _of(service)))
        port = service.port or found.port
        if found.ports is None:
            start = "start" if found.port else "create"
            actions.append(Action(start, subject, f"port {port}" if port else "a free port"))
        elif port != found.port:
            actions.append(Action("update", subject, f"port {found.port} → {port}"))
        if found.ports is not None and (missing or set(found.ports) != {c.port for c in good}):
            change = f"{found.version or 'nothing'} → {service.version}"
            actions.append(Action("switch", subject, change))
        if left := [each for each in found.containers if each not in good]:
            actions.append(Action("delete", _counted(len(left)), ", ".join(_versions(left))))
        if not actions and not found.verified:
            actions.append(Action("verify", subject, "an earlier deploy did not finish"))
        return tuple(actions)

    def put(self, service: Service, image: str) -> int:
        """Have the service run; give its port. What ran before serves until the new one is well.

        Args:
            service: What is wanted.
            image: What the engine knows the image by.

        Raises:
            StageError: It does not become well; what ran before is left as it was.
        """
        self._make_key()
        found = self.describe()
        good = self._good(service, found)
        serving = [each for each in good if each.port in (found.ports or ())]
        # What a deploy that was killed had started need not be well yet.
        mark, begun = self.mark(service), [each for each in good if each not in serving]
        try:
            while len(serving) + len(begun) < service.replicas:
                begun.append(self.containers.start(service, image, mark, self._values(service)))
            for each in begun:
                self._await(each, service)
        except StageError:
            self._remove(begun)
            raise
        return self._switch(service, found, [*serving, *begun], begun)

    def stop(self) -> int:
        """End the service: its port, then its containers. Give how many there were."""
        self.balancing.stop()
        found = self.containers.all()
        self._remove(found)
        return len(found)

    def _switch(
        self, service: Service, found: Found, new: list[Container], begun: list[Container]
    ) -> int:
        port = service.port or found.port or free_port()
        self._keep(port=port, version=service.version, verified=False)
        try:
            self.balancing.switch(port, [each.port for each in new])
            self._probe(service, port)
        except StageError:
            self._put_back(found, begun)
            raise
        self._keep(port=port, version=service.version, verified=True)
        self._retire(service, [each for each in found.containers if each not in new])
        return port

    def _retire(self, service: Service, old: list[Container]) -> None:
        if old and not self.balancing.drained(service.grace):
            print(f"requests of before took more than {service.grace:g} s and are cut off")
        self._remove(old)

    def _put_back(self, found: Found, begun: list[Container]) -> None:
        """Have what got requests before get them again."""
        if found.ports is not None:
            self.balancing.switch(found.port, list(found.ports))
            self._keep(port=found.port, version=found.version, verified=found.verified)
            print("what was in service is put back", flush=True)
        else:
            self.balancing.stop()
        self._remove(begun)

    def _good(self, service: Service, found: Found) -> list[Container]:
        """List the containers that are what is wanted, as many as are."""
        mark = self.mark(service)
        alike = [each for each in found.containers if each.mark == mark and each.running]
        if found.ports is not None:  # those that have requests first
            alike.sort(key=lambda each: each.port not in (found.ports or ()))
        return alike[: service.replicas]

    def _await(self, container: Container, service: Service) -> None:
        """Wait until a new container is well.

        Raises:
            StageError: It is not within its time, or its program has ended.
        """
        last = ["it does not listen"]

        def is_well() -> bool:
            now = self.containers.look(container)
            if now is None or now.is_given_up:
                raise self._broken(container, f"its program has ended{_code(now)}")
            last[0] = self._unwell(now, service)
            return not last[0]

        if not wait_until(is_well, service.patience):
            raise self._broken(container, f"not well after {service.patience:g} s: {last[0]}")

    def _unwell(self, now: Container, service: Service) -> str:
        """Say why a container is not well, or ``""``."""
        if not now.running:
            return "its program has ended, and is started again"
        if service.probe:
            return asked(now.port, service.probe)
        if now.health:
            well = now.health == "healthy" or (self.engine.is_podman and self.containers.check(now))
            return "" if well else f"its HEALTHCHECK says {now.health}"
        return listening(now.port)

    def _broken(self, container: Container, what: str) -> StageError:
        logs = self.containers.logs(container, _LOG_LINES) or "it wrote nothing"
        return StageError(
            f"container {container.name}: {what}",
            where=f"service {self.name}",
            fix=f"What it wrote at last:\n{_indented(logs)}",
        )

    def _probe(self, service: Service, port: int) -> None:
        """Ask the service as its users do."""
        said = asked(port, service.probe) if service.probe else listening(port)
        if said:
            raise StageError(f"the service is not well after the switch: {said}", where=self.name)

    def _remove(self, containers: list[Container]) -> None:
        for each in containers:
            self.containers.remove(each)

    def _values(self, service: Service) -> dict[str, str]:
        return {name: self.secrets[name] for name in service.secrets}

    def _keep(self, **facts: object) -> None:
        writing = self.folder / ".service"
        writing.write_text(json.dumps({"engine": self.engine.name, **facts}))
        writing.replace(self.folder / "service.json")

    def _key(self) -> bytes:
        """Give the key of marks; where there is none, one that made no mark."""
        with suppress(OSError):
            return (self.state_dir / "services" / "key").read_bytes()
        return os.urandom(32)

    def _make_key(self) -> None:
        with suppress(FileExistsError):
            path = self.state_dir / "services" / "key"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(32))


def kept(state_dir: Path, name: str) -> dict[str, Any]:
    """Give what is kept of a service, as ``engine`` and ``port``; nothing where there is none."""
    with suppress(OSError, ValueError):
        return dict(json.loads((state_dir / "services" / name / "service.json").read_bytes()))
    return {}


def _counted(number: int) -> str:
    return f"{number} container{'' if number == 1 else 's'}"


def _of(service: Service) -> str:
    return " ".join(filter(None, [service.version, parsed(service.image).digest[:19]]))


def _versions(containers: list[Container]) -> list[str]:
    return sorted({each.version or each.mark[:8] for each in containers})


def _code(container: Container | None) -> str:
    return f" with exit code {container.exit_code}" if container else ""


def _indented(text: str) -> str:
    return "\n".join(f"     {line}" for line in text.splitlines())
