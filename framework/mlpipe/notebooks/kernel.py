"""A kernel of this interpreter: in this process's group, with nothing of the user's home."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_core.utils import run_sync

NAME = "mlpipe"
# A socket's path holds 107 bytes on Linux, 103 on macOS; the port's number follows this.
_LONGEST_SOCKET = 90
_LAST_WORDS = "stderr.txt"


class Kernel:
    """A Python kernel for one notebook.

    It is started in this process's group, where Jupyter would give it a session of its own: who
    kills the group of a stage kills the kernel and what the kernel has started.

    Args:
        folder: Takes all files of the kernel: its specification, sockets, history.
    """

    def __init__(self, folder: Path) -> None:
        self.manager = _Manager(
            kernel_name=NAME,
            kernel_spec_manager=KernelSpecManager(
                kernel_dirs=[str(_specify(folder / "kernels"))], ensure_native_kernel=False
            ),
            connection_file=str(folder / "connection.json"),
        )
        # Sockets, not ports: a free port may be taken by the time that the kernel opens it.
        sockets = os.path.relpath(folder / "s")
        if len(os.fsencode(sockets)) <= _LONGEST_SOCKET:
            self.manager.transport, self.manager.ip = "ipc", sockets
        self._provisioner = _Provisioner(
            kernel_id=NAME, kernel_spec=self.manager.kernel_spec, parent=self.manager
        )
        self._provisioner.folder = folder
        self.manager.provisioner = self._provisioner

    @property
    def code(self) -> int | None:
        """The exit code of its process; ``None`` while it runs or before."""
        child = self._provisioner.child
        return child.poll() if child else None

    @property
    def last_words(self) -> str:
        """What its process wrote on standard error, the end of it."""
        words = self._provisioner.folder / _LAST_WORDS
        return words.read_text(errors="replace")[-4000:] if words.exists() else ""

    @contextmanager
    def stopped_by_sigterm(self) -> Iterator[None]:
        """Answer SIGTERM by ending the kernel, so that what it has said so far is written."""

        def stop(number: int, _frame: FrameType | None) -> None:
            if (child := self._provisioner.child) is None:
                raise SystemExit(128 + number)
            child.kill()

        try:
            before = signal.signal(signal.SIGTERM, stop)
        except ValueError:  # not in the main thread: whoever owns it decides
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def close(self) -> None:
        """End the kernel, politely where it listens, and close all connections to it."""
        if self.code is None and self.manager.has_kernel:
            run_sync(self.manager.shutdown_kernel)()
        if self.manager.connected is not None:
            self.manager.connected.stop_channels()
        run_sync(self.manager.cleanup_resources)()


def _specify(folder: Path) -> Path:
    argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher"]
    spec = {"argv": [*argv, "-f", "{connection_file}"], "display_name": NAME, "language": "python"}
    (folder / NAME).mkdir(parents=True)
    (folder / NAME / "kernel.json").write_text(json.dumps(spec))
    return folder


class _Manager(AsyncKernelManager):
    connected: AsyncKernelClient | None = None

    def client(self, **kwargs: Any) -> Any:
        self.connected = super().client(**kwargs)
        return self.connected


class _Provisioner(LocalProvisioner):
    folder: Path
    child: subprocess.Popen[bytes] | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        places = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
        environment = {
            **os.environ,
            **{name: str(self.folder / name.lower()) for name in places},
            "JPY_PARENT_PID": str(os.getpid()),  # ends when this process is gone
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        # What cells write comes as messages. This is for the last words of one that crashes.
        with self.folder.joinpath(_LAST_WORDS).open("wb") as stderr:
            self.process = self.child = subprocess.Popen(  # noqa: ASYNC220 - as Jupyter's own does
                cmd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=environment,
            )
        self.pid = self.child.pid
        return self.connection_info
