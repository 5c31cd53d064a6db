"""What commands say about an endpoint."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlpipe import UserError
from mlpipe_endpoint.contract import Backend
from mlpipe_endpoint.local import LocalBackend
from mlpipe_endpoint.places import Place
from mlpipe_endpoint.values import Deployment, Found, shares


@dataclass(frozen=True, slots=True)
class View:
    """An endpoint, as it is shown.

    Attributes:
        found: What it is.
        url: Where it answers.
        pid: Its server's process number, while it runs.
        log: Where its log is.
    """

    found: Found
    url: str
    pid: int | None
    log: str

    @property
    def _deployment(self) -> Deployment:
        return self.found.deployment

    @property
    def _state(self) -> str:
        return "running" if self.found.running else "stopped"

    def line(self) -> str:
        """The endpoint in one line."""
        now = self._deployment
        return f"{now.name}  {self._state}  {self.url}  {shares(now.weights)}"

    def page(self) -> str:
        """All about the endpoint, a line a fact."""
        now = self._deployment
        head = f"{now.name}  {self._state}" + (f" (process {self.pid})" if self.pid else "")
        lines = [head, f"  url      {self.url}"]
        width = max((len(name) for name in now.variants), default=0)
        for name, model in now.variants.items():
            share = f"  a shadow: {now.shadow[name]:g}" if name in now.shadow else ""
            said = f"{now.weights[name]:g}  model {model.short}{share}"
            lines.append(f"  variant  {name:<{width}}  {said}")
        if now.weights != now.declared:
            lines.append(f"  recipe   {shares(now.declared)}; the weights were changed since")
        if not self.found.verified:
            lines.append("  note     a deploy did not finish; run the recipe again")
        return "\n".join([*lines, f"  log      {self.log}"])

    def to_json(self) -> dict[str, Any]:
        """The same for machines."""
        now = self._deployment
        return {
            **now.to_json(),
            "state": self._state,
            "url": self.url,
            "pid": self.pid,
            "verified": self.found.verified,
            "log": self.log,
        }


def views(place: Place) -> Iterator[View]:
    """Look at all endpoints of a place; those that were deleted there are left out."""
    backend = place.backend
    for name in place.names():
        there = backend.describe(name)
        if there is not None:
            yield _view(backend, there)


def view(place: Place, name: str) -> View:
    """Look at an endpoint.

    Raises:
        UserError: Nothing is known of it.
    """
    backend = place.backend
    return _view(backend, found(backend, name))


def _view(backend: Backend, there: Found) -> View:
    name = there.deployment.name
    address = backend.address(there.deployment)
    if not isinstance(backend, LocalBackend):
        return View(there, address, None, f"aws logs tail /aws/sagemaker/Endpoints/{name}")
    folder = backend.folder(name)
    server = folder.server() if there.running else None
    return View(there, address, server.pid if server else None, str(folder.log))


def found(backend: Backend, name: str) -> Found:
    """Give an endpoint as it is.

    Raises:
        UserError: Nothing is known of it.
    """
    there = backend.describe(name)
    if there is None:
        raise UserError(
            f'the state of endpoint "{name}" cannot be read, or it is gone',
            fix="Run its recipe again: the next deploy makes it anew.",
        )
    return there
