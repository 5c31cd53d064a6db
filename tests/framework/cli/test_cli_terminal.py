"""On a terminal rows redraw; anywhere else there are plain lines."""

import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from fcntl import ioctl
from typing import Any

import pytest

SLOW = """
name: p
stages:
  slow: {uses: shell.train, with: {command: "for i in 1 2 3 4; do echo epoch $i; sleep 0.3; done"}}
  after: {uses: shell.check, needs: [slow], with: {command: "true"}}
"""


def on_terminal(project: Any, *arguments: str, columns: int = 100, env: Mapping[str, str]) -> str:
    """Run a command with a pseudo-terminal as its standard streams; give all that it wrote."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "mlpipe", *arguments],
        cwd=project.root,
        env=project.environment({"TERM": "xterm-256color", **env}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:
                break
            if not part:
                break
            seen += part
        elif process.poll() is not None:
            break
    os.close(ours)
    assert process.wait(timeout=10) == 0
    return seen.decode()


def without_codes(text: str) -> list[str]:
    """Leave out escape sequences; give the lines."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")
    return [line for line in plain.splitlines() if line.strip()]


@pytest.mark.parametrize("columns", [100, 40])
def test_rows_redraw_with_the_last_line_of_the_log(project: Any, columns: int) -> None:
    project.write("p.yaml", SLOW)
    seen = on_terminal(project, "run", "p", columns=columns, env={})
    assert "\x1b[" in seen
    lines = without_codes(seen)
    assert any(re.search(r"slow .*\d\.\ds .*epoch \d", line) for line in lines) or columns < 60
    assert any(line.strip().startswith("✓ slow") for line in lines)
    assert any("1 more to go" in line for line in lines)
    assert lines[-1].startswith("done in ")


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"CI": "true"}, {"TERM": "dumb"}])
def test_plain_lines_where_asked_for(project: Any, env: dict[str, str]) -> None:
    project.write("p.yaml", SLOW)
    seen = on_terminal(project, "run", "p", env=env)
    lines = [re.sub(r"\d+\.\d+s", "TIME", line) for line in without_codes(seen) if line]
    assert lines[1:] == [
        "  ▸ slow   shell.train",
        "  ✓ slow   shell.train  TIME",
        "  ▸ after  shell.check",
        "  ✓ after  shell.check  TIME",
        "done in TIME",
    ]
    if "NO_COLOR" in env:
        assert "\x1b[" not in seen


def test_a_reader_that_goes_away_is_no_error(chain: Any) -> None:
    done = subprocess.run(
        f"{sys.executable} -m mlpipe run p 2>&1 | head -n 1",
        shell=True,
        cwd=chain.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert chain.run() == dict.fromkeys(("first", "second", "third"), "cached")


def test_completion_knows_commands(project: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlpipe"],
        cwd=project.root,
        env=project.environment(
            {"_MLPIPE_COMPLETE": "complete_bash", "COMP_WORDS": "mlpipe ru", "COMP_CWORD": "1"}
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split() == ["run", "runs"]


def test_a_second_interrupt_kills_at_once(project: Any) -> None:
    import signal

    project.write(
        "p.yaml",
        "name: p\nstages:\n  a:\n    uses: python.check\n    with: {function: 'stages:stubborn'}\n",
    )
    project.write(
        "stages.py",
        """
        import signal
        import time
        from pathlib import Path

        def stubborn():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            Path("begun").write_text("")
            time.sleep(600)
        """,
    )
    process = project.start("run", "p")
    deadline = time.monotonic() + 20
    while not (project.root / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert time.monotonic() - begun < 4
    assert process.returncode == 130
    assert out.startswith("interrupted")
