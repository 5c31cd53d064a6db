"""Training on this machine: the script as a process of its own, in SageMaker's contract."""

import json
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mlpipe.errors import StageError
from mlpipe_sagemaker.contract import FinishedJob, TrainingJob
from mlpipe_sagemaker.endings import KEPT_LINES, failed, took_too_long
from mlpipe_sagemaker.environment import Layout, config_files, kept_checkpoints
from mlpipe_sagemaker.following import Clock, MetricReader, lines
from mlpipe_sagemaker.launching import Launch, launch_of

#: Seconds that a script has to end after SIGTERM, when nobody waits for what it makes.
_PATIENCE = 5.0


def _print(line: str) -> None:
    print(line, flush=True)


class LocalTrainer:
    """Runs the script with an interpreter of this machine.

    Args:
        say: Takes each line that the script prints; the stage's log when left out.
        grace: Seconds between SIGTERM and SIGKILL for a script that takes too long; SageMaker's
            when left out.
    """

    def __init__(self, say: Callable[[str], None] = _print, grace: float = 120.0) -> None:
        self._say = say
        self._grace = grace

    def train(
        self, job: TrainingJob, on_metrics: Callable[[Mapping[str, float]], None]
    ) -> FinishedJob:
        """Run a job to its end; see ``Trainer``."""
        if job.algorithm is not None:
            raise StageError(
                f'the algorithm "{job.algorithm}" is SageMaker\'s own, and runs there only',
                where="with.algorithm",
                fix="Run it with --target aws, or train with a script.",
            )
        if not (job.program or job.container):
            raise StageError(
                "the image's own program runs in the image only",
                where="with.container",
                fix="Say container: true, or train with a script.",
            )
        layout = Layout(job.scratch / "ml")
        metrics = MetricReader(job.metrics)
        with _checkpoints(job):
            _lay_out(job, layout)
            self._run(job, layout, metrics, on_metrics)
        return FinishedJob(layout.model, layout.output_data, metrics.last, {"job": job.name})

    def _run(
        self,
        job: TrainingJob,
        layout: Layout,
        metrics: MetricReader,
        on_metrics: Callable[[Mapping[str, float]], None],
    ) -> None:
        last: deque[str] = deque(maxlen=KEPT_LINES)
        with _running(job, layout, self._grace) as (process, clock):
            for line in lines(process):
                self._say(line)
                last.append(line)
                if found := metrics.read(line):
                    on_metrics(found)
        if clock.has_struck:
            raise took_too_long(job, list(last))
        if process.returncode != 0:
            raise failed(job, layout, process.returncode, list(last))


@contextmanager
def _checkpoints(job: TrainingJob) -> Iterator[None]:
    """Keep the folder of a job's checkpoints until the job is done.

    A stage that was killed is continued as the same job, and so finds them.
    """
    kept = kept_checkpoints(job)
    kept.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # unless there are some
            kept.rmdir()
        raise
    shutil.rmtree(kept, ignore_errors=True)


def _lay_out(job: TrainingJob, layout: Layout) -> None:
    for folder in layout.folders():
        folder.mkdir(parents=True)
    if not job.container:  # a container mounts them there
        layout.checkpoints.rmdir()
        layout.checkpoints.symlink_to(kept_checkpoints(job).absolute())
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
    shutil.copyfile(path, channel / name_in_channel(path, channel.name))


def name_in_channel(path: Path, channel: str) -> str:
    """Give what a file is called in its channel's folder, on every type of target."""
    return path.name if path.suffix else channel


@contextmanager
def _running(
    job: TrainingJob, layout: Layout, grace: float
) -> Iterator[tuple["subprocess.Popen[bytes]", Clock]]:
    """Run the script; whatever happens here, it has ended afterwards."""
    launch = launch_of(job, layout)
    process = _start(launch, layout)
    try:
        with Clock(process, job.compute.max_runtime, grace) as clock:
            yield process, clock
    finally:
        _end(process)
        launch.clean_up()
        if process.stdout is not None:
            process.stdout.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process that runs still. What launches others must have time to end those."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start(launch: Launch, layout: Layout) -> "subprocess.Popen[bytes]":
    own = {name: value for name, value in os.environ.items() if not name.startswith("SM_")}
    try:
        return subprocess.Popen(
            launch.command,
            cwd=layout.code,
            env={**own, **launch.environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise StageError(
            f'"{launch.command[0]}" cannot be started: {error.strerror}',
            where=f"with.{launch.setting}",
            fix=launch.fix,
        ) from error
