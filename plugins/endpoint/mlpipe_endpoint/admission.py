"""Who is let in: tokens, and requests at once."""

import hashlib
import hmac
from collections.abc import Mapping

from mlpipe_endpoint.replies import Reply, refusal

_BEARER = "bearer "


def is_shown(token: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request's headers show the token; without one, all do."""
    if not token:
        return True
    shown = headers.get("authorization", "")
    if shown[: len(_BEARER)].lower() != _BEARER:
        return False
    return hmac.compare_digest(shown[len(_BEARER) :].strip().encode("latin-1"), token.encode())


def digest_of(token: str) -> str:
    """Give by what a server that holds another token is told, over its control socket."""
    return hashlib.sha256(token.encode()).hexdigest()


def unauthorized() -> Reply:
    """Refuse who does not show the token."""
    reply = refusal(401, "AccessDeniedException", "Send the token: Authorization: Bearer …")
    return Reply(reply.status, reply.body, {**reply.headers, "WWW-Authenticate": "Bearer"})


def too_many(limit: int) -> Reply:
    """Refuse a request beyond those that may be answered at once."""
    said = f"{limit} requests are being answered, at most {limit} allowed"
    reply = refusal(429, "ThrottlingException", said)
    return Reply(reply.status, reply.body, {**reply.headers, "Retry-After": "1"})
