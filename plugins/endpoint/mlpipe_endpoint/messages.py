"""A request as its handler sees it, the bytes of an answer, and what HTTP itself refuses."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

import httptools

from mlpipe_endpoint.replies import Reply, refusal

if TYPE_CHECKING:
    from mlpipe_endpoint.connection import Connection

#: Bytes that a request's line and headers may have.
HEADER_LIMIT = 64 * 1024
#: Stands for the refusal of a body that is still being counted.
TOO_LARGE = 413

_STATUS = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n" for each in HTTPStatus}


class Request:
    """A request, and who waits for the answer.

    Attributes:
        method: As ``POST``.
        path: Decoded, without the query.
        headers: By name in lower case; of several by one name the last.
        body: The bytes.
    """

    __slots__ = ("_connection", "body", "chunks", "headers", "keep", "method", "path", "refusal",
                 "size")  # fmt: skip

    def __init__(
        self, connection: "Connection", method: str, path: str, headers: dict[str, str]
    ) -> None:
        self._connection = connection
        self.method = method
        self.path = path
        self.headers = headers
        self.body = b""
        #: For the connection: what has arrived, its bytes, and whether another may follow.
        self.chunks: list[bytes] = []
        self.size = 0
        self.keep = False
        self.refusal: Reply | None = None

    def answer(self, reply: Reply) -> None:
        """Send the answer, once; nowhere where the client is gone."""
        self._connection.answer(self, reply)


class Handler(Protocol):
    """Who answers requests."""

    @property
    def body_limit(self) -> int:
        """How many bytes a body may have now."""
        ...

    def admit(self, request: Request) -> Reply | None:
        """Refuse a request by its line and headers, or do not."""
        ...

    def handle(self, request: Request) -> None:
        """Have ``request.answer`` called, now or later."""
        ...

    def refused(self, reply: Reply) -> Reply:
        """Note a request that was not handled; give the answer to it as it is to be sent."""
        ...


def encoded(request: Request, reply: Reply, date: str, *, keep: bool) -> bytes:
    """Give the bytes of an answer.

    Args:
        request: What is answered; to HEAD without the body.
        reply: The answer.
        date: Of now, as HTTP writes it.
        keep: Whether another request may follow.
    """
    headers = "".join([f"{name}: {value}\r\n" for name, value in reply.headers.items()])
    kept = "" if keep else "Connection: close\r\n"
    size = f"Content-Length: {len(reply.body)}\r\n"
    last = f"Date: {date}\r\n\r\n"
    head = f"{_STATUS[reply.status]}{headers}{size}{kept}{last}".encode("latin-1")
    return head if request.method == "HEAD" else head + reply.body


def headers_too_long() -> Reply:
    """Refuse a request whose headers are too long."""
    said = f"The headers are longer than {HEADER_LIMIT} bytes"
    return refusal(431, "RequestHeaderFieldsTooLarge", said)


def too_large(size: int, limit: int) -> Reply:
    """Refuse a body."""
    said = f"The body has {size} bytes, at most {limit} allowed"
    return refusal(TOO_LARGE, "RequestEntityTooLarge", said)


def late(what: str, seconds: float) -> Reply:
    """Refuse who takes too long."""
    said = f"The {what} did not arrive within {seconds:g} s"
    return refusal(408, "RequestTimeout", said)


def path_of(url: bytes) -> str:
    """Give the path of a request's target, which may be a whole address."""
    if b"?" in url or not url.startswith(b"/"):
        try:
            url = httptools.parse_url(url).path or b"/"
        except httptools.HttpParserInvalidURLError:
            return ""
    return (unquote_to_bytes(url) if b"%" in url else url).decode(errors="replace")
