"""The local executor: the runner's side of the template process."""

import codecs
import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlpipe.engine.jobs import (
    Ended,
    Job,
    Logged,
    Said,
    Started,
    WorkerEvent,
    receive,
    send,
    to_message,
)
from mlpipe.errors import MlpipeError, StageError

_CHUNK = 1 << 16


class Executor(Protocol):
    """Runs jobs somewhere. The runner calls it from one thread."""

    def submit(self, job: Job) -> int:
        """Begin a job; give its number."""
        ...

    def signal(self, job: int, number: int) -> None:
        """Send a signal to all processes of a job, if it still runs."""
        ...

    def wait(self, timeout: float) -> list[WorkerEvent]:
        """Give what happened, waiting up to ``timeout`` seconds for the first event."""
        ...

    def close(self) -> None:
        """End everything that still runs."""
        ...


@dataclass(slots=True)
class _Worker:
    """The runner's ends of a job's pipes, and what came through them so far."""

    number: int
    log: int
    messages: int
    partial: bytearray = field(default_factory=bytearray)
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    decoder: Any = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))


class LocalExecutor:
    """Runs each job in a child that a template process forks.

    The template is started by the first job, so that a run with nothing to do starts none.

    Args:
        root: The project's folder.
        state_dir: The project's ``.mlpipe``.
        plugins: Names of plugins that jobs will need.
        preload: Modules to import before the first fork.
        withhold: Names of environment variables that workers must not see.
    """

    def __init__(
        self,
        root: Path,
        state_dir: Path,
        plugins: Collection[str],
        preload: Collection[str] = (),
        withhold: Collection[str] = (),
    ) -> None:
        self._greeting = {
            "root": str(root),
            "state_dir": str(state_dir),
            "plugins": sorted(plugins),
            "preload": list(preload),
        }
        self._withhold = frozenset(withhold)
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, _Worker] = {}
        self._count = 0
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def submit(self, job: Job) -> int:
        """Begin a job; give its number."""
        channel = self._channel or self._start()
        self._count += 1
        log, log_end = os.pipe()
        messages, messages_end = os.pipe()
        worker = _Worker(self._count, log, messages)
        try:
            send(channel, to_message(self._count, job), (log_end, messages_end))
        except OSError as error:
            raise MlpipeError("the process that starts stages is gone; was it killed?") from error
        finally:
            os.close(log_end)
            os.close(messages_end)
        for descriptor in (log, messages):
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, worker)
        self._workers[self._count] = worker
        return self._count

    def signal(self, job: int, number: int) -> None:
        """Send a signal to all processes of a job, if it still runs."""
        if job in self._workers and self._channel is not None:
            with contextlib.suppress(OSError):
                send(self._channel, {"job": job, "signal": int(number)})

    def wait(self, timeout: float) -> list[WorkerEvent]:
        """Give what happened, waiting up to ``timeout`` seconds for the first event."""
        events: list[WorkerEvent] = []
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                events.extend(self._from_template())
            elif key.fd in self._selector.get_map():
                events.extend(self._from_worker(key.data, key.fd))
        return events

    def close(self) -> None:
        """End everything that still runs: the template kills its children when we go."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.wait()
        for worker in self._workers.values():
            os.close(worker.log)
            os.close(worker.messages)
        self._workers.clear()
        self._selector.close()

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        environment = {k: v for k, v in os.environ.items() if k not in self._withhold}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mlpipe.engine.template"],
            stdin=theirs.fileno(),
            stdout=sys.stderr.fileno(),
            env=environment,
            start_new_session=True,
        )
        theirs.close()
        send(ours, self._greeting)
        if receive(ours) is None:
            raise MlpipeError("the template process did not start; see the lines above")
        self._selector.register(ours, selectors.EVENT_READ, None)
        self._channel = ours
        return ours

    def _from_template(self) -> list[WorkerEvent]:
        assert self._channel is not None
        received = receive(self._channel)
        if received is None:
            raise MlpipeError("the process that starts stages is gone; was it killed?")
        message, _ = received
        number = message["job"]
        if "process" in message:
            return [Started(number, message["process"])]
        worker = self._workers.pop(number)
        events = [
            *self._read_log(worker, to_end=True),
            *self._read_messages(worker, to_end=True),
        ]
        for descriptor in (worker.log, worker.messages):
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)
            os.close(descriptor)
        return [*events, Ended(number, message["code"], worker.result, worker.error)]

    def _from_worker(self, worker: _Worker, descriptor: int) -> list[WorkerEvent]:
        if descriptor == worker.log:
            return self._read_log(worker)
        return self._read_messages(worker)

    def _read_log(self, worker: _Worker, *, to_end: bool = False) -> list[WorkerEvent]:
        data = self._read(worker.log, to_end=to_end)
        text = worker.decoder.decode(data, final=to_end)
        return [Logged(worker.number, text)] if text else []

    def _read_messages(self, worker: _Worker, *, to_end: bool = False) -> list[WorkerEvent]:
        data = self._read(worker.messages, to_end=to_end)
        worker.partial += data
        events: list[WorkerEvent] = []
        if b"\n" not in data:  # a long message: it is not looked through at each of its pieces
            return events
        *lines, worker.partial = worker.partial.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "event" in message:
                events.append(Said(worker.number, message["event"], message["payload"]))
            else:
                worker.result = message.get("result")
                worker.error = message.get("error")
        return events

    def _read(self, descriptor: int, *, to_end: bool) -> bytes:
        parts = []
        try:
            while part := os.read(descriptor, _CHUNK):
                parts.append(part)
                if not to_end:
                    break
            else:
                if descriptor in self._selector.get_map():
                    self._selector.unregister(descriptor)
        except BlockingIOError:
            pass
        return b"".join(parts)


def once(executor: Executor, job: Job) -> tuple[Any, str]:
    """Run one job to its end.

    Returns:
        What the hook gave, and the log.

    Raises:
        StageError: The hook failed.
    """
    number = executor.submit(job)
    log: list[str] = []
    while True:
        for event in executor.wait(60):
            if event.job != number:
                continue
            if isinstance(event, Logged):
                log.append(event.text)
            elif isinstance(event, Ended):
                if event.error is not None:
                    raise StageError(**event.error)
                if event.code != 0:
                    raise StageError(f"its process ended with {ending(event.code)}")
                return event.result, "".join(log)


def ending(code: int) -> str:
    """Say how a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name} (out of memory?)" if name == "SIGKILL" else name
