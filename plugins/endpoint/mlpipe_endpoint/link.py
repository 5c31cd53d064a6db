"""The router's end of one worker process."""

import asyncio
import itertools
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from mlpipe_endpoint.frames import Frame, encode, receive


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


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer: the bytes and what they are."""

    body: bytes
    content_type: str


class WorkerLink:
    """A running worker: requests go in, answers come out, in any number at once.

    Made by ``WorkerLink.open``.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Frame]] = {}
        self._pump: asyncio.Task[None] | None = None
        self._progress = 0.0
        self._killed = False

    @classmethod
    async def open(cls, folder: Path, timeout: float) -> "WorkerLink":
        """Start a worker and wait until its model is loaded.

        Args:
            folder: The unpacked model.
            timeout: Seconds that loading may take.

        Raises:
            ModelFailed: The model cannot be loaded.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-u", "-m", "mlpipe_endpoint.worker"),
                *(str(theirs.fileno()), str(folder)),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                cwd=folder,
            )
        link = cls(process, *await asyncio.open_connection(sock=ours))
        try:
            await link._greet(timeout)
        except BaseException:
            await link.close()
            raise
        return link

    async def _greet(self, timeout: float) -> None:
        try:
            frame = await asyncio.wait_for(receive(self._reader), timeout)
        except TimeoutError:
            raise ModelFailed(500, f"loading it took more than {timeout:g} s") from None
        if frame is None:
            code = await self._process.wait()
            raise ModelFailed(500, f"its process ended with exit code {code} while loading it")
        if "failed" in frame[0]:
            raise ModelFailed(500, frame[0]["failed"])
        self._pump = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        clock = asyncio.get_running_loop().time
        while (frame := await receive(self._reader)) is not None:
            self._progress = clock()
            future = self._waiting.pop(frame[0]["id"], None)
            if future is not None and not future.done():
                future.set_result(frame)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ModelFailed(500, "its process ended before it had answered"))
        self._waiting.clear()

    @property
    def alive(self) -> bool:
        """Whether the worker takes requests."""
        return not self._killed and self._pump is not None and not self._pump.done()

    @property
    def pid(self) -> int:
        """The worker's process number."""
        return self._process.pid

    async def invoke(self, body: bytes, content_type: str, accept: str) -> Answer:
        """Ask the model.

        Raises:
            ModelFailed: It refused the request, failed, or died.
        """
        if not self.alive:
            raise ModelFailed(500, "its process has ended")
        number = next(self._numbers)
        loop = asyncio.get_running_loop()
        if not self._waiting:
            self._progress = loop.time()
        future: asyncio.Future[Frame] = loop.create_future()
        self._waiting[number] = future
        header = {"id": number, "content_type": content_type, "accept": accept}
        self._writer.write(encode(header, body))
        try:
            reply, answer = await future
        finally:
            self._waiting.pop(number, None)
        if "status" in reply:
            raise ModelFailed(reply["status"], reply["message"])
        return Answer(answer, reply["content_type"])

    def stuck(self, seconds: float) -> bool:
        """Whether requests are waiting and none was answered for so long."""
        return asyncio.get_running_loop().time() - self._progress >= seconds

    async def ended(self) -> None:
        """Wait until the worker has ended."""
        if self._pump is not None:
            await asyncio.shield(self._pump)

    async def close(self, patience: float = 1.0) -> None:
        """End the worker."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._process.wait(), patience)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """End the worker at once, whatever it is doing."""
        self._killed = True
        if self._process.returncode is None:
            self._process.kill()
