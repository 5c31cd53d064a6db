"""Endpoints on this machine: a background server each, bound to the loopback interface."""

import base64
import http.client
import json
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlpipe import Action
from mlpipe.errors import StageError
from mlpipe_endpoint import control, ownpython, plan, processes, versions
from mlpipe_endpoint.admission import digest_of
from mlpipe_endpoint.asking import TARGET_HEADER, Answered, Request, bearer, over_http
from mlpipe_endpoint.state import EndpointFolder, ServerProcess
from mlpipe_endpoint.values import Deployment, Found, Probe

#: Seconds for a control request that does no work.
_QUICK = 10.0
#: Seconds that a server may take to listen.
_LISTEN_SECONDS = 60.0
#: Seconds that a server may take to stop; it grants requests in flight ten.
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class LocalBackend:
    """The endpoints of one project.

    Attributes:
        root: The project's folder.
        home: Where the endpoints' folders are.
        secrets: Values by name; endpoints' tokens are among them.
    """

    root: Path
    home: Path
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def folder(self, name: str) -> EndpointFolder:
        """Give an endpoint's folder, which need not exist."""
        return EndpointFolder(self.home / name)

    def names(self) -> list[str]:
        """List the endpoints that this project has, running or not."""
        folders = [EndpointFolder(path) for path in self.home.glob("*") if path.is_dir()]
        return sorted(
            folder.path.name
            for folder in folders
            if folder.config.exists() or folder.server() is not None
        )

    def exclusively(self, name: str) -> AbstractContextManager[None]:
        """Hold the endpoint's lock."""
        return self.folder(name).locked()

    def describe(self, name: str) -> Found | None:
        """Ask the server; where none answers, read what it would serve."""
        folder = self.folder(name)
        server = folder.server()
        if server is not None:
            try:
                answer = control.ask(server.control, "describe", timeout=_QUICK)
            except control.NoAnswer:
                return folder.deployment()
            now = Deployment.from_json(answer["deployment"])
            token = self.secrets.get(now.access.token)
            stale = token is not None and digest_of(token) != answer.get("token")
            return Found(now, True, answer["verified"] and not stale)
        return folder.deployment()

    def verified(self, name: str) -> Deployment | None:
        """Give what is served, if it was read back: here models are asked before they serve."""
        found = self.describe(name)
        return found.deployment if found and found.running and found.verified else None

    def actions(self, wanted: Deployment, found: Found | None) -> tuple[Action, ...]:
        """List the changes of what is served, and of who serves it."""
        return plan.actions(wanted, found)

    def address(self, deployment: Deployment) -> str:
        """Give the server's address."""
        return url_of(deployment)

    def apply(self, wanted: Deployment, found: Found | None, probe: Probe | None) -> None:
        """Have the server load, try and switch.

        Where none runs, or it listens elsewhere, one is started first; should that or the
        switch fail, what ran before is put back.
        """
        folder = self.folder(wanted.name)
        for variant, model in wanted.variants.items():
            place = versions.ensure(folder.versions, variant, model, self.root)
            if model.python == ownpython.OF_MODEL:
                ownpython.prepare(place, variant, self.home.parent.absolute() / "environments")
        self._token(wanted)
        running = found.deployment if found is not None and found.running else None
        if running is not None and not plan.listens_elsewhere(wanted, running):
            self._switch(wanted, probe)
            return
        self.stop(wanted.name)
        try:
            self._start(wanted)
            self._switch(wanted, probe)
        except BaseException:
            self.stop(wanted.name)
            if running is not None:
                self._start(running)
                self._switch(running, None)
            raise

    def check(self, deployment: Deployment, probe: Probe | None) -> None:
        """Ask over HTTP."""
        token = self._token(deployment)
        _expect_ok(deployment, "GET", "/ping", "the endpoint")
        if probe is None:
            return
        for variant in deployment.variants:
            headers = {
                "Content-Type": probe.content_type,
                "Accept": probe.accept,
                TARGET_HEADER: variant,
                **bearer(token),
            }
            path, who = f"/endpoints/{deployment.name}/invocations", f'variant "{variant}"'
            _expect_ok(deployment, "POST", path, who, probe.body, headers)

    def confirm(self, name: str) -> None:
        """Tell the server, which writes it down."""
        self._ask(name, "confirm")

    def ask(self, name: str, request: Request) -> Answered:
        """Send a request over HTTP."""
        found = self.describe(name)
        if found is None or not found.running:
            raise StageError(
                f'endpoint "{name}" is not running', fix="Start it by running its recipe again."
            )
        now = found.deployment
        sent = replace(request, headers={**request.headers, **bearer(self._token(now))})
        return over_http(name, host_of(now), now.port, sent)

    def _token(self, deployment: Deployment) -> str:
        """Give the value of an endpoint's token.

        Raises:
            StageError: It is not known here.
        """
        name = deployment.access.token
        if name and not self.secrets.get(name):
            raise StageError(
                f'the token of endpoint "{deployment.name}", {name}, is not set',
                fix=f"Set {name} in the environment; a stage lists it under secrets.",
            )
        return self.secrets[name] if name else ""

    def records(self, name: str) -> Path:
        """Give the file that the server writes."""
        return self.folder(name).invocations

    def weigh(self, name: str, weights: dict[str, float]) -> dict[str, float]:
        """Change live weights.

        Returns:
            All weights afterwards.

        Raises:
            StageError: The endpoint is not running, or refuses them.
        """
        return dict(self._ask(name, "weigh", weights=weights)["weights"])

    def stop(self, name: str) -> bool:
        """Stop an endpoint and wait until its process is gone; says whether it was running."""
        folder = self.folder(name)
        server = folder.server()
        if server is None:
            folder.forget()
            return False
        try:
            control.ask(server.control, "stop", timeout=_QUICK)
        except control.NoAnswer:
            processes.end(server.pid, server.identity, _QUICK)
        if not processes.wait_until(lambda: not _lives(server), _STOP_SECONDS):
            processes.end(server.pid, server.identity, _QUICK)
        folder.forget()
        return True

    def _switch(self, wanted: Deployment, probe: Probe | None) -> None:
        self._ask(
            wanted.name,
            "apply",
            deployment=wanted.to_json(),
            probe=_packed(probe),
            token=self._token(wanted),
        )

    def _start(self, wanted: Deployment) -> None:
        folder = self.folder(wanted.name)
        reading, writing = os.pipe()
        argv = (sys.executable, "-P", "-u", "-m", "mlpipe_endpoint.server")
        listen = (wanted.access.host, str(wanted.port))
        place = (str(folder.path.resolve()), wanted.name, *listen, str(writing))
        try:
            processes.spawn(argv + place, log=folder.log, folder=self.root, keep=[writing])
        finally:
            os.close(writing)
        _expect_listening(processes.read_all(reading, _LISTEN_SECONDS), wanted, folder)

    def _ask(self, name: str, operation: str, **arguments: Any) -> dict[str, Any]:
        folder = self.folder(name)
        server = folder.server()
        if server is None:
            raise StageError(
                f'endpoint "{name}" is not running',
                fix="Start it by running its recipe again.",
            )
        try:
            return control.ask(server.control, operation, timeout=None, **arguments)
        except control.NoAnswer as error:
            raise StageError(f'endpoint "{name}" died meanwhile', fix=_see(folder)) from error
        except control.Refused as error:
            fix = error.fix or f"What was in service before still is. {_see(folder)}"
            raise StageError(error.what, where=error.where, fix=fix) from error


