"""One client's connection: HTTP/1.1 with no task, and nothing awaited, for a request.

A general server of ASGI applications takes as long for a small request as all the rest of an
endpoint: it makes a task, a dictionary of the request and several messages. Here httptools
parses, and a handler is called once a request is complete. It answers then or later.
"""

import asyncio
import enum
import math
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import httptools

from mlpipe_endpoint import logs
from mlpipe_endpoint.messages import (
    HEADER_LIMIT,
    TOO_LARGE,
    Request,
    encoded,
    headers_too_long,
    late,
    path_of,
    too_large,
)
from mlpipe_endpoint.replies import Reply, refusal

if TYPE_CHECKING:
    from mlpipe_endpoint.listening import HttpServer

#: Seconds that a client may take to send a request's line and headers.
HEADER_SECONDS = 10.0
#: Seconds that a client may take to send a request's body.
BODY_SECONDS = 60.0
#: Seconds that a connection is kept between requests.
IDLE_SECONDS = 75.0
#: Seconds that a client may take to make room for more of an answer.
STALL_SECONDS = 60.0
#: Seconds that what a client still sends is read for, so that it finds the answer to it.
LINGER_SECONDS = 2.0
#: Bytes around the parts of a body, for each of its own: one-byte parts have five.
_FRAMING = 16


class _Phase(enum.Enum):
    """What is awaited of a client."""

    HEAD = enum.auto()
    BODY = enum.auto()
    NOTHING = enum.auto()
    NEXT = enum.auto()
    GOING = enum.auto()


_UPGRADE = ("connection", "upgrade", "http2-settings")
_ARRIVING = (_Phase.HEAD, _Phase.BODY)
_BETWEEN = (_Phase.NOTHING, _Phase.NEXT)


