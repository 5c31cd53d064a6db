"""``shell.VERB``: a command is the stage."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

from mlpipe.errors import StageError
from mlpipe.plugins.config import OPEN, Declares, OutputPath, StageConfig
from mlpipe.plugins.markers import hookimpl
from mlpipe.plugins.stage import Stage
from mlpipe.types import StageResult

_REFERENCE = re.compile(r"\{(inputs|outputs|params)\.([\w.-]+)\}")


class ShellConfig(StageConfig):
    """Run a command with ``sh -e``; any exit code but zero fails the stage.

    ``{inputs.x}``, ``{outputs.y}`` and ``{params.z}`` in the command become quoted paths and
    values. Project files that the command names enter the fingerprint.

    Attributes:
        command: One command, or several lines; the first that fails ends it.
        outputs: Where each output belongs in the project, by name.
        metrics: Regular expressions by metric name. The first group of the last line of the
            command's output that matches is the metric.
    """

    command: str
    outputs: dict[str, OutputPath] = {}
    metrics: dict[str, str] = {}

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """Outputs and metrics are those named."""
        known = {"inputs": list(inputs), "outputs": list(self.outputs)}
        for kind, name in _REFERENCE.findall(self.command):
            if kind in known and name not in known[kind]:
                names = ", ".join(known[kind]) or "none"
                raise ValueError(f"the command uses {{{kind}.{name}}}; its {kind}: {names}")
        return Declares(outputs=tuple(self.outputs), metrics=tuple(self.metrics), values=OPEN)

    def parameters(self) -> tuple[str, ...]:
        """The parameters that the command refers to."""
        return tuple(name for kind, name in _REFERENCE.findall(self.command) if kind == "params")

    def sources(self) -> tuple[str, ...]:
        """The words of the command that could name a file that it reads."""
        lexer = shlex.shlex(self.command, posix=True, punctuation_chars=True)
        try:
            words = ["", *lexer]
        except ValueError:  # quotes that do not match: the shell will say so
            return ()
        return tuple(word for before, word in pairwise(words) if "." in word and ">" not in before)


@hookimpl
def call(config: ShellConfig, stage: Stage) -> StageResult:
    """Run the command, reading metrics off its output as it comes."""
    outputs = {name: stage.output(name, place) for name, place in config.outputs.items()}
    command = _REFERENCE.sub(_quoter(stage, outputs), config.command)
    patterns = {name: re.compile(pattern) for name, pattern in config.metrics.items()}
    metrics: dict[str, float] = {}
    code = _run(command, stage, patterns, metrics) if patterns else _run_plain(command, stage)
    if code != 0:
        ending = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise StageError(f"the command ended with {ending}", where=config.command.splitlines()[0])
    return StageResult(outputs=outputs, metrics=metrics)


def _quoter(stage: Stage, outputs: Mapping[str, Path]) -> Callable[[re.Match[str]], str]:
    def quote(match: re.Match[str]) -> str:
        kind, name = match.groups()
        if kind == "inputs":
            return shlex.quote(str(stage.inputs[name].path()))
        if kind == "outputs":
            return shlex.quote(str(outputs[name]))
        return shlex.quote(str(stage.params[name]))

    return quote


def _run_plain(command: str, stage: Stage) -> int:
    return subprocess.run(["/bin/sh", "-e", "-c", command], cwd=stage.root, check=False).returncode


def _run(
    command: str,
    stage: Stage,
    patterns: Mapping[str, re.Pattern[str]],
    metrics: dict[str, float],
) -> int:
    process = subprocess.Popen(
        ["/bin/sh", "-e", "-c", command],
        cwd=stage.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        found = {
            name: float(match.group(1))
            for name, pattern in patterns.items()
            if (match := pattern.search(line))
        }
        if found:
            metrics.update(found)
            stage.log_metrics(found)
    return process.wait()
