"""What a command costs: wall and CPU seconds and memory of its whole process tree."""

import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Cost:
    """What a command cost.

    Attributes:
        wall: Seconds from start to end.
        cpu: CPU seconds, user and system, of it and all processes that were waited for.
        peak: Largest sum of memory over its processes, in MB, sampled; 0 when not asked for.
    """

    wall: float
    cpu: float
    peak: float = 0.0


class TookTooLong(Exception):
    """A command was not done within its limit and was killed."""


def cost(
    command: Sequence[str],
    cwd: Path,
    env: Mapping[str, str] | None = None,
    *,
    limit: float = 240.0,
    memory: bool = False,
) -> Cost:
    """Run a command, which must succeed, and give its cost.

    Args:
        command: The program and its arguments.
        cwd: The folder to run it in.
        env: Variables to add to this process's.
        limit: Seconds after which its whole process group is killed.
        memory: Whether to sample memory, which itself takes about one percent of a CPU.

    Raises:
        TookTooLong: It was not done within the limit.
    """
    with tempfile.TemporaryFile() as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=_environment() | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        late = threading.Event()
        timer = threading.Timer(limit, _kill, (process.pid, late))
        timer.start()
        watch = _Memory(process.pid) if memory else None
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        peak = watch.stop() if watch else 0.0
        if late.is_set():
            raise TookTooLong(f"{command[0]}: not done within {limit:g} s")
        assert process.returncode == 0, f"{command}: exit {process.returncode}\n{_tail(output)}"
    return Cost(wall, usage.ru_utime + usage.ru_stime, peak)


def medians(commands: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, Cost]:
    """Run several commands round robin, so that noise hits all of them; give medians.

    The first round warms caches and does not count.
    """
    taken: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, run in commands.items():
            found = run()
            if number:
                taken[name].append(found)
    return {name: median(costs) for name, costs in taken.items()}


def median(costs: Sequence[Cost]) -> Cost:
    """Give the median seconds and the largest memory of several runs."""
    return Cost(
        statistics.median(each.wall for each in costs),
        statistics.median(each.cpu for each in costs),
        max(each.peak for each in costs),
    )


def descendants(pid: int) -> list[int]:
    """Give a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for each in found:
        found.extend(children.get(each, ()))
    return found


def tree_memory(pid: int) -> float:
    """Give the proportional set size, in MB, of a process and its descendants."""
    total = 0.0
    for each in descendants(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000
    return total


def tree_cpu(pid: int) -> float:
    """Give the CPU seconds that a process and its descendants have used, those ended not."""
    ticks = 0
    for each in descendants(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class _Memory:
    """Samples the memory of a process and its descendants."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """End sampling; give the peak in MB."""
        self._done.set()
        self._thread.join()
        return self._peak

    def _sample(self) -> None:
        while not self._done.wait(0.3):
            self._peak = max(self._peak, tree_memory(self._pid))


def _environment() -> dict[str, str]:
    """Give this process's variables, without the one that has modules compiled anew each time."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _kill(group: int, late: threading.Event) -> None:
    late.set()
    os.killpg(group, signal.SIGKILL)


def _tail(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")[-2000:]
