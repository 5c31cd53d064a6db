"""Training on this machine: the script as a process of its own, in SageMaker's contract."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from mlpipe.errors import StageError
from mlpipe_sagemaker.contract import FinishedJob, TrainingJob
from mlpipe_sagemaker.environment import Layout, arguments, config_files, variables

_LAST_LINES = 20


class LocalTrainer:
    """Runs the script with this machine's interpreter; its output is the stage's log."""

    def train(
        self, job: TrainingJob, on_metrics: Callable[[Mapping[str, float]], None]
    ) -> FinishedJob:
        """Run a job to its end; see ``Trainer``."""
        layout = Layout(job.scratch / "ml")
        _lay_out(job, layout)
        process = _start(job, layout)
        metrics: dict[str, float] = {}
        last: deque[str] = deque(maxlen=_LAST_LINES)
        patterns = {name: re.compile(pattern) for name, pattern in job.metrics.items()}
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            last.append(line.rstrip())
            if found := _read(line, patterns):
                metrics.update(found)
                on_metrics(found)
        code = process.wait()
        if code != 0:
            raise StageError(_reason(layout, code, last), where=job.program)
        return FinishedJob(layout.model, layout.output_data, metrics)


def _lay_out(job: TrainingJob, layout: Layout) -> None:
    for folder in layout.folders():
        folder.mkdir(parents=True, exist_ok=True)
    for name, source in job.sources.items():
        target = layout.code / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for name, path in job.channels.items():
        _fill_channel(path, layout.data / name, name)
    for name, value in config_files(job).items():
        (layout.config / name).write_text(json.dumps(value), "utf-8")


def _fill_channel(path: Path, channel: Path, name: str) -> None:
    """Put a file or a folder's content into a channel's folder: by hard link, else by copy."""
    if path.is_dir():
        shutil.copytree(path, channel, copy_function=_link)
        return
    channel.mkdir()
    _link(str(path), str(channel / (path.name if path.suffix else name)))


def _link(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:  # another device, or a file system without hard links
        shutil.copyfile(source, target)


def _start(job: TrainingJob, layout: Layout) -> subprocess.Popen[str]:
    python = job.python or sys.executable
    environment = {**os.environ, **variables(job, layout), "PYTHONUNBUFFERED": "1"}
    try:
        return subprocess.Popen(
            [python, job.program, *arguments(job.hyperparameters)],
            cwd=layout.code,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise StageError(
            f'the interpreter "{python}" cannot be started: {error.strerror}',
            fix="Name another one under python:, or leave it out.",
        ) from error


def _read(line: str, patterns: Mapping[str, re.Pattern[str]]) -> dict[str, float]:
    found = {}
    for name, pattern in patterns.items():
        if match := pattern.search(line):
            try:
                found[name] = float(match.group(1))
            except ValueError:
                raise StageError(
                    f'the pattern of metric "{name}" caught {match.group(1)!r}, no number',
                    where=line.strip(),
                    fix="Narrow the pattern's group to the number.",
                ) from None
    return found


def _reason(layout: Layout, code: int, last: deque[str]) -> str:
    """Say why a script failed: what it wrote to ``failure``, else its last line."""
    ending = f"exit code {code}" if code > 0 else f"signal {-code}"
    failure = layout.output / "failure"
    if failure.is_file() and (text := failure.read_text("utf-8", "replace").strip()):
        return f"the script failed ({ending}): {text}"
    said = next((line for line in reversed(last) if line.strip()), "")
    return f"the script failed ({ending})" + (f": {said}" if said else "")
