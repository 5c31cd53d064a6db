"""What a place that serves endpoints must be able to do."""

from contextlib import AbstractContextManager
from typing import Protocol

from mlpipe_endpoint.values import Deployment, Found, Probe


class Backend(Protocol):
    """A type of target, as far as ``endpoint.deploy`` is concerned."""

    def exclusively(self, name: str) -> AbstractContextManager[None]:
        """Hold off other deploys to the endpoint meanwhile."""
        ...

    def describe(self, name: str) -> Found | None:
        """Look at an endpoint, read-only; ``None`` when there is none."""
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

    def confirm(self, name: str) -> None:
        """Note that what is in service was read back and probed."""
        ...
