"""HTTP as clients of all kinds speak it, with a server in this process."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from mlpipe_endpoint import connection
from mlpipe_endpoint.listening import HttpServer
from mlpipe_endpoint.messages import Request
from mlpipe_endpoint.replies import Reply, refusal


@dataclass
class Echo:
    """Answers a body by itself; one that says "wait" when it is told to."""

    body_limit: int = 1000
    waiting: list[Request] = field(default_factory=list)
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    statuses: list[int] = field(default_factory=list)

    def admit(self, request: Request) -> Reply | None:
        return refusal(404, "Nothing", "here") if request.path == "/no" else None

    def refused(self, reply: Reply) -> Reply:
        self.statuses.append(reply.status)
        return reply

    def handle(self, request: Request) -> None:
        if request.body == b"wait":
            self.waiting.append(request)
            self.waits.set()
        elif request.body == b"break":
            raise ValueError("broken")
        else:
            text = f"{request.method} {request.path} ".encode()
            request.answer(Reply(200, text + request.body))


Talk = Callable[[Echo, "Client", HttpServer], Coroutine[Any, Any, None]]


@dataclass
class Client:
    """The other end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, text: bytes) -> bytes:
        """Send, and read one answer."""
        self.writer.write(text)
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head + await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 20)


@asynccontextmanager
async def serving(echo: Echo, **limits: int) -> AsyncIterator[tuple[HttpServer, int]]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(100)
    server = HttpServer(echo, **{"connections": 100, **limits})
    await server.start(listener)
    try:
        yield server, listener.getsockname()[1]
    finally:
        await server.close(5)


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def talk(scenario: Talk, echo: Echo | None = None, **limits: int) -> None:
    """Run a scenario with a server and a client of it."""
    handler = echo or Echo()

    async def run() -> None:
        async with serving(handler, **limits) as (server, port), client(port) as one:
            await asyncio.wait_for(scenario(handler, one, server), 30)

    asyncio.run(run())


def post(body: bytes, path: bytes = b"/", *headers: bytes) -> bytes:
    more = b"".join(each + b"\r\n" for each in headers)
    return b"POST %b HTTP/1.1\r\nContent-Length: %d\r\n%b\r\n%b" % (path, len(body), more, body)


# -- one after the other --------------------------------------------------------------------


def test_a_connection_answers_one_request_after_the_other() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        for number in range(50):
            body = b"%d" % number
            assert (await one.ask(post(body))).endswith(b"\r\n\r\nPOST / " + body)

    talk(scenario)


def test_thousands_of_requests_in_one_write_are_answered_in_order() -> None:
    count = 5000

    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(b"".join(post(b"<%d>" % number) for number in range(count)))
        one.writer.write(post(b"<last>", b"/", b"Connection: close"))
        answers = await one.rest()
        found = [part.partition(b">")[0] for part in answers.split(b"POST / <")[1:]]
        assert found == [*(b"%d" % number for number in range(count)), b"last"]

    talk(scenario)


def test_a_later_request_waits_for_the_answer_to_an_earlier_one() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(post(b"wait") + post(b"next", b"/", b"Connection: close"))
        await echo.waits.wait()
        echo.waiting[0].answer(Reply(200, b"first"))
        answers = await one.rest()
        assert answers.index(b"first") < answers.index(b"next")

    talk(scenario)


@pytest.mark.parametrize("cut", [20, -2], ids=["headers", "body"])
def test_a_request_that_began_while_others_waited_is_read_to_its_end(
    cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(connection, "BODY_SECONDS", 0.3)

    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        third = post(b"third")
        one.writer.write(post(b"wait") + post(b"second") + third[:cut])
        await echo.waits.wait()
        await asyncio.sleep(1.2)  # it is not the client who is late
        echo.waiting.pop().answer(Reply(200, b"first"))
        assert (await one.ask(b"")).endswith(b"first")
        assert (await one.ask(b"")).endswith(b"second")
        assert (await one.ask(third[cut:])).endswith(b"third")

    talk(scenario)


def test_what_comes_after_the_last_request_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.3)

    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        last = post(b"wait", b"/", b"Connection: close")
        one.writer.write(last + post(b"x" * 90))
        await echo.waits.wait()
        echo.waiting.pop().answer(Reply(200, b"first"))
        assert (await one.rest()).count(b"HTTP/1.1 ") == 1
        assert server.hold(100)

    talk(scenario, held=100)


