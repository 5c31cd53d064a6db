"""A project in a folder of its own, and the real command line in it."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# What changes how a command writes, and is the test runner's, not the test's.
_TERMINAL = ("CI", "NO_COLOR", "COLUMNS", "LINES")


@dataclass(frozen=True)
class Answer:
    """What a command gave."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read standard output as JSON."""
        return json.loads(self.out)

    def events(self) -> list[dict[str, Any]]:
        """Read standard output as JSON lines."""
        found: list[dict[str, Any]] = [json.loads(line) for line in self.out.splitlines()]
        return found


@dataclass(frozen=True)
class Project:
    """A project's folder."""

    root: Path

    def write(self, path: str, text: str) -> Path:
        """Write a file, its text dedented."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip("\n"))
        return file

    def read(self, path: str) -> str:
        """Read a file."""
        return (self.root / path).read_text()

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the environment that commands run in."""
        kept = {k: v for k, v in os.environ.items() if k not in _TERMINAL}
        return {**kept, **(extra or {})}

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start ``mlpipe`` with arguments, in the project's folder."""
        return subprocess.Popen(
            [sys.executable, "-m", "mlpipe", *arguments],
            cwd=self.root,
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def mlpipe(self, *arguments: str, env: Mapping[str, str] | None = None) -> Answer:
        """Run ``mlpipe`` with arguments, in the project's folder."""
        process = self.start(*arguments, env=env)
        out, err = process.communicate(timeout=120)
        return Answer(process.returncode, out, err)

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Run the recipe ``p``; give how each stage ended. It must succeed."""
        answer = self.mlpipe("run", "p", "--json", *arguments, env=env)
        assert answer.code == 0, answer.err + answer.out
        return states(answer)

    def verdicts(self, *arguments: str) -> dict[str, str]:
        """Plan the recipe ``p``; give each stage's verdict."""
        return {each["stage"]: each["verdict"] for each in self.plan(*arguments)}

    def plan(self, *arguments: str) -> list[dict[str, Any]]:
        """Plan the recipe ``p``."""
        answer = self.mlpipe("plan", "p", "--json", *arguments)
        assert answer.code == 0, answer.err
        planned: list[dict[str, Any]] = answer.json()
        return planned

    def reasons(self, *arguments: str) -> dict[str, str]:
        """Plan the recipe ``p``; give each stage's reason."""
        return {each["stage"]: each["reason"] for each in self.plan(*arguments)}

    def calls(self) -> list[str]:
        """Give the stages that really ran, in order: stage code appends to ``calls.txt``."""
        file = self.root / "calls.txt"
        return file.read_text().split() if file.exists() else []


def states(answer: Answer) -> dict[str, str]:
    """Give how each stage ended, from the events of ``mlpipe run --json``."""
    ended = [each for each in answer.events() if each["event"] == "stage_finished"]
    return {each["name"]: each["state"] for each in ended}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project: a folder that holds ``.mlpipe``, so that it is its own root."""
    (tmp_path / ".mlpipe").mkdir()
    return Project(tmp_path)


CHAIN_CODE = """
import json
from pathlib import Path

from helpers import double


def call(name):
    with open("calls.txt", "a") as stream:
        stream.write(name + "\\n")


def first(out: Path, start: int):
    call("first")
    out.write_text(json.dumps(start))
    return {"start": start}


def second(source: Path, out: Path):
    call("second")
    value = double(json.loads(source.read_text()))
    out.write_text(json.dumps(value))
    return {"value": value, "note": "ok"}


def third(source: Path, out: Path):
    call("third")
    out.write_text(source.read_text())
"""

CHAIN = """
name: p
params: {start: 1}
stages:
  first:
    uses: python.prepare
    with:
      function: code_of_p:first
      outputs: {out: data/first.json}
      args: {start: "${params.start}"}
  second:
    uses: python.train
    inputs: {source: first.out}
    with: {function: "code_of_p:second", outputs: {out: data/second.json}}
  third:
    uses: python.evaluate
    inputs: {source: second.out}
    with: {function: "code_of_p:third", outputs: {out: data/third.json}}
"""


@pytest.fixture
def chain(project: Project) -> Project:
    """A project with a recipe of three stages, each reading what the one before wrote."""
    project.write("p.yaml", CHAIN)
    project.write("code_of_p.py", CHAIN_CODE)
    project.write("helpers.py", "def double(x):\n    return 2 * x\n")
    return project
