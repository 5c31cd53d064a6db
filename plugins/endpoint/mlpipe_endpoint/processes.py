"""Processes that outlive the command that starts them, and telling them apart."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def identity(pid: int) -> str | None:
    """Give what tells a process from all that ever had its number, or ``None`` if it is gone.

    On Linux the boot and the start time in ticks since then; elsewhere what ``ps`` says.
    A process that has ended but was not yet reaped is gone.
    """
    if Path("/proc/self/stat").exists():
        return _linux_identity(pid)
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if state and not state.startswith("Z") else None


def _linux_identity(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # The command's name, in parentheses, may hold spaces and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    state, started = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}:{started}"


def spawn(argv: Sequence[str], *, log: Path, folder: Path, keep: Sequence[int]) -> None:
    """Start a program in a session of its own, with nothing of ours but its log.

    Args:
        argv: The program, which is expected to fork and return at once, so that it is
            nobody's child.
        log: Where its stdout and stderr are appended.
        folder: Its working folder.
        keep: File descriptors that it inherits.
    """
    with log.open("ab") as out:
        subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=folder,
            pass_fds=tuple(keep),
            start_new_session=True,
            check=False,
        )


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; says whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def end(pid: int, known_as: str, patience: float) -> None:
    """End a process: SIGTERM, then SIGKILL. One that is not ``known_as`` is left alone.

    Args:
        pid: Its number.
        known_as: Its ``identity``.
        patience: Seconds to wait after SIGTERM.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if identity(pid) != known_as:
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        wait_until(lambda: identity(pid) != known_as, patience)


def read_all(descriptor: int, seconds: float) -> bytes:
    """Read a pipe to its end and close it; what came in time, when it stays open."""
    deadline = time.monotonic() + seconds
    data = b""
    try:
        while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            chunk = os.read(descriptor, 4096)
            if not chunk:
                break
            data += chunk
    finally:
        os.close(descriptor)
    return data
