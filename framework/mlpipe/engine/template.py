"""The template process: single-threaded, without user code or secrets; it forks the workers.

Started once a run as ``python -P -m mlpipe.engine.template``, with a socket to the runner as
its standard input. It loads the recipe's plugins (whose entry modules import no SDK) and what
the recipe's ``preload:`` names, then forks a child for each job. Each child leads a session
of its own. When a child ends, or when the runner goes away, the child's whole process group
is killed, so that nothing of a dead run goes on writing.
"""

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from mlpipe.engine.child import Child
from mlpipe.engine.jobs import from_message, receive, send
from mlpipe.engine.processes import identify
from mlpipe.plugins.manager import PluginManager, UnknownPlugin
from mlpipe.store.artifacts import ArtifactStore, can_reflink


def main() -> None:
    """Serve the runner until it goes away."""
    channel = socket.socket(fileno=os.dup(0))
    greeting = receive(channel)
    if greeting is not None:
        Template(channel, greeting[0]).serve()


class Template:
    """Forks children and reaps them.

    Args:
        channel: To the runner.
        greeting: ``root``, ``state_dir``, ``plugins`` and ``preload``.
    """

    def __init__(self, channel: socket.socket, greeting: dict[str, Any]) -> None:
        self._channel = channel
        self._root = Path(greeting["root"])
        self._state_dir = Path(greeting["state_dir"])
        self._plugins = PluginManager.discover()
        self._running: dict[int, int] = {}
        for name in greeting["plugins"]:
            with contextlib.suppress(UnknownPlugin):
                self._plugins.get(name)
        for name in greeting["preload"]:
            importlib.import_module(name)
        send(channel, {"ready": True})

    def serve(self) -> None:
        """Fork for each message, reap at each SIGCHLD, until the stream ends."""
        wake_read, wake_write = socket.socketpair()
        for end in (wake_read, wake_write):
            end.setblocking(False)
        signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        selector = selectors.DefaultSelector()
        selector.register(self._channel, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        gc.collect()
        gc.freeze()
        try:
            while True:
                for key, _ in selector.select():
                    if key.fileobj is wake_read:
                        self._drain(wake_read)
                        self._reap()
                    elif not self._serve_one():
                        return
        finally:
            for pid in self._running:
                kill_group(pid, signal.SIGKILL)

    def _serve_one(self) -> bool:
        try:
            received = receive(self._channel, files=2)
        except ConnectionError:
            return False
        if received is None:
            return False
        message, descriptors = received
        if "signal" in message:
            pids = {job: pid for pid, job in self._running.items()}
            if message["job"] in pids:
                kill_group(pids[message["job"]], message["signal"])
        else:
            self._fork(message, descriptors)
        return True

    @cached_property
    def _artifacts(self) -> ArtifactStore:
        folder = self._state_dir / "artifacts"
        return ArtifactStore(self._root, folder, reflinks=can_reflink(folder))

    def _fork(self, message: dict[str, Any], descriptors: list[int]) -> None:
        number, job = from_message(message)
        artifacts = self._artifacts if job.stage.get("run") else None  # a plan writes nothing
        pid = os.fork()
        if pid == 0:
            child = Child(job, self._plugins, self._root, artifacts, self._state_dir)
            self._become(child, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self._running[pid] = number
        self._tell({"job": number, "process": identify(pid)})

    def _become(self, child: Child, descriptors: list[int]) -> NoReturn:
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._channel.close()
            code = child.run(*descriptors)
        finally:
            os._exit(code)

    def _reap(self) -> None:
        while self._running:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return
            kill_group(found.si_pid, signal.SIGKILL)
            _, status = os.waitpid(found.si_pid, 0)
            number = self._running.pop(found.si_pid, None)
            if number is not None:
                self._tell({"job": number, "code": os.waitstatus_to_exitcode(status)})

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            send(self._channel, message)

    @staticmethod
    def _drain(wake: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while wake.recv(4096):
                pass


def kill_group(pid: int, number: int) -> None:
    """Send a signal to a child's whole process group, if there still is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


if __name__ == "__main__":
    main()
