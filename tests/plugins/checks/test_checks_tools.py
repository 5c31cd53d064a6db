"""The tools themselves, each on sources with its kind of bug."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugins.checks.check_projects import Checked, Project, is_gate

Check = Callable[..., Checked]

DOCKERFILE = "FROM debian:12\nMAINTAINER somebody\nRUN cd /tmp\n"


def test_a_file_that_is_no_python_is_a_finding_of_each_tool(project: Project, check: Check) -> None:
    project.write({"service/broken.py": "def broken(:\n"})
    done = check(quality=["ruff", "ruff-format", "mypy"], security=["bandit"])
    assert is_gate(done.error), done.said
    assert {
        ("ruff", "invalid-syntax", "service/broken.py", 1),
        ("ruff-format", "invalid-syntax", "service/broken.py", 1),
        ("mypy", "syntax", "service/broken.py", 1),
        ("bandit", "not-scanned", "service/broken.py", 0),
    } <= set(done.found())


def test_mypy_looks_at_what_its_configuration_names(project: Project, check: Check) -> None:
    wrong = "def one() -> int:\n    return 'one'\n"
    project.write({"service/wrong.py": wrong, "tools/wrong.py": wrong})
    done = check(quality=["mypy"])
    assert len(done.found()) == 2
    project.write({"pyproject.toml": '[tool.mypy]\nfiles = ["service"]\n'})
    assert [path for *_, path, _ in check(quality=["mypy"]).found()] == ["service/wrong.py"]
    done = check(quality=[{"tool": "mypy", "paths": ["tools"]}])
    assert [path for *_, path, _ in done.found()] == ["tools/wrong.py"]


def test_a_layout_that_mypy_cannot_read_is_told(project: Project, check: Check) -> None:
    (project.source / "service/__init__.py").unlink()
    project.write({"service/more.py": "from service.prices import total\n"})
    done = check(quality=["mypy"])
    assert "mypy: it stopped before it looked at anything: service/" in done.said
    assert "Give packages an __init__.py" in done.said
    assert not is_gate(done.error)


def test_settings_that_a_tool_refuses_are_its_failure(project: Project, check: Check) -> None:
    project.write(
        {"pyproject.toml": '[tool.ruff.lint]\nselect = ["NOPE"]\n[tool.mypy]\npython_version = 7\n'}
    )
    done = check(quality=["ruff", "mypy"])
    assert not is_gate(done.error)
    assert "ruff: it ended with code 2" in done.said
    assert "NOPE" in done.said


def test_settings_of_the_project_around_do_not_count(project: Project, check: Check) -> None:
    """The sources are those of another repository, whose checks are its own."""
    (project.root / "pyproject.toml").write_text('[tool.ruff.lint]\nselect = ["ALL"]\n')
    (project.root / ".gitignore").write_text("*\n")
    assert check(quality=["ruff"]).found() == []
    project.write({"service/unused.py": "import os\n"})
    assert len(check(quality=["ruff"]).found()) == 1


def test_arguments_and_paths_are_passed_on(project: Project, check: Check) -> None:
    project.write({"service/unused.py": "import os\n", "tools/unused.py": "import os\n"})
    done = check(quality=[{"tool": "ruff", "paths": ["tools"], "args": ["--select", "F"]}])
    assert done.found() == [("ruff", "F401", "tools/unused.py", 1)]
    done = check(quality=[{"tool": "ruff", "args": ["--select", "INP"]}])
    assert ("ruff", "INP001", "tools/unused.py", 1) in done.found()


def test_bandit_takes_its_settings_and_quotes_no_password(project: Project, check: Check) -> None:
    project.write({"service/login.py": 'password = "correct-horse-battery"\neval("1")\n'})
    done = check(security=["bandit"], fail_on="low")
    assert ("bandit", "B105", "service/login.py", 1) in done.found()
    assert ("bandit", "B307", "service/login.py", 2) in done.found()
    assert "correct-horse" not in done.log + done.said
    project.write({".venv/lib/x.py": "eval('1')\n", "pkg/.venv.py": ""})
    project.write({"pyproject.toml": '[tool.bandit]\nskips = ["B101", "B105"]\n'})
    done = check(security=["bandit"])
    assert done.found() == [("bandit", "B307", "service/login.py", 2)]


def test_secrets_in_files_are_found_and_not_quoted(project: Project, check: Check) -> None:
    key = "AKIA2E0A8F3B244C9986"
    project.write({"config/settings.ini": f"[aws]\nkey = {key}\n", ".venv/x.ini": f"k = {key}\n"})
    done = check(security=["detect-secrets"])
    assert done.found() == [("detect-secrets", "aws-access-key", "config/settings.ini", 2)]
    assert key not in done.log + done.said


def test_digests_of_our_own_are_no_secrets(project: Project, check: Check) -> None:
    digest = json.dumps({"digest": hashlib.sha256(b"").hexdigest()})
    project.write({"mlpipe.lock": digest, "known.json": digest, "other.json": digest})
    done = check(security=["detect-secrets"], baseline="known.json")
    assert {path for *_, path, _ in done.found()} == {"other.json"}


def test_dockerfiles_are_linted(project: Project, check: Check) -> None:
    project.write({"Dockerfile": DOCKERFILE, "jobs/batch.Dockerfile": DOCKERFILE})
    done = check(security=["hadolint"])
    assert is_gate(done.error)
    assert set(done.found()) == {
        ("hadolint", rule, path, line)
        for path in ("Dockerfile", "jobs/batch.Dockerfile")
        for rule, line in (("DL4000", 2), ("DL3003", 3), ("SC2164", 3))
    }
    assert [done.metrics[f"findings.{level}"] for level in ("high", "medium")] == [2, 4]


def test_no_dockerfile_is_told(check: Check) -> None:
    done = check(security=["hadolint"])
    assert "hadolint: there is no Dockerfile" in done.said
    assert "leave it out" in done.said


def test_a_dockerfile_that_cannot_be_parsed_is_a_finding(project: Project, check: Check) -> None:
    project.write({"Dockerfile": "FROM debian:12\nRUNN true\n"})
    done = check(security=["hadolint"])
    assert done.found() == [("hadolint", "DL1000", "Dockerfile", 2)]


def test_a_program_elsewhere_says_its_version_itself(
    project: Project, check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is not installed beside mlpipe is found on the PATH."""
    hadolint = Path(sys.executable).parent / "hadolint"
    said = subprocess.run([hadolint, "--version"], capture_output=True, text=True, check=True)
    elsewhere = tmp_path / "bin"
    elsewhere.mkdir()
    (elsewhere / "python").symlink_to(sys.executable)
    (elsewhere / "path").mkdir()
    (elsewhere / "path" / "hadolint").symlink_to(hadolint)
    monkeypatch.setattr(sys, "executable", str(elsewhere / "python"))
    monkeypatch.setenv("PATH", str(elsewhere / "path"))
    project.write({"Dockerfile": 'FROM debian:12\nCMD ["true"]\n'})
    done = check(security=["hadolint"])
    assert done.result is not None, done.said
    assert done.result.values["tools"]["hadolint"] == said.stdout.split()[-1]
