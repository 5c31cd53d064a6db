"""Clients that take their time, or have no end: headers arrive soon, and are not too long."""

import asyncio
from typing import Any

from mlpipe_endpoint.replies import Reply, refusal

#: Seconds that a client may take to send a request's line and headers.
HEADER_SECONDS = 10.0
#: Bytes that they may have.
HEADER_LIMIT = 64 * 1024


def protocol() -> type[asyncio.Protocol]:
    """Give uvicorn's HTTP protocol with limits on headers, which uvicorn's has not."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    usual: Any = HttpToolsProtocol

    class Impatient(_Impatience, usual):  # type: ignore[misc]
        pass

    return Impatient


class _Impatience:
    """Answers, and closes, when a request's headers are late or too long."""

    cycle: Any
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _deadline: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)  # type: ignore[misc]  # of uvicorn's
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)  # type: ignore[misc]
        self._head = self._head + len(data) if self._between_requests() else 0
        if self._head > HEADER_LIMIT:
            self._refuse("431 Request Header Fields Too Large", headers_too_long())
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)  # type: ignore[misc]

    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _watch(self) -> None:
        if not self._between_requests():
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self._late)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self._between_requests():
            said = f"The headers did not arrive within {HEADER_SECONDS:g} s"
            self._refuse("408 Request Timeout", refusal(408, "RequestTimeout", said))

    def _refuse(self, status: str, reply: Reply) -> None:
        if self.transport.is_closing():
            return
        said = {"Content-Length": str(len(reply.body)), "Connection": "close"}
        headers = [f"{name}: {value}" for name, value in {**reply.headers, **said}.items()]
        head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""])
        self.transport.write(head.encode() + reply.body)
        self.transport.close()


def headers_too_long() -> Reply:
    """Refuse a request whose headers are too long."""
    said = f"The headers are longer than {HEADER_LIMIT} bytes"
    return refusal(431, "RequestHeaderFieldsTooLarge", said)