def test_an_answer_is_given_once() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(post(b"wait"))
        await echo.waits.wait()
        for text in (b"first", b"second"):
            echo.waiting[0].answer(Reply(200, text))
        assert (await one.ask(post(b"next"))).endswith(b"first")
        assert (await one.ask(b"")).endswith(b"next")

    talk(scenario)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (b"POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx", False),
        (b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", True),
        (post(b"x", b"/", b"Connection: close"), False),
        (post(b"x"), True),
        (post(b"x", b"/", b"Connection: Upgrade", b"Upgrade: h2c"), True),
    ],
)
def test_a_connection_is_kept_where_both_sides_expect_it(text: bytes, kept: bool) -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        answer = await one.ask(text)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"POST / x")
        assert (b"Connection: close" in answer) is not kept
        if kept:
            assert b"200 OK" in await one.ask(text)
        else:
            assert await one.rest() == b""

    talk(scenario)


def test_an_answer_to_head_has_no_body() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(b"HEAD /x HTTP/1.1\r\nConnection: close\r\n\r\n")
        answer = await one.rest()
        assert b"Content-Length: 8\r\n" in answer
        assert answer.endswith(b"\r\n\r\n")

    talk(scenario)


def test_who_has_said_all_still_gets_the_answer() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(post(b"wait"))
        one.writer.write_eof()
        await echo.waits.wait()
        await asyncio.sleep(0.05)
        echo.waiting[0].answer(Reply(200, b"here"))
        assert (await one.rest()).endswith(b"here")

    talk(scenario)


def test_a_target_may_be_a_whole_address_with_a_query() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        answer = await one.ask(post(b"x", b"http://somewhere/a%20path?query=1"))
        assert answer.endswith(b"POST /a path x")

    talk(scenario)


def test_this_is_no_proxy() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(b"CONNECT somewhere:443 HTTP/1.1\r\n\r\n")
        assert (await one.rest()).startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")

    talk(scenario)


# -- what goes wrong ------------------------------------------------------------------------


def test_what_is_no_http_is_answered_after_what_was() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(post(b"wait") + b"nonsense\r\n\r\n")
        await echo.waits.wait()
        echo.waiting[0].answer(Reply(200, b"first"))
        answers = await one.rest()
        assert answers.index(b"first") < answers.index(b"HTTP/1.1 400 Bad Request")
        assert b"This is not HTTP/1.1" in answers

    talk(scenario)


