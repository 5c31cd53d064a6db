"""What ``make setup`` says where it cannot work. That it works is shown by every test run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: As outside of make, which these tests themselves may be started by.
OUTSIDE = {
    name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
}
TOOLS = ("sh", "bash", "env", "dirname", "find", "sed", "tail", "test", "touch")


@pytest.fixture
def clone(tmp_path: Path, repository: Path) -> Path:
    """A folder with what make reads, and programs/ with few programs and no Python."""
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy(repository / name, tmp_path)
    (tmp_path / "recipes").mkdir()
    programs = tmp_path / "programs"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool) or "/bin/false")
    return tmp_path


def python3(clone: Path, script: str) -> None:
    program = clone / "programs" / "python3"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def setup(clone: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    make = shutil.which("make")
    assert make is not None
    return subprocess.run(
        [make, "setup", *(f"{name}={value}" for name, value in variables.items())],
        cwd=clone,
        env={**OUTSIDE, "PATH": str(clone / "programs")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_python(clone: Path) -> None:
    done = setup(clone)
    assert done.returncode != 0
    assert done.stderr.startswith("mlpipe needs Python 3.11, 3.12 or 3.13; python3 here is: ")
    assert "make setup PYTHON=/path/to/python3.12" in done.stderr
    assert not (clone / ".venv").exists()


def test_python_too_old(clone: Path) -> None:
    python3(clone, 'case "$*" in *--version*) echo Python 3.9.18;; *) exit 1;; esac')
    assert "python3 here is: Python 3.9.18\n" in setup(clone).stderr


def test_another_python_is_found(clone: Path) -> None:
    python3(clone, "exit 1")
    (clone / "programs" / "python3.13").write_text(
        '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\n'
    )
    (clone / "programs" / "python3.13").chmod(0o755)
    assert setup(clone).stderr.startswith("python3.13 cannot make virtual environments")


def test_python_without_venv(clone: Path) -> None:
    python3(clone, f'case "$*" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"')
    done = setup(clone)
    assert done.returncode != 0
    assert done.stderr.startswith("python3 cannot make virtual environments: its module venv")
    assert "apt-get install python3-venv" in done.stderr


def test_help_lists_every_target(repository: Path) -> None:
    done = subprocess.run(
        ["make"], cwd=repository, env=OUTSIDE, capture_output=True, text=True, check=True
    )
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    assert listed == {
        "bench",
        "check",
        "clean",
        "demo",
        "docs",
        "help",
        "lock",
        "setup",
        "test",
        "torch",
    }
