"""What a place that serves endpoints must be able to do."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from mlpipe import Action
from mlpipe_endpoint.asking import Answered, Request
from mlpipe_endpoint.values import Deployment, Found, Probe


class Backend(Protocol):
    """A type of target, as far as ``endpoint.deploy`` is concerned."""

    def exclusively(self, name: str) -> AbstractContextManager[None]:
        """Hold off other deploys to the endpoint meanwhile."""
        ...

    def describe(self, name: str) -> Found | None:
        """Look at an endpoint, read-only; ``None`` when there is none."""
        ...

    def verified(self, name: str) -> Deployment | None:
        """Give what the endpoint was last found to serve and to answer by; else ``None``.

        That is not what it serves where a deploy failed or was killed since.
        """
        ...

    def actions(self, wanted: Deployment, found: Found | None) -> tuple[Action, ...]:
        """List what ``apply`` and ``confirm`` would change, by read-only looks; in order."""
        ...

    def apply(self, wanted: Deployment, found: Found | None, probe: Probe | None) -> None:
        """Make the endpoint serve exactly ``wanted``, all or nothing.

        A new model gets traffic only once it is loaded and has answered ``probe``.

        Raises:
            StageError: It cannot; what was serving still is.
        """
        ...

    def check(self, deployment: Deployment, probe: Probe | None) -> None:
        """Ask the endpoint from outside whether it answers, and each variant the probe.

        Raises:
            StageError: It does not.
        """
        ...

    def address(self, deployment: Deployment) -> str:
        """Give what an SDK takes as its ``endpoint_url``."""
        ...

    def ask(self, name: str, request: Request) -> Answered:
        """Send a request.

        Raises:
            StageError: The endpoint does not answer.
            MlpipeError: It answers with an error.
        """
        ...

    def records(self, name: str) -> Path:
        """Give the file of an endpoint's invocations, one JSON line each."""
        ...

    def weigh(self, name: str, weights: dict[str, float]) -> dict[str, float]:
        """Change live weights of some variants; give all of them afterwards.

        Raises:
            StageError: The endpoint is not there, or refuses them.
        """
        ...

    def stop(self, name: str) -> bool:
        """Stop an endpoint and wait until it is gone; says whether it was there."""
        ...

    def confirm(self, name: str) -> None:
        """Note that what is in service was read back and probed."""
        ...
