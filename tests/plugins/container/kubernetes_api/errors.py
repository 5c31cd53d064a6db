"""Refusals, as the API server words them: objects of kind ``Status``."""

from collections.abc import Sequence
from typing import Any

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
}


class Refused(Exception):
    """A call that the server does not do.

    Args:
        code: Of HTTP.
        message: What people are told.
        causes: ``reason``, ``message`` and ``field`` of each problem.
        reason: Another one than the code's usual.
    """

    def __init__(
        self,
        code: int,
        message: str,
        causes: Sequence[dict[str, str]] = (),
        *,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.causes = list(causes)
        self.reason = _REASONS.get(code, "") if reason is None else reason

    @property
    def status(self) -> dict[str, Any]:
        """The answer's body."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "code": self.code,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.causes:
            body["details"] = {"causes": self.causes}
        return body


def invalid(kind: str, name: str, field: str, message: str, reason: str) -> Refused:
    """Say that an object has a value which it may not have."""
    cause = {"reason": reason, "message": message, "field": field}
    return Refused(422, f'{kind} "{name}" is invalid: {field}: {message}', [cause])
