"""Training on this machine: the script as a process of its own, in SageMaker's contract."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlpipe.errors import StageError
from mlpipe_sagemaker.contract import FinishedJob, TrainingJob
from mlpipe_sagemaker.environment import Layout, arguments, config_files, variables
from mlpipe_sagemaker.following import MetricReader, lines

_LAST_LINES = 10
#: SageMaker cuts a job's failure reason there.
_REASON_LENGTH = 1024


class LocalTrainer:
    """Runs the script with an interpreter of this machine; its output is the stage's log."""

    def train(
        self, job: TrainingJob, on_metrics: Callable[[Mapping[str, float]], None]
    ) -> FinishedJob:
        """Run a job to its end; see ``Trainer``."""
        layout = Layout(job.scratch / "ml")
        _lay_out(job, layout)
        metrics = MetricReader(job.metrics)
        last: deque[str] = deque(maxlen=_LAST_LINES)
        with _running(job, layout) as process:
            for line in lines(process):
                print(line, flush=True)
                last.append(line)
                if found := metrics.read(line):
                    on_metrics(found)
        if process.returncode != 0:
            raise _failed(job, layout, process.returncode, last)
        return FinishedJob(layout.model, layout.output_data, metrics.last)


def _lay_out(job: TrainingJob, layout: Layout) -> None:
    for folder in layout.folders():
        folder.mkdir(parents=True)
    for name, source in job.sources.items():
        target = layout.code / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for name, given in job.channels.items():
        _fill_channel(given.path(), layout.data / name)
    for name, value in config_files(job).items():
        (layout.config / name).write_text(json.dumps(value), "utf-8")


def _fill_channel(path: Path, channel: Path) -> None:
    """Copy a file into a channel's folder, or a folder to be it.

    A link would let a script that changes its data in place change the store's object.
    """
    if path.is_dir():
        shutil.copytree(path, channel)
        return
    channel.mkdir()
    shutil.copyfile(path, channel / (path.name if path.suffix else channel.name))


@contextmanager
def _running(job: TrainingJob, layout: Layout) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the script; whatever happens here, it has ended afterwards."""
    process = _start(job, layout)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _start(job: TrainingJob, layout: Layout) -> "subprocess.Popen[bytes]":
    python = _interpreter(job)
    own = {name: value for name, value in os.environ.items() if not name.startswith("SM_")}
    try:
        return subprocess.Popen(
            [python, job.program, *arguments(job.hyperparameters)],
            cwd=layout.code,
            env={**own, **variables(job, layout), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise StageError(
            f'the interpreter "{python}" cannot be started: {error.strerror}',
            where="with.python",
            fix="Name another one, or leave it out to train with the one that runs mlpipe.",
        ) from error


def _interpreter(job: TrainingJob) -> str:
    """Give the interpreter as a command; a path starts from the project's folder."""
    if job.python is None:
        return sys.executable
    # Not resolved: a virtual environment's interpreter is a link, and knows itself by its path.
    return str(job.root.absolute() / job.python) if "/" in job.python else job.python


def _failed(job: TrainingJob, layout: Layout, code: int, last: deque[str]) -> StageError:
    """Say why a script failed: in what it wrote to ``failure``, and its last lines."""
    what = f"the script ended with {_ending(code)}"
    if reason := _failure(layout):
        what += f": {reason}"
    said = [line for line in last if line.strip()] or ["(it printed nothing)"]
    return StageError("\n   ".join([what, *said]), where=job.program)


def _failure(layout: Layout) -> str:
    path = layout.output / "failure"
    return path.read_text("utf-8", "replace").strip()[:_REASON_LENGTH] if path.is_file() else ""


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    hint = ", as when memory runs out" if name == "SIGKILL" else ""
    return f"signal {name}{hint}"
