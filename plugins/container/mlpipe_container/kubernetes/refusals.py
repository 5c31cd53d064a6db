"""What the API server refuses, and what to do about it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpipe.errors import StageError

_UNANSWERED = 0
_BUSY = frozenset({429, 500, 502, 503, 504})
_FIXES = {
    401: "Let the cluster know the role: aws eks create-access-entry --cluster-name {cluster} "
    "--principal-arn ROLE; or sign in again, where the credentials have expired.",
    403: "Give the role the right: aws eks associate-access-policy --cluster-name {cluster}, or "
    "a Role and a RoleBinding in the namespace.",
    422: "Correct the manifest, or the recipe's block.",
    _UNANSWERED: "Look at the network: a private endpoint is reached from its VPC only.",
}
#: Of a manifest that is wrong, which servers to date answer by 500.
_TYPED = "failed to create typed patch object"


@dataclass(frozen=True, slots=True)
class Taken:
    """A field that somebody else has set to another value.

    Attributes:
        owner: As ``kubectl-edit``.
        path: As ``.spec.replicas``.
    """

    owner: str
    path: str


class Refusal(StageError):
    """A call that the server refuses.

    Args:
        what: What is wrong.
        status: Of HTTP; 0 where it could not be reached.
        taken: Fields of others', where they are the reason.
        where: The cluster.
        fix: What to do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        status: int,
        taken: Sequence[Taken] = (),
        where: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.status = status
        self.taken = tuple(taken)

    @property
    def is_passing(self) -> bool:
        """Whether the same call may be answered otherwise later."""
        return is_passing(self.status, self.what)


def is_passing(status: int, text: str) -> bool:
    """Tell whether a call may be answered otherwise later.

    Args:
        status: Of HTTP; 0 where no answer came.
        text: What the server says.
    """
    return status == _UNANSWERED or (status in _BUSY and _TYPED not in text)


def refusal(status: int, text: str, cluster: str) -> Refusal:
    """Turn an answer into an error that says what to do."""
    said = _status(text)
    message = str(said.get("message") or text.strip() or f"HTTP {status}")
    if status == _UNANSWERED:
        message = f"the API server cannot be reached: {message}"
    fix = _FIXES.get(422 if _TYPED in message else status)
    return Refusal(
        message,
        status=status,
        taken=_taken(said),
        where=f"cluster {cluster}",
        fix=fix.format(cluster=cluster) if fix else None,
    )


def _status(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _taken(said: dict[str, Any]) -> tuple[Taken, ...]:
    causes = (said.get("details") or {}).get("causes") or ()
    return tuple(
        Taken(str(cause.get("message", "")).partition('"')[2].partition('"')[0], cause["field"])
        for cause in causes
        if cause.get("reason") == "FieldManagerConflict"
    )
