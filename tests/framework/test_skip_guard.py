"""The guard against silent skips, seen from outside: sessions of pytest's own."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_passes(): pass

def test_skipped(): pytest.skip({reason!r})

@pytest.mark.xfail(reason="known")
def test_known(): assert False
"""


def session(folder: Path, repository: Path, reason: str, *options: str) -> tuple[int, str]:
    (folder / "conftest.py").symlink_to(repository / "tests" / "conftest.py")
    (folder / "test_it.py").write_text(TESTS.format(reason=reason))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "xdist"])
def test_an_unknown_reason_fails_the_session(
    tmp_path: Path, repository: Path, workers: list[str]
) -> None:
    code, output = session(tmp_path, repository, "no browser", "--no-skips", *workers)
    assert code == 1
    assert "skips that are not allowed here" in output
    assert "test_it.py::test_skipped: Skipped: no browser" in output
    assert "test_known:" not in output


def test_an_allowed_reason_does_not(tmp_path: Path, repository: Path) -> None:
    reason = "PyTorch is not here: make torch"
    code, output = session(tmp_path, repository, reason, "--no-skips")
    assert code == 0, output


def test_skips_are_free_outside_continuous_integration(tmp_path: Path, repository: Path) -> None:
    code, output = session(tmp_path, repository, "no browser")
    assert code == 0, output
    assert "1 passed, 1 skipped, 1 xfailed" in output
