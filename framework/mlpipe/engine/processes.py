"""Telling processes apart, so that a recycled process id is never taken for ours."""

import contextlib
import os
import signal
from pathlib import Path


def identify(pid: int) -> str:
    """Give ``pid:start time``, unique since the machine was started.

    Where ``/proc`` cannot tell (not Linux, or the process is gone) the start time is empty.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return f"{pid}:"
    return f"{pid}:{text.rpartition(')')[2].split()[19]}"


def is_alive(process: str) -> bool:
    """Tell whether a process that ``identify`` named is still that process."""
    pid, _, start = process.partition(":")
    return bool(start) and identify(int(pid)) == process


def kill_leftover(process: str) -> bool:
    """Kill the process group of a worker that outlived its run, if it surely is that worker.

    Returns:
        Whether there was one.
    """
    if not is_alive(process):
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(int(process.partition(":")[0]), signal.SIGKILL)
    return True
