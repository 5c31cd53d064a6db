"""Tools side by side: what is found, what is told, and what fails the stage."""

import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from mlpipe.errors import StageError
from mlpipe_checks import processes
from mlpipe_checks.values import Trouble
from tests.plugins.checks.check_projects import Checked, Project, is_gate

Check = Callable[..., Checked]

EVERYTHING = {
    "unit": {"command": ["pytest", "-q"], "coverage": {"minimum": 70, "of": ["service"]}},
    "quality": ["ruff-format", "ruff", "mypy"],
    "security": ["bandit", "detect-secrets"],
}
PYTHON = sys.executable


def test_sources_without_a_fault_pass(check: Check) -> None:
    done = check(**EVERYTHING)
    assert done.result is not None, done.said
    assert done.found() == [("bandit", "B101", "tests/test_prices.py", 5)]  # low: an assert
    assert done.metrics == {
        "findings": 1,
        "findings.failing": 0,
        "findings.known": 0,
        "findings.low": 1,
        "findings.medium": 0,
        "findings.high": 0,
        "findings.critical": 0,
        "findings.unit": 0,
        "findings.ruff-format": 0,
        "findings.ruff": 0,
        "findings.mypy": 0,
        "findings.bandit": 1,
        "findings.detect-secrets": 0,
        "tests": 1,
        "tests.failed": 0,
        "tests.skipped": 0,
        "coverage": 100,
    }
    assert done.result.values["tools"] == {
        "unit": metadata.version("pytest"),
        "ruff-format": metadata.version("ruff"),
        "ruff": metadata.version("ruff"),
        "mypy": metadata.version("mypy"),
        "bandit": metadata.version("bandit"),
        "detect-secrets": metadata.version("detect-secrets"),
    }
    assert done.result.summary == "1 finding (1 low) · 1 test · coverage 100 %"


def test_all_findings_of_all_tools_come_at_once(project: Project, check: Check) -> None:
    project.write(
        {
            "service/faults.py": (
                "import os\n"
                "import subprocess\n\n\n"
                "def run(command: str) -> int:\n"
                '    subprocess.call("ls " + command, shell=True)\n'
                "    return command\n"
                "def unused() -> None: ...\n"
            ),
            "service/keys.py": 'KEY = "AKIA2E0A8F3B244C9986"\n',
            "tests/test_faults.py": "def test_wrong():\n    assert 1 == 2\n",
        }
    )
    done = check(**EVERYTHING)
    assert is_gate(done.error)
    found = set(done.found())
    assert {
        ("bandit", "B602", "service/faults.py", 6),
        ("detect-secrets", "aws-access-key", "service/keys.py", 1),
        ("mypy", "return-value", "service/faults.py", 7),
        ("ruff", "F401", "service/faults.py", 1),
        ("ruff-format", "unformatted", "service/faults.py", 8),
        ("unit", "failure", "tests/test_faults.py", 2),
    } <= found
    assert done.metrics["tests.failed"] == 1
    assert done.metrics["coverage"] == pytest.approx(100 * 2 / 8)
    for tool, rule, path, line in found:
        row = next(
            each
            for each in done.log.splitlines()
            if each.split()[1:4] == [tool, rule, f"{path}:{line}"]
        )
        assert row.split()[0] in ("low", "medium", "high")
    assert done.log.splitlines()[-1].endswith("2 tests, 1 failed · coverage 25 %")
    assert "- coverage is" in done.said
    assert "service/faults.py:6" in done.said


def test_tools_run_side_by_side(check: Check) -> None:
    """Two commands that each wait for the other's file end only if both run at once."""
    meet = (
        "import pathlib, sys, time\n"
        "mine, other = map(pathlib.Path, sys.argv[1:])\n"
        "mine.touch()\n"
        "while not other.exists(): time.sleep(0.01)\n"
    )
    one = {"command": [PYTHON, "-c", meet, "one", "two"], "name": "first"}
    two = {"command": [PYTHON, "-c", meet, "two", "one"], "name": "second"}
    assert check(quality=[one, two], timeout=60).result is not None


# -- secrets -----------------------------------------------------------------------------------


def test_tools_get_no_secrets(
    project: Project, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "GIT_TOKEN"):
        monkeypatch.setenv(name, f"canary-{name}")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:canary@proxy.example.com")
    code = "import json, os, pathlib; print(json.dumps(dict(os.environ))); exit(1)"
    dumping = [PYTHON, "-c", code]
    done = check(
        quality=[{"command": dumping, "name": "dump"}],
        env={"MODE": "test"},
        secrets={"DB_PASSWORD": "canary-DB_PASSWORD"},
    )
    [result] = done.runs()["dump"]["results"]
    said = result["message"]["text"]
    assert '"MODE": "test"' in said  # it is the environment
    assert "canary" not in said
    assert str(Path.home()) not in said.partition('"HOME": "')[2].partition('"')[0]


def test_unit_tests_get_those_secrets_that_are_named(project: Project, check: Check) -> None:
    project.write(
        {
            "tests/test_secret.py": (
                "import os\n\n\n"
                "def test_it():\n"
                '    print(os.environ["DB_PASSWORD"])\n'
                '    assert os.environ["DB_PASSWORD"] == "other"\n'
            )
        }
    )
    secrets = {"DB_PASSWORD": "canary-password", "OTHER": "canary-other"}
    without = check(unit={}, secrets=secrets)
    assert "KeyError" in without.said
    done = check(unit={"secrets": ["DB_PASSWORD"]}, secrets=secrets)
    assert is_gate(done.error)
    assert "AssertionError: assert '***' == 'other'" in done.said
    for file in project.root.rglob("*"):
        if file.is_file() and file.suffix in (".xml", ".sarif", ".html", ".json"):
            # What pytest itself writes goes with the stage's own folder.
            assert "tools" in file.parts or b"canary" not in file.read_bytes(), file
    with pytest.raises(StageError, match="GIT_TOKEN is not given"):
        raise check(unit={"secrets": ["GIT_TOKEN"]}).error or AssertionError


