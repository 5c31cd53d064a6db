"""Running a step: a function in this process, a script or a notebook in one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe.notebooks import run_notebook
from mlpipe_dvc.functions import call
from mlpipe_dvc.stepconfig import FunctionStep, NotebookStep, ScriptStep, Step
from mlpipe_dvc.tables.table import Table
from mlpipe_dvc.values import Format, LocalFiles

# Lines of what a script said that an error repeats.
_LAST = 15


@dataclass(frozen=True, slots=True)
class Bench:
    """What steps of a table need.

    Attributes:
        stage: Whose they are.
        folder: Where their files go.
        format: What scripts and notebooks read and write.
        open: Opens what one of them wrote.
    """

    stage: Stage
    folder: Path
    format: Format
    open: Callable[[LocalFiles], Table]


def through(table: Table, steps: Sequence[Step], bench: Bench) -> Table:
    """Take a table through all steps.

    Raises:
        StageError: One fails, or gives no table.
    """
    for number, step in enumerate(steps, 1):
        if isinstance(step, FunctionStep):
            change = partial(call, step.function, bench.stage.root, **step.args)
            table = table.then(change, step.function)
        else:
            table = _by_program(table, step, number, bench)
    return table


def _by_program(table: Table, step: ScriptStep | NotebookStep, number: int, bench: Bench) -> Table:
    folder = step_folder(bench.folder, number)
    before, after = (folder / f"{name}.{bench.format}" for name in ("input", "output"))
    table.save(before, bench.format)
    run_program(step, before, after, bench.stage)
    if not after.is_file() or not after.stat().st_size:
        what = "wrote an empty file" if after.is_file() else "did not write its output"
        raise StageError(what, where=step.label, fix=_written_to(step))
    before.unlink(missing_ok=True)
    return bench.open(LocalFiles((after,), after.parent, step.label, bench.format))


def step_folder(parent: Path, number: int) -> Path:
    """Make a folder for the files of a step."""
    folder = parent / f"step-{number}"
    folder.mkdir()
    return folder


def run_program(step: ScriptStep | NotebookStep, before: Path, after: Path, stage: Stage) -> None:
    """Run a script or notebook; a notebook is kept as it was executed, whatever becomes of it.

    Args:
        step: What to run.
        before: What it reads.
        after: Where it writes.
        stage: Whose step it is.

    Raises:
        StageError: It is not there, or it fails.
    """
    if isinstance(step, ScriptStep):
        _run_script(step, before, after, stage.root)
        return
    executed = before.parent / f"{before.parent.name}-{Path(step.notebook).name}"
    given = {**step.parameters, "input": str(before), "output": str(after)}
    try:
        run_notebook(stage.root / step.notebook, given, executed)
    finally:
        if executed.exists():
            stage.keep(executed)


def _written_to(step: ScriptStep | NotebookStep) -> str:
    told = "--output PATH" if isinstance(step, ScriptStep) else "the parameter output"
    return f"The result belongs where {told} says."


def _run_script(step: ScriptStep, before: Path, after: Path, root: Path) -> None:
    path = root / step.script
    if not path.is_file():
        raise StageError(
            "the script is not there",
            where=step.script,
            fix="Name a Python file, with its path from the project's folder.",
        )
    command = [sys.executable, str(path), "--input", str(before), "--output", str(after)]
    for name, value in step.args.items():
        said = str(value).lower() if isinstance(value, bool) else str(value)
        command += [f"--{name}", said]
    # Scripts import the project's modules as functions do: from its folder.
    search = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": search, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        last = _passed_on(process)
    if process.returncode:
        said = "\n   ".join(["", *(line.rstrip() for line in last)])
        raise StageError(f"{_ended(process.returncode)}{said}", where=step.script)


def _passed_on(process: subprocess.Popen[str]) -> Sequence[str]:
    """Show what a script says while it runs, and give the end of it."""
    assert process.stderr is not None
    lines = deque[str](maxlen=_LAST)
    for line in process.stderr:
        sys.stderr.write(line)
        lines.append(line)
    return lines


def _ended(code: int) -> str:
    if code > 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}"
