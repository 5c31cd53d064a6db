"""Running what a job's container would run: processes that see their own ``/opt/ml``.

The image is not looked at, but for its name: the programs are the machine's, in namespaces of
their own (mounts, processes, host name), and ``python3`` is the emulator's interpreter unless a
test names another.
"""

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_MOST_HOSTS = 32
_UNSHARE = ("--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
# The first process of a namespace ignores signals that it has no handler for, so that the command
# is its child. All others of the namespace end with it.
_SCRIPT = """\
mkdir -p /opt/ml 2>/dev/null || {{ mount -t tmpfs none /opt && mkdir -p /opt/ml; }}
mount --bind {root} /opt/ml && mount --bind {hosts} /etc/hosts || exit 125
{{ hostname {name} || echo {name} > /proc/sys/kernel/hostname; }} 2>/dev/null
cd /opt/ml
trap : TERM
{command} {ready}>&- &
child=$!
echo >&{ready}
exec {ready}>&-
while :; do wait $child; code=$?; kill -0 $child 2>/dev/null || exit $code; done
"""


@cache
def namespace() -> tuple[str, ...]:
    """Give the command that makes namespaces here, or nothing where none can be made.

    With it, all that a job started ends with the job, and with the emulator.
    """
    for rights in ((), ("--map-root-user",)):
        command = ("setpriv", "--pdeathsig", "KILL", "unshare", *rights, *_UNSHARE)
        with contextlib.suppress(OSError):
            tried = [*command, "mount", "-t", "tmpfs", "none", "/mnt"]
            if subprocess.run(tried, capture_output=True, check=False).returncode == 0:
                return command
    return ()


def programs(folder: Path, python: str, train: str) -> Path:
    """Make a folder of programs that containers have on their path.

    Args:
        folder: Where; new.
        python: What runs as ``python``, ``python3`` and ``pip``. Programs that packages have
            installed beside it, as ``torchrun``, are on the path, too.
        train: A shell command, which runs as ``train``.
    """
    folder.mkdir(parents=True)
    quoted = shlex.quote(python)
    scripts = {
        "python": f'{quoted} "$@"',
        "python3": f'{quoted} "$@"',
        "pip": f'{quoted} -m pip "$@"',
        "pip3": f'{quoted} -m pip "$@"',
        "train": f'{train} "$@"',
    }
    for name, command in scripts.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\nexec {command}\n")
        path.chmod(0o755)
    for program in Path(shutil.which(python) or python).parent.iterdir():
        if not (folder / program.name).exists():
            (folder / program.name).symlink_to(program.absolute())
    return folder


@dataclass
class Container:
    """One host's processes.

    Attributes:
        root: What they see as ``/opt/ml``; its name is the host's.
        command: What runs.
        environment: Its variables.
        said: Called with each line that is printed.
    """

    root: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    said: Callable[[str], None]
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _wanted: signal.Signals | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def run(self) -> int:
        """Run to the end; give the exit code, negative for a signal."""
        if self._wanted is not None:
            return -self._wanted
        process = self._begin()
        with self._lock:
            self._process = process
            if self._wanted is not None:
                os.killpg(process.pid, self._wanted)
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.said(line.decode("utf-8", "replace").rstrip("\r\n"))
        # Not reaped while another thread may signal it: its number is its own until then.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            self._process = None
            return process.wait()

    def _begin(self) -> "subprocess.Popen[bytes]":
        """Start it, and wait until signals reach its command."""
        ready, told = os.pipe()
        try:
            process = subprocess.Popen(
                [*namespace(), "bash", "-c", self._script(told)],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[told],
            )
        finally:
            os.close(told)
        with os.fdopen(ready, "rb") as stream:
            stream.readline()
        return process

    def _script(self, ready: int) -> str:
        hosts = self.root.with_name(f"{self.root.name}.hosts")
        others = " ".join(f"algo-{number}" for number in range(1, _MOST_HOSTS + 1))
        hosts.write_text(f"127.0.0.1 localhost {socket.gethostname()} {others}\n")
        return _SCRIPT.format(
            root=shlex.quote(str(self.root)),
            hosts=shlex.quote(str(hosts)),
            name=self.root.name,
            command=shlex.join(self.command),
            ready=ready,
        )

    def stop(self, grace: float) -> None:
        """End it: SIGTERM, and SIGKILL after a while."""
        self._signal(signal.SIGTERM)
        timer = threading.Timer(grace, self.kill)
        timer.daemon = True
        timer.start()

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            self._wanted = number
            if self._process is not None:
                os.killpg(self._process.pid, number)
