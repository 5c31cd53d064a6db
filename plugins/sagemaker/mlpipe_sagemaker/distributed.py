"""Several processes that train together on this machine, and which of them failed first."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlpipe_sagemaker.blocks import Distribution

#: Open MPI refuses both unless told so: to run as root, and more processes than CPUs.
MPI_VARIABLES: Mapping[str, str] = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}

#: Where a launcher begins to speak of processes that have failed.
_REPORT = re.compile(
    r"^[WE]\d{4} \S+ \d+ torch/distributed/elastic/"
    r"|^Primary job +terminated normally|^mpirun (detected|noticed) that"
)
#: What it says of the first one.
_FAILURES = (
    re.compile(r"failed \(exitcode: (?P<code>-?\d+)\) local_rank: (?P<rank>\d+)"),
    re.compile(r"Process name: \[\[\d+,\d+\],(?P<rank>\d+)\]\s+Exit code: +(?P<code>\d+)"),
    re.compile(r"process rank (?P<rank>\d+) .*exited on signal (?P<signal>\d+)"),
)
_RULE = re.compile(r"-{20,}")


@dataclass(frozen=True, slots=True)
class FailedRank:
    """The process that failed first.

    Attributes:
        rank: Its rank.
        code: Its exit code, or its signal as a negative number.
        said: The last lines before the launcher's own; only the process's, where that is known.
    """

    rank: int
    code: int
    said: list[str]


def launcher(distribution: Distribution, instances: int, python: str, *, here: bool) -> list[str]:
    """Give the beginning of the command that starts a script as several processes.

    Processes of all instances are processes of this machine.

    Args:
        distribution: What starts them, and how many on each instance.
        instances: How many instances there would be.
        python: The interpreter.
        here: Whether they are processes of this machine itself, not of a container.
    """
    processes = str(distribution.processes * instances)
    program = [*(_mortal() if here else ()), python]
    if distribution.type == "mpi":
        return ["mpirun", "-np", processes, *program]
    run = [python, "-m", "torch.distributed.run", "--standalone", "--nnodes=1"]
    return [*run, f"--nproc_per_node={processes}", "--no-python", *program]


def _mortal() -> list[str]:
    """Give what makes a process end with the one that starts it.

    Launchers give each process a session of its own, so that it would outlive a launcher that is
    killed, and go on writing beside the run that continues.
    """
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "KILL"] if found else []


def first_failure(lines: Sequence[str]) -> FailedRank | None:
    """Read in a log which process failed first; ``None`` where no launcher says so."""
    begins = next((n for n, line in enumerate(lines) if _REPORT.search(line)), len(lines))
    report = "\n".join(lines[begins:])
    match = next((found for each in _FAILURES if (found := each.search(report))), None)
    if match is None:
        return None
    facts, rank = match.groupdict(), int(match["rank"])
    code = -int(facts["signal"]) if "signal" in facts else int(facts["code"])
    said = [line for line in lines[:begins] if not _RULE.fullmatch(line)]
    own = [line for line in said if line.startswith(f"[rank{rank}]:")]
    return FailedRank(rank, code, own or said)