class Connection(asyncio.Protocol):
    """Reads requests, and writes the answers in their order.

    Args:
        server: What it belongs to.
    """

    def __init__(self, server: "HttpServer") -> None:
        self._server = server
        self._handler = server.handler
        self._loop = server.loop
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._url = b""
        self._headers: dict[str, str] = {}
        self._overhead = 0
        self._begun = 0
        self._reading: Request | None = None
        self._queue: deque[Request] = deque()
        self._phase = _Phase.HEAD
        self._deadline = math.inf
        self._stalled = math.inf
        self._ended = False
        self._finishing = False

    # -- called by the event loop ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport = cast("asyncio.Transport", transport)
        self._await(_Phase.HEAD, HEADER_SECONDS)
        refused = self._server.joined(self)
        if refused is not None:
            self._refuse(refused)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was not answered."""
        self._drop()
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        if self._ended:
            return
        begun, between = self._begun, self._phase in _BETWEEN or not self._begun
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(refusal(400, "ValidationError", f"This is not HTTP/1.1: {error}"))
        if self._phase in _ARRIVING and self._begun - begun <= between:
            self._weigh(len(data))

    def eof_received(self) -> bool:
        """Answer who has said all."""
        if self._queue:
            self._queue[-1].keep = False
        return bool(self._queue)

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        self._stalled = self._loop.time() + STALL_SECONDS

    def resume_writing(self) -> None:
        """Note that it does."""
        self._stalled = math.inf

    # -- called by the parser -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._ended:
            return
        self._url, self._headers, self._overhead = b"", {}, 0
        self._begun += 1
        self._await(_Phase.HEAD, HEADER_SECONDS)

    def on_url(self, url: bytes) -> None:
        """Take a part of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. What comes after a body is thrown away."""
        if self._reading is None:
            self._overhead += len(name) + len(value)
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Ask whether the request may go on."""
        if self._ended or self._parser.should_upgrade():
            return
        self._await(_Phase.BODY, BODY_SECONDS)
        method = self._parser.get_method().decode()
        request = Request(self, method, path_of(self._url), self._headers)
        self._reading = request
        if self._overhead > HEADER_LIMIT:
            request.refusal = headers_too_long()
        else:
            request.refusal = self._handler.admit(request)
        self._overhead = 0
        if "expect" in self._headers:
            self._encourage(request)

    def on_body(self, chunk: bytes) -> None:
        """Keep a part of the body, unless it is not wanted."""
        request = self._reading
        if request is None:
            return
        request.size += len(chunk)
        if request.refusal is None:
            if request.size > self._handler.body_limit or not self._server.hold(len(chunk)):
                self._overflow(request, len(chunk))
            else:
                request.chunks.append(chunk)

    def on_message_complete(self) -> None:
        """Hand the request on."""
        request, self._reading = self._reading, None
        if request is None:
            return
        request.keep = self._parser.should_keep_alive()
        chunks = request.chunks
        request.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if request.refusal is not None and request.refusal.status == TOO_LARGE:
            request.refusal = too_large(request.size, self._handler.body_limit)
        self._await(_Phase.NOTHING, math.inf)
        self._enqueue(request)

    def _stay(self, rest: bytes) -> None:
        """Answer who asks for another protocol, as some clients do with HTTP/2, in this one.

        The parser has taken it to be another from here on, so a new one reads the request again.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._refuse(refusal(405, "MethodNotAllowed", "This is no proxy"))
            return
        headers = "".join(f"{k}: {v}\r\n" for k, v in self._headers.items() if k not in _UPGRADE)
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self._url, headers.encode("latin-1"))
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

    # -- limits ---------------------------------------------------------------------------------

    def _await(self, phase: _Phase, seconds: float) -> None:
        self._phase = phase
        self._deadline = self._loop.time() + seconds

    def expire(self, now: float) -> None:
        """Part with a client that is late; called now and then.

        Args:
            now: The event loop's time.
        """
        if now >= self._stalled:
            self._transport.abort()
        elif now < self._deadline or self._queue:
            return  # while something is to be answered, it is not the client who is awaited
        elif self._phase is _Phase.HEAD:
            self._refuse(late("headers", HEADER_SECONDS))
        elif self._phase is _Phase.BODY:
            self._refuse(late("body", BODY_SECONDS))
        else:
            self._transport.abort()

    def _weigh(self, arrived: int) -> None:
        """Bound what the parser collects of headers, those after a body too.

        Args:
            arrived: Bytes that are all of the request that is arriving.
        """
        self._overhead += arrived
        allowed = HEADER_LIMIT
        if self._reading is not None:
            allowed += (1 + _FRAMING) * self._reading.size
        if self._overhead > allowed:
            self._refuse(headers_too_long())

    def _encourage(self, request: Request) -> None:
        """Answer who asks before it sends a body: with what it will get, or to go on."""
        if request.headers["expect"].lower() != "100-continue":
            return
        announced = request.headers.get("content-length", "")
        limit = self._handler.body_limit
        if request.refusal is None and announced.isdecimal() and int(announced) > limit:
            request.refusal = too_large(int(announced), limit)
        if request.refusal is not None:
            self._refuse(request.refusal)
        elif not self._queue:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _overflow(self, request: Request, more: int) -> None:
        kept = request.size - more
        self._server.release(kept)
        request.chunks.clear()
        if request.size > self._handler.body_limit:
            request.refusal = Reply(TOO_LARGE, b"")  # written when all of it was counted
        else:
            request.refusal = self._server.too_much()

    def _release(self, request: Request | None) -> None:
        if request is not None and request.chunks:
            self._server.release(sum(map(len, request.chunks)))
            request.chunks.clear()

    # -- answers --------------------------------------------------------------------------------

    def _refuse(self, reply: Reply) -> None:
        """Answer what goes no further, after all that came before it; then end."""
        self._ended = True
        self._release(self._reading)
        self._reading = None
        request = Request(self, "", "", {})
        request.refusal = reply
        self._await(_Phase.NOTHING, math.inf)
        self._enqueue(request)

    def _enqueue(self, request: Request) -> None:
        self._queue.append(request)
        if len(self._queue) == 1:
            self._start()
        else:
            self._transport.pause_reading()

    def _start(self) -> None:
        if not self._queue:
            return
        request = self._queue[0]
        if request.refusal is not None:
            self.answer(request, self._handler.refused(request.refusal))
            return
        try:
            self._handler.handle(request)
        except Exception as error:
            logs.note("error", "a request was not handled", error)
            self.answer(
                request, refusal(500, "InternalFailure", "the endpoint failed; see its log")
            )

    def answer(self, request: Request, reply: Reply) -> None:
        """Write the answer to the request whose turn it is; for ``Request.answer``."""
        if not self._queue or self._queue[0] is not request:
            return
        self._queue.popleft()
        self._release(request)
        keep = request.keep and not self._finishing
        self._transport.write(encoded(request, reply, self._server.date, keep=keep))
        if not keep:
            self._end()
        elif self._queue:
            self._loop.call_soon(self._start)
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Read on: all is answered. Who is within a request has the time for it from now."""
        if self._phase is _Phase.NOTHING:
            self._await(_Phase.NEXT, IDLE_SECONDS)
        elif self._phase is _Phase.HEAD:
            self._await(_Phase.HEAD, HEADER_SECONDS)
        elif self._phase is _Phase.BODY:
            self._await(_Phase.BODY, BODY_SECONDS)
        self._transport.resume_reading()

    def _end(self) -> None:
        """Close, but first read what is on its way: to close on that takes the answer back."""
        self._drop()
        self._await(_Phase.GOING, LINGER_SECONDS)
        self._transport.resume_reading()
        self._transport.write_eof()

    def _drop(self) -> None:
        """Take no more, and forget what was not answered."""
        self._ended = True
        for request in (self._reading, *self._queue):
            self._release(request)
        self._reading = None
        self._queue.clear()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def finish(self) -> None:
        """End after what was begun is answered; at once if nothing was."""
        self._finishing = True
        if self._reading is None and not self._queue:
            self._transport.close()