def url_of(deployment: Deployment) -> str:
    """Give the address of an endpoint of this machine."""
    return f"http://{host_of(deployment)}:{deployment.port}"


def host_of(deployment: Deployment) -> str:
    """Give the address at which this machine itself reaches an endpoint."""
    host = deployment.access.host
    return "127.0.0.1" if host in ("", "0.0.0.0") else host  # noqa: S104 - of all, this one


def _lives(server: ServerProcess) -> bool:
    return processes.identity(server.pid) == server.identity


def _packed(probe: Probe | None) -> dict[str, str] | None:
    if probe is None:
        return None
    body = base64.b64encode(probe.body).decode()
    return {"body": body, "content_type": probe.content_type, "accept": probe.accept}


def _expect_listening(report: bytes, wanted: Deployment, folder: EndpointFolder) -> None:
    answer = json.loads(report) if report else {"error": "its process ended or hung"}
    if "error" not in answer:
        return
    where = f" on port {wanted.port}" if wanted.port else ""
    raise StageError(
        f'endpoint "{wanted.name}" cannot be started{where}: {answer["error"]}',
        fix=f"Free the port, or set another one under with.port. {_see(folder)}",
    )


def _see(folder: EndpointFolder) -> str:
    return f"Its log: {folder.log}"


def _expect_ok(
    deployment: Deployment,
    method: str,
    path: str,
    who: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> None:
    connection = http.client.HTTPConnection(host_of(deployment), deployment.port, timeout=70)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except OSError as error:
        raise StageError(f"{who} does not answer at {url_of(deployment)}: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise StageError(f"{who} answers {path} with {answer.status}: {text[:500]}")
