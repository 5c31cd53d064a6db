"""Why a script's training failed, in its own words."""

import signal
from collections.abc import Sequence

from mlpipe import StageError
from mlpipe_sagemaker.contract import TrainingJob
from mlpipe_sagemaker.distributed import first_failure
from mlpipe_sagemaker.environment import Layout

#: How much of the log is looked at: launchers end with some forty lines of their own.
KEPT_LINES = 200
#: And how much of it is shown.
SHOWN_LINES = 10
#: SageMaker cuts a job's failure reason there.
_REASON_LENGTH = 1024


def failed(job: TrainingJob, layout: Layout, code: int, last: Sequence[str]) -> StageError:
    """Say why a script failed: in what it wrote to ``failure``, and its last lines.

    Args:
        job: The job.
        layout: Its folders.
        code: Its exit code, or its signal as a negative number.
        last: The end of its log.
    """
    who, rank = _who(job), first_failure(last) if job.distribution is not None else None
    if rank is not None:
        who, code, last = f"rank {rank.rank} of the script", rank.code, rank.said
    what = f"{who} ended with {_ending(code)}"
    if reason := _failure(layout):
        what += f": {reason}"
    return StageError(_with_last(what, last), where=job.program or job.image)


def took_too_long(job: TrainingJob, last: Sequence[str]) -> StageError:
    """Say that a script was stopped at its limit."""
    what = f"{_who(job)} was stopped after {job.compute.max_runtime:g} s"
    fix = "Allow it more: with.compute.max_runtime."
    return StageError(_with_last(what, last), where=job.program or job.image, fix=fix)


def _who(job: TrainingJob) -> str:
    return "the script" if job.program else "the image's train"


def _with_last(what: str, last: Sequence[str]) -> str:
    said = [line for line in last[-SHOWN_LINES:] if line.strip()] or ["(it printed nothing)"]
    return "\n   ".join([what, *said])


def _failure(layout: Layout) -> str:
    for path in (layout.output / "failure", layout.base / "failure"):
        if path.is_file():
            return path.read_text("utf-8", "replace").strip()[:_REASON_LENGTH]
    return ""


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    hint = ", as when memory runs out" if name == "SIGKILL" else ""
    return f"signal {name}{hint}"