def test_a_handler_that_fails_is_answered_for(capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        assert b"500 Internal Server Error" in await one.ask(post(b"break"))
        assert b"200 OK" in await one.ask(post(b"x"))

    talk(scenario)
    assert "ValueError: broken" in capfd.readouterr().err


def test_a_refused_request_is_read_to_its_end_and_the_next_is_answered() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        assert b"404 Not Found" in await one.ask(post(b"x" * 100_000, b"/no"))
        assert b"413 " in await one.ask(post(b"x" * 100_000))
        assert b"The body has 100000 bytes, at most 1000 allowed" in await one.ask(
            post(b"x" * 100_000)
        )
        assert b"200 OK" in await one.ask(post(b"x"))
        assert echo.statuses == [404, 413, 413]

    talk(scenario)


def test_a_body_of_100_mb_takes_no_memory() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        size = 100 * 1024**2
        one.writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(100):
            one.writer.write(bytes(1024**2))
            await one.writer.drain()
            assert server.hold(100_000)  # all there is: no byte of this is kept
            server.release(100_000)
        answer = await one.ask(b"")
        assert b"413 Request Entity Too Large" in answer or b"413 Content Too Large" in answer
        assert b"104857600" in answer

    talk(scenario, held=100_000)


def test_bodies_together_have_a_bound() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        assert server.hold(50)
        answer = await one.ask(post(b"x" * 60))
        assert b"429 Too Many Requests" in answer
        assert b"Retry-After: 1\r\n" in answer
        server.release(50)
        assert b"200 OK" in await one.ask(post(b"x" * 60))
        assert server.hold(100)  # an answered body is let go

    talk(scenario, held=100)


def test_what_a_client_that_left_had_sent_is_let_go() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(b"POST / HTTP/1.1\r\nContent-Length: 90\r\n\r\n" + b"x" * 80)
        await asyncio.sleep(0.1)
        assert not server.hold(50)
        one.writer.close()
        await asyncio.sleep(0.1)
        assert server.hold(100)

    talk(scenario, held=100)


def test_more_connections_than_allowed_are_refused() -> None:
    async def run() -> None:
        echo = Echo()
        async with serving(echo, connections=2) as (_, port), client(port) as one:
            async with client(port) as two:
                assert b"200 OK" in await two.ask(post(b"x"))
                async with client(port) as three:
                    answer = await three.rest()
                    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
                    assert b"There are 2 connections, the most allowed" in answer
                assert b"200 OK" in await one.ask(post(b"x"))
            await asyncio.sleep(0.1)
            async with client(port) as three:
                assert b"200 OK" in await three.ask(post(b"x"))

    asyncio.run(run())


def test_headers_after_a_body_have_a_bound() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nLate: "
        one.writer.write(chunked)
        for _ in range(20):
            one.writer.write(b"y" * 10_000)
            await asyncio.sleep(0.01)
        assert b"431 Request Header Fields Too Large" in await one.rest()

    talk(scenario)


def test_many_small_parts_are_no_headers() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            one.writer.write(b"1\r\nx\r\n" * 300)
            await asyncio.sleep(0)
        assert (await one.ask(b"0\r\n\r\n")).endswith(b"x" * 30_000)

    talk(scenario, Echo(body_limit=100_000))


# -- those who take their time --------------------------------------------------------------


def test_who_takes_too_long_is_parted_with(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEADER_SECONDS", "BODY_SECONDS", "IDLE_SECONDS"):
        monkeypatch.setattr(connection, name, 0.3)

    async def head(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(b"POST / HT")
        assert b"The headers did not arrive within 0.3 s" in await one.rest()

    async def body(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")
        assert b"The body did not arrive within 0.3 s" in await one.rest()

    async def idle(echo: Echo, one: Client, server: HttpServer) -> None:
        assert b"200 OK" in await one.ask(post(b"x"))
        assert await one.rest() == b""

    async def slow_answer(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(post(b"wait"))
        await asyncio.sleep(1.2)
        echo.waiting[0].answer(Reply(200, b"late"))
        assert (await one.ask(b"")).endswith(b"late")

    for scenario in (head, body, idle, slow_answer):
        talk(scenario)


def test_who_does_not_read_is_parted_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.3)

    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(post(b"wait"))
        await echo.waits.wait()
        echo.waiting[0].answer(Reply(200, bytes(50 * 1024**2)))
        await asyncio.sleep(2)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await one.reader.readexactly(50 * 1024**2)

    talk(scenario)


def test_what_was_begun_is_answered_before_the_server_ends() -> None:
    async def scenario(echo: Echo, one: Client, server: HttpServer) -> None:
        one.writer.write(post(b"wait"))
        await echo.waits.wait()
        closing = asyncio.create_task(server.close(5))
        await asyncio.sleep(0.05)
        assert not closing.done()
        echo.waiting[0].answer(Reply(200, b"here"))
        assert b"Connection: close" in await one.rest()
        one.writer.close()
        await asyncio.wait_for(closing, 4)

    talk(scenario)
