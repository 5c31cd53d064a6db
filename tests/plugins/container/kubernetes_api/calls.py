"""Requests, and what may go wrong with them."""

from dataclasses import dataclass
from typing import Any

#: Reason and message of the statuses that a fault may give.
FAULTS = {
    "429": ("TooManyRequests", "Too many requests, please try again later."),
    "500": ("InternalError", "etcdserver: request timed out"),
    "503": ("ServiceUnavailable", "apiserver not ready"),
}


@dataclass
class Call:
    """A request.

    Attributes:
        method: Of HTTP.
        path: Without the query.
        query: Each value once.
        body: Parsed, or ``None``.
        kind: ``content-type``.
        token: Of the header ``Authorization``.
    """

    method: str
    path: str
    query: dict[str, str]
    body: Any
    kind: str
    token: str


@dataclass
class Fault:
    """Something that goes wrong with requests.

    Attributes:
        kind: ``429``, ``500``, ``503``, ``401``, ``drop`` (nothing happens, the connection breaks)
            or ``lost`` (it takes effect, the connection breaks).
        method: Of which requests.
        times: How often still.
        after: How many requests go well, before.
    """

    kind: str
    method: str = "*"
    times: int = 1
    after: int = 0

    def strikes(self, method: str) -> bool:
        """Count a request; tell whether it goes wrong."""
        if self.times <= 0 or self.method not in ("*", method):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True
