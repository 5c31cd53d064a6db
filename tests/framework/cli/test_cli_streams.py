"""Standard streams that are closed, full, narrow in characters, or gone half-way."""

import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest

MLPIPE = f"{sys.executable} -m mlpipe"


def in_shell(project: Any, line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in the project's folder."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=project.root,
        env=project.environment(env),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def on_terminal(project: Any, *arguments: str, size: tuple[int, int]) -> str:
    """Run a command with a pseudo-terminal of rows and columns; give all that it wrote."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "mlpipe", *arguments],
        cwd=project.root,
        env=project.environment({"TERM": "xterm-256color"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + 60
    while select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
        try:
            seen += os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    process.wait(timeout=10)
    return seen.decode()


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_lose_words_and_nothing_else(chain: Any, closed: str) -> None:
    assert in_shell(chain, f"{MLPIPE} plan p {closed}").returncode == 0
    done = in_shell(chain, f"{MLPIPE} run p {closed}")
    assert (done.returncode, chain.calls()) == (0, ["first", "second", "third"])
    assert chain.run() == dict.fromkeys(("first", "second", "third"), "cached")


@pytest.mark.parametrize("command", ["doctor", "run p"])
def test_characters_that_a_stream_cannot_hold_are_escaped(chain: Any, command: str) -> None:
    chain.run()
    done = in_shell(chain, f"{MLPIPE} {command}", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).isascii()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_results_that_cannot_be_written_are_a_failure_without_a_traceback(chain: Any) -> None:
    done = in_shell(chain, f"{MLPIPE} plan p > /dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "No space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("init p.yaml", "p.yaml/.mlpipe: Not a directory"),
        ("schema -o missing/s.json", "missing/s.json: No such file or directory"),
        ("schema -o .", ".: Is a directory"),
    ],
)
def test_places_that_cannot_be_written_are_named(chain: Any, command: str, said: str) -> None:
    answer = chain.mlpipe(*command.split())
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.endswith(f"{said}\n")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("command", ["schema", "run p --json"])
def test_a_reader_that_goes_away_ends_nothing(chain: Any, command: str) -> None:
    chain.run()
    done = in_shell(chain, f"{MLPIPE} {command} | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, "")


def test_rows_end_as_plain_lines_do(chain: Any) -> None:
    plain = chain.mlpipe("run", "p", "--jobs", "1")
    seen = on_terminal(chain, "run", "p", "--jobs", "1", "--force", size=(30, 100))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "\n")
    rows = [_timeless(line) for line in text.splitlines() if line.startswith("  ✓")]
    assert rows == [_timeless(line) for line in plain.err.splitlines() if "✓" in line]
    assert len(rows) == 3


def test_control_codes_of_stages_do_not_reach_the_terminal(project: Any) -> None:
    command = r"printf '\033[2J\033[H\a[bold]x[/oops]\n'; sleep 0.5"
    project.write(
        "p.yaml",
        f"""
        name: p
        stages:
          a:
            uses: shell.train
            with: {{command: "{command.replace(chr(92), chr(92) * 2)}"}}
          b: {{uses: python.check, needs: [a], with: {{function: "code_of_p:fail"}}}}
        """,
    )
    project.write("code_of_p.py", "def fail():\n    raise ValueError('\\x1b[2Jcleared')\n")
    seen = on_terminal(project, "run", "p", size=(30, 100))
    assert "[bold]x[/oops]" in seen
    assert "ValueError: cleared" in seen
    assert "\x1b[2J" not in seen
    assert "\a" not in seen


def test_rows_beyond_the_terminal_are_counted(project: Any) -> None:
    stages = "".join(
        f"  s{i}: {{uses: shell.check, with: {{command: sleep 1.5 && true {i}}}}}\n"
        for i in range(20)
    )
    project.write("p.yaml", "name: p\nstages:\n" + stages)
    seen = on_terminal(project, "run", "p", "--jobs", "20", size=(10, 60))
    left = [int(count) for count in re.findall(r" (\d+) more to go", seen)]
    assert any(0 < count < 20 for count in left)
    assert seen.count("✓") == 20


def _timeless(line: str) -> str:
    return re.sub(r"\d+\.\d+s *", "", line).rstrip()
