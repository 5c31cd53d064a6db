"""Help of every command, and what the shell completes."""

import subprocess
import sys
from typing import Any

import pytest

COMMANDS = {
    "doctor": "Usage: mlpipe doctor [OPTIONS]",
    "gc": "Usage: mlpipe gc [OPTIONS]",
    "init": "Usage: mlpipe init [OPTIONS] [folder]",
    "logs": "Usage: mlpipe logs [OPTIONS] {RUN} {STAGE}",
    "plan": "Usage: mlpipe plan [OPTIONS] {RECIPE}",
    "plugins list": "Usage: mlpipe plugins list [OPTIONS]",
    "plugins show": "Usage: mlpipe plugins show [OPTIONS] {PLUGIN[.VERB]}",
    "releases diff": "Usage: mlpipe releases diff [OPTIONS]",
    "releases list": "Usage: mlpipe releases list [OPTIONS]",
    "releases show": "Usage: mlpipe releases show [OPTIONS]",
    "rollback": "Usage: mlpipe rollback [OPTIONS] {[KIND/]NAME}",
    "run": "Usage: mlpipe run [OPTIONS] {RECIPE}",
    "runs diff": "Usage: mlpipe runs diff [OPTIONS]",
    "runs list": "Usage: mlpipe runs list [OPTIONS] [RECIPE]",
    "runs show": "Usage: mlpipe runs show [OPTIONS] {RUN}",
    "schema": "Usage: mlpipe schema [OPTIONS]",
    "why": "Usage: mlpipe why [OPTIONS] {RECIPE} {STAGE}",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(project: Any, command: str) -> None:
    answer = project.mlpipe(*command.split(), "--help")
    assert (answer.code, answer.err) == (0, "")
    usage, _, text = answer.out.partition("\n\n")
    assert usage.startswith(COMMANDS[command])
    assert text.lstrip()[0].isupper()


def completed(project: Any, *words: str) -> list[str]:
    """Give what bash completes the last word with."""
    done = subprocess.run(
        [sys.executable, "-m", "mlpipe"],
        cwd=project.root,
        env=project.environment(
            {
                "_MLPIPE_COMPLETE": "complete_bash",
                "COMP_WORDS": " ".join(words),
                "COMP_CWORD": str(len(words) - 1),
            }
        ),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split()


def test_commands_below_commands_and_options_are_completed(project: Any) -> None:
    assert completed(project, "mlpipe", "pl") == ["plan", "plugins"]
    assert completed(project, "mlpipe", "runs", "") == ["list", "show", "diff"]
    assert completed(project, "mlpipe", "releases", "d") == ["diff"]
    assert completed(project, "mlpipe", "run", "--k") == ["--keep-going"]
    assert completed(project, "mlpipe", "gc", "--") == ["--keep", "--dry-run", "--help"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_told_how_to_complete(project: Any, shell: str) -> None:
    answer = project.mlpipe(env={"_MLPIPE_COMPLETE": f"source_{shell}"})
    assert answer.code == 0
    assert "_MLPIPE_COMPLETE" in answer.out
