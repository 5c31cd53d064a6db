"""Who is let in, and with how much: tokens, bodies, and requests at once."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from mlpipe_endpoint.replies import Reply, refusal

#: Seconds that a client may take to send a request's body.
BODY_SECONDS = 60.0
_BEARER = b"bearer "

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


def is_shown(token: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request's headers show the token; without one, all do."""
    if not token:
        return True
    for name, value in headers:
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return hmac.compare_digest(value[len(_BEARER) :].strip(), token.encode())
    return False


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


async def read(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes | Reply:
    """Read a request's body to its end: a client that is still sending reads no answer.

    One that asks before it sends (``Expect: 100-continue``) is told at once.

    Args:
        receive: Gives the next part.
        headers: The request's.
        limit: Bytes that it may have. What is beyond is read and thrown away.

    Raises:
        ConnectionError: The client is gone.
    """
    announced = headers.get("content-length", "")
    asks = headers.get("expect", "").lower() == "100-continue" and announced.isdecimal()
    if asks and int(announced) > limit:
        return _too_large(int(announced), limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionError
                chunk = message.get("body", b"")
                size += len(chunk)
                if size <= limit:
                    chunks.append(chunk)
                else:
                    chunks.clear()
                more = message.get("more_body", False)
    except TimeoutError:
        return refusal(408, "RequestTimeout", f"The body did not arrive within {BODY_SECONDS:g} s")
    return b"".join(chunks) if size <= limit else _too_large(size, limit)


async def refused(receive: Receive, reply: Reply) -> Reply:
    """Give an answer to who may not have sent all yet, and would not read it until then."""
    await read(receive, {}, 0)
    return reply


def _too_large(size: int, limit: int) -> Reply:
    said = f"The body has {size} bytes, at most {limit} allowed"
    return refusal(413, "RequestEntityTooLarge", said)