# -- what fails a stage --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fail_on", "fails"),
    [
        ("low", True),
        ("medium", True),
        ("high", False),
        ("never", False),
        ({"ruff": "critical"}, False),
        ({"ruff": "medium", "default": "never"}, True),
    ],
)
def test_thresholds_are_of_all_tools_or_of_one(
    project: Project, check: Check, fail_on: object, fails: bool
) -> None:
    project.write({"service/unused.py": "import os\n"})
    done = check(quality=["ruff"], fail_on=fail_on)
    assert is_gate(done.error) == fails
    assert done.metrics["findings.medium"] == 1
    assert done.metrics["findings.failing"] == fails


def test_too_little_coverage_misses_a_gate(project: Project, check: Check) -> None:
    project.write(
        {"service/more.py": "def never():\n    return 1\n\n\ndef again():\n    return 2\n"}
    )
    unit = {"coverage": {"minimum": 80, "of": ["service"]}}
    done = check(unit=unit)
    assert is_gate(done.error)
    assert done.metrics["coverage"] == pytest.approx(100 * 2 / 6)  # statements of the package
    assert getattr(done.error, "metric", "") == "coverage"
    assert getattr(done.error, "bound", "") == ">= 80"
    done = check(unit={"coverage": {"of": ["service"]}})
    assert done.result is not None  # without a minimum it is for the recipe's gates


# -- tools that cannot do their work ---------------------------------------------------------------


def test_a_tool_that_crashes_hides_nothing(project: Project, check: Check) -> None:
    project.write({"service/unused.py": "import os\n"})
    crash = {"command": [PYTHON, "-c", "import os; os.abort()"], "name": "crashing"}
    done = check(quality=["ruff", crash])
    assert isinstance(done.error, StageError)
    assert not is_gate(done.error)
    assert "crashing could not do its work" in done.said
    assert "it was ended by signal 6" in done.said
    assert "service/unused.py:1" in done.said
    assert done.found() == [("ruff", "F401", "service/unused.py", 1)]
    [invocation] = done.runs()["crashing"]["invocations"]
    assert not invocation["executionSuccessful"]


def test_a_tool_that_is_missing_says_how_to_install_it(
    project: Project, check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "bin"
    elsewhere.mkdir()
    (elsewhere / "python").symlink_to(PYTHON)
    monkeypatch.setattr(sys, "executable", str(elsewhere / "python"))
    monkeypatch.setenv("PATH", str(elsewhere))
    done = check(quality=["ruff", {"command": ["./no-such"]}], security=["bandit"])
    assert "ruff: ruff is not installed" in done.said
    assert "bandit: bandit is not installed" in done.said
    assert 'no-such: there is no program "./no-such"' in done.said
    assert "pip install 'mlpipe-framework-checks[quality]'" in done.said
    assert "pip install 'mlpipe-framework-checks[security]'" in done.said


def test_a_tool_that_takes_too_long_is_stopped_with_all_it_started(check: Check) -> None:
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "time.sleep(600)\n"
    )
    began = time.monotonic()
    slow = {"command": [PYTHON, "-c", code], "name": "slow", "timeout": 1}
    done = check(quality=["ruff", slow])
    assert "slow: it took more than 1 s and was stopped" in done.said
    assert "timeout: 20m" in done.said
    assert time.monotonic() - began < 120


def test_a_tool_that_writes_too_much_is_stopped(check: Check) -> None:
    code = "import sys\nfor _ in range(100): sys.stdout.write('x' * 2**20)\n"
    done = check(quality=[{"command": [PYTHON, "-c", code], "name": "loud"}])
    assert "loud: it wrote more than 64 MB" in done.said


def test_a_command_is_killed_with_its_children(tmp_path: Path) -> None:
    child = "import time, pathlib; pathlib.Path('born').touch(); time.sleep(600)"
    code = (
        "import pathlib, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "while not pathlib.Path('born').exists(): time.sleep(0.01)\n"
        "print('x' * 100, flush=True)\n"
        "time.sleep(600)\n"
    )
    with pytest.raises(Trouble, match="it wrote more than"):
        processes.run([PYTHON, "-c", code], folder=tmp_path, environment={}, seconds=120, limit=10)
    assert (tmp_path / "born").exists()
    end = time.monotonic() + 30
    while left := [path for path in Path("/proc").glob("[0-9]*") if _folder(path) == str(tmp_path)]:
        assert time.monotonic() < end, left
        time.sleep(0.01)


def _folder(process: Path) -> str:
    try:
        return str((process / "cwd").readlink())
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("wanted", "fits"), [("{}", True), (">={}", True), ("0.0.*", False), ("<0.1", False)]
)
def test_other_versions_than_wanted_are_refused(check: Check, wanted: str, fits: bool) -> None:
    version = metadata.version("ruff")
    done = check(quality=["ruff"], versions={"ruff": wanted.format(version)})
    assert (done.error is None) == fits
    if not fits:
        assert f"ruff: its version is {version}, and the recipe wants" in done.said


def test_settings_that_cannot_be_read_are_told_at_once(project: Project, check: Check) -> None:
    project.write({"pyproject.toml": "[tool.ruff\n"})
    done = check(quality=["ruff"])
    assert "pyproject.toml cannot be read" in done.said
    assert "line 1" in done.said


def test_what_another_stage_made_is_left_as_it_is(project: Project, check: Check) -> None:
    before = sorted(project.source.rglob("*"))
    check(**EVERYTHING)
    assert sorted(project.source.rglob("*")) == before
