"""The router's end of one worker process."""

import asyncio
import itertools
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

from mlpipe_endpoint import logs
from mlpipe_endpoint.frames import Frame, FrameBuffer, encode
from mlpipe_endpoint.launching import command
from mlpipe_endpoint.values import Model

#: The status of what was answered as it should be.
OK = 200


class ModelFailed(Exception):
    """A model did not answer as a model should.

    Args:
        status: The HTTP status that its container would have answered.
        message: What went wrong.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Answer(NamedTuple):
    """A model's answer: the bytes and what they are."""

    body: bytes
    content_type: str


#: What comes of asking: failures are told, not raised.
Outcome = Answer | ModelFailed | TimeoutError
Then = Callable[[Outcome], object]


class WorkerLink(asyncio.Protocol):
    """A running worker: requests go in, answers come out, in any number at once.

    Made by ``WorkerLink.open``. What is asked in one turn of the event loop is written at once,
    so that the worker finds it together.
    """

    def __init__(self, process: asyncio.subprocess.Process, on_end: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._arriving = FrameBuffer()
        self._leaving: list[bytes] = []
        self._numbers = itertools.count(1)
        #: By request, until when it may be answered, as the loop counts, and who waits.
        self._waiting: dict[int, tuple[float, Then]] = {}
        self._greeting: asyncio.Future[Frame | None] = self._loop.create_future()
        self._lost = False
        self._timer: asyncio.TimerHandle | None = None
        self._progress = 0.0
        self._killed = False

    @classmethod
    async def open(
        cls, variant: str, model: Model, folder: Path, timeout: float, on_end: Callable[[], object]
    ) -> "WorkerLink":
        """Start a worker and wait until its model is loaded.

        Args:
            variant: What it is for, as the log says it.
            model: The model.
            folder: Where it is unpacked.
            timeout: Seconds that loading may take.
            on_end: Called when the worker has ended.

        Raises:
            ModelFailed: The model cannot be loaded.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await _started(variant, model, folder, theirs.fileno())
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: cls(process, on_end), sock=ours)
        try:
            await link.loaded(timeout)
        except BaseException:
            link.kill()
            await link.close()
            raise
        return link

    async def loaded(self, timeout: float) -> None:
        """Wait until the model is loaded; for ``open``."""
        try:
            async with asyncio.timeout(timeout):
                frame = await self._greeting
        except TimeoutError:
            raise ModelFailed(500, f"loading it took more than {timeout:g} s") from None
        if frame is None:
            code = await self._process.wait()
            raise ModelFailed(500, f"its process ended with exit code {code} while loading it")
        if frame.status != OK:
            raise ModelFailed(frame.status, frame.body.decode(errors="replace"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where to write; called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand replies to those that wait; called by the event loop."""
        self._progress = self._loop.time()
        for frame in self._arriving.feed(data):
            if not frame.number and not self._greeting.done():
                self._greeting.set_result(frame)
            waiting = self._waiting.pop(frame.number, None)
            if waiting is not None:
                waiting[1](_outcome(frame))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits; called by the event loop."""
        self._lost = True
        self._on_end()
        if self._timer is not None:
            self._timer.cancel()
        if not self._greeting.done():
            self._greeting.set_result(None)
        waiting, self._waiting = self._waiting, {}
        for _, then in waiting.values():
            then(ModelFailed(500, "its process ended before it had answered"))

    @property
    def alive(self) -> bool:
        """Whether the worker takes requests."""
        return not (self._killed or self._lost)

    @property
    def pid(self) -> int:
        """The worker's process number."""
        return self._process.pid

    def ask(self, body: bytes, content_type: str, accept: str, patience: float, then: Then) -> None:
        """Ask the model.

        Args:
            body: The request's body.
            content_type: What it is.
            accept: What is wanted back.
            patience: Seconds to wait; the same for all requests.
            then: Called once with the answer; with ``ModelFailed`` where the model refused the
                request, failed or died, with ``TimeoutError`` where it took too long.
        """
        if not self.alive:
            then(ModelFailed(500, "its process has ended"))
            return
        number, now = next(self._numbers), self._loop.time()
        if not self._waiting:
            self._progress = now
        self._waiting[number] = now + patience, then
        self._send(encode(number, body, 0, content_type, accept))
        if self._timer is None:
            self._timer = self._loop.call_at(now + patience, self._expire)

    def _send(self, data: bytes) -> None:
        if not self._leaving:
            self._loop.call_soon(self._flush)
        self._leaving.append(data)

    def _flush(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._leaving))
        self._leaving.clear()

    def _expire(self) -> None:
        """Give up what waits too long. One timer does: who came first is first to give up."""
        now, self._timer = self._loop.time(), None
        for number, (deadline, then) in list(self._waiting.items()):
            if deadline > now:
                self._timer = self._loop.call_at(deadline, self._expire)
                return
            del self._waiting[number]
            then(TimeoutError())

    def stuck(self, seconds: float) -> bool:
        """Whether requests are waiting and none was answered for so long."""
        return self._loop.time() - self._progress >= seconds

    async def close(self, patience: float = 1.0) -> None:
        """End the worker."""
        if self._transport is not None:
            self._transport.close()
        try:
            async with asyncio.timeout(patience):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """End the worker at once, whatever it is doing."""
        self._killed = True
        if self._process.returncode is None:
            self._process.kill()


async def _started(
    variant: str, model: Model, folder: Path, descriptor: int
) -> asyncio.subprocess.Process:
    try:
        argv = command(model, folder, descriptor)
    except OSError as error:
        raise ModelFailed(500, f"its environment is not there: {error}") from error
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            pass_fds=(descriptor,),
            stdin=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, logs.SOURCE: variant},
        )
    except OSError as error:
        raise ModelFailed(500, f'"{argv[0]}" cannot be started: {error.strerror}') from error


def _outcome(frame: Frame) -> Outcome:
    if frame.status != OK:
        return ModelFailed(frame.status, frame.body.decode(errors="replace"))
    if not (frame.content_type.isascii() and frame.content_type.isprintable()):
        return ModelFailed(500, f"it answered with the content type {frame.content_type!r}")
    return Answer(frame.body, frame.content_type)
