"""Stages that do what no stage should, and what their user is told."""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

CODE = """
    import os
    import subprocess
    import sys
    import time
    from pathlib import Path

    import numpy


    def long_line():
        for _ in range(50):
            sys.stdout.write("x" * 1_000_000)


    def no_text():
        os.write(1, b"\\xff\\xfe caf\\xc3")


    def closes_its_output():
        sys.stdout.close()
        os.close(1)
        os.close(2)
        return {"m": 1}


    def leaves_a_daemon():
        daemon = subprocess.Popen(["sleep", "60"], start_new_session=True)
        Path("daemon").write_text(str(daemon.pid))


    def leaves_a_child():
        child = subprocess.Popen(["sleep", "60"])
        Path("child").write_text(str(child.pid))


    def generates():
        yield 1


    def numbers_of_numpy():
        return {"loss": numpy.float32(0.5), "rows": numpy.int64(3)}


    def array_of_numpy():
        return {"weights": numpy.arange(3)}


    def asks():
        input("name? ")


    def exits():
        os._exit(0)


    def crashes():
        os.kill(os.getpid(), 11)
"""


@pytest.fixture
def calls(project: Any) -> Any:
    """Run a recipe of one stage that calls a function."""
    project.write("code_of_p.py", CODE)

    def run(function: str, *arguments: str) -> Any:
        project.write(
            "p.yaml",
            f"""
            name: p
            stages:
              a: {{uses: python.train, with: {{function: "code_of_p:{function}"}}}}
            """,
        )
        return project.mlpipe("run", "p", *arguments)

    return run


def alive(pid: int) -> bool:
    """Tell whether a process runs (and is no zombie)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_fifty_megabytes_in_one_line(calls: Any, project: Any) -> None:
    assert calls("long_line").code == 0
    [log] = (project.root / ".mlpipe" / "runs").glob("*/a.1.log")
    assert log.stat().st_size == 50_000_000


def test_output_that_is_no_text(calls: Any, project: Any) -> None:
    assert calls("no_text").code == 0
    assert project.mlpipe("logs", "last", "a").out == "\ufffd\ufffd caf\ufffd\n"


def test_a_closed_output_is_no_failure(calls: Any) -> None:
    answer = calls("closes_its_output", "--json")
    assert answer.code == 0
    assert answer.events()[-1]["stages"]["a"]["metrics"] == {"m": 1.0}


def test_a_daemon_outlives_its_stage_and_does_not_delay_it(calls: Any, project: Any) -> None:
    begun = time.monotonic()
    assert calls("leaves_a_daemon").code == 0
    daemon = int(project.read("daemon"))
    try:
        assert time.monotonic() - begun < 20
        assert alive(daemon)
    finally:
        with suppress(ProcessLookupError):
            os.kill(daemon, signal.SIGKILL)


def test_a_child_that_is_left_behind_is_ended(calls: Any, project: Any) -> None:
    assert calls("leaves_a_child").code == 0
    deadline = time.monotonic() + 5
    while alive(int(project.read("child"))):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_numbers_of_numpy_are_metrics(calls: Any) -> None:
    answer = calls("numbers_of_numpy", "--json")
    assert answer.events()[-1]["stages"]["a"]["metrics"] == {"loss": 0.5, "rows": 3.0}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("generates", "    code_of_p:generates  returned generator, not a mapping"),
        ("array_of_numpy", '    code_of_p:array_of_numpy  returned "weights", which JSON'),
        ("asks", "EOFError: EOF when reading a line"),
        ("exits", "exit code 0"),
        ("crashes", "    its process ended with SIGSEGV"),
    ],
)
def test_failures_say_what_happened(calls: Any, function: str, said: str) -> None:
    answer = calls(function)
    assert answer.code == 1
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_a_bound_on_not_a_number_is_missed(project: Any) -> None:
    project.write("code_of_p.py", "def score():\n    return {'accuracy': float('nan')}\n")
    project.write(
        "p.yaml",
        """
        name: p
        stages:
          a:
            uses: python.evaluate
            with: {function: "code_of_p:score"}
            gate: {accuracy: ">= 0.5"}
        """,
    )
    answer = project.mlpipe("run", "p")
    assert answer.code == 3
    assert "accuracy nan, wanted ≥ 0.5" in answer.err


def test_many_stages_side_by_side(project: Any) -> None:
    stages = {
        f"s{i}": {"uses": "shell.check", "with": {"command": f"echo {i}"}} for i in range(300)
    }
    project.write("p.yaml", json.dumps({"name": "p", "stages": stages}))
    answer = project.mlpipe("run", "p")
    assert answer.code == 0
    assert answer.err.count("  ✓ s") == 300
    again = project.mlpipe("run", "p")
    assert again.err.splitlines()[1:] == ["  = 300 stages cached or in place"]
