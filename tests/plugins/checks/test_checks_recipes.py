"""Recipes with ``checks.check``: plans, cache, gates, baseline."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.plugins.checks.check_projects import CLEAN

RECIPE = """
name: service
stages:
  checked:
    uses: checks.check
    env: {PYTEST_DISABLE_PLUGIN_AUTOLOAD: 1}
    with:
      folder: .
      quality: [ruff]
      baseline: checks-baseline.json
"""


@dataclass(frozen=True)
class Folder:
    """A project that is checked by ``mlpipe``."""

    root: Path

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def mlpipe(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mlpipe", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "service")
    for name, text in CLEAN.items():
        made.write(name, text)
    made.write("service.yaml", RECIPE)
    subprocess.run(["git", "init", "--quiet"], cwd=made.root, check=True)
    return made


def test_findings_are_known_once_they_are_in_the_baseline(folder: Folder) -> None:
    folder.write("service/faults.py", "import os\n")
    said = folder.mlpipe("run", "service", code=3)
    assert "medium  ruff  F401  service/faults.py:1" in said
    assert "mlpipe checks baseline service" in said
    assert "look at" in said
    assert "checks.html" in said
    assert "1 known finding" in folder.mlpipe("checks", "baseline", "service")
    assert "1 known" in folder.mlpipe("run", "service")
    # Lines above it move it; it stays known. A second one like it is new.
    folder.write("service/faults.py", '"""Faults."""\n\n\nimport os\n')
    assert "0 findings · 1 known" in folder.mlpipe("run", "service")
    folder.write("service/faults.py", '"""Faults."""\n\nimport os\nimport os\n')
    folder.mlpipe("run", "service", code=3)
    # What is repaired leaves the baseline when that is written anew.
    folder.write("service/faults.py", "")
    folder.mlpipe("run", "service")
    assert "0 known findings" in folder.mlpipe("checks", "baseline", "service")
    assert json.loads((folder.root / "checks-baseline.json").read_bytes())["findings"] == []


def test_a_result_is_taken_again_until_what_was_read_changes(folder: Folder) -> None:
    folder.mlpipe("run", "service")
    assert "cached" in folder.mlpipe("plan", "service")
    folder.write(".gitignore", "ignored\n")
    folder.mlpipe("run", "service")
    folder.write("ignored", "by Git")
    assert "cached" in folder.mlpipe("plan", "service")
    folder.write("service/more.py", '"""More."""\n')
    assert "cached" not in folder.mlpipe("plan", "service")


def test_metrics_are_there_for_gates(folder: Folder) -> None:
    folder.write(
        "service.yaml",
        RECIPE.replace("quality: [ruff]", "unit: {coverage: {of: [service]}}").replace(
            "    with:", '    gate: {coverage: ">= 80", tests: ">= 2"}\n    with:'
        ),
    )
    said = folder.mlpipe("run", "service", code=3)
    assert "tests 1, wanted ≥ 2" in said
    assert "coverage" in said


PIPELINE = """
name: pipeline
stages:
  code:
    uses: git.checkout
    with: {repository: ., dirty: include}
  checked:
    uses: checks.check
    inputs: {source: code.source}
    with:
      quality: [ruff, {tool: ruff-format, timeout: 1m}, {command: ["true"]}]
      security:
        - detect-secrets
        - {tool: pip-audit, advisories: advisories}
      fail_on: {default: high, ruff: never}
"""


def test_what_git_checked_out_is_checked(folder: Folder) -> None:
    advisory = {
        "id": "PYSEC-1",
        "affected": [
            {
                "package": {"name": "requests", "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "3"}]}],
            }
        ],
    }
    folder.write("pipeline.yaml", PIPELINE)
    folder.write(".gitignore", "advisories\n")
    folder.write("advisories/PYSEC-1.json", json.dumps(advisory))
    folder.write("requirements.txt", "requests==2.19.0\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["add", "."], [*who, "commit", "--quiet", "-m", "one"]):
        subprocess.run(["git", *command], cwd=folder.root, check=True)
    folder.mlpipe("run", "pipeline")
    assert folder.mlpipe("plan", "pipeline").count("cached") == 2
    schema = json.loads(folder.mlpipe("schema"))
    jsonschema.validate(yaml.safe_load(PIPELINE), schema)
    # The sources are the same; an advisory is wider now.
    advisory["affected"][0]["ranges"][0]["events"] = [{"introduced": "0"}]  # type: ignore[index]
    folder.write("advisories/PYSEC-1.json", json.dumps(advisory))
    said = folder.mlpipe("run", "pipeline", code=3)
    assert "high  pip-audit  PYSEC-1  requirements.txt:1" in said
    assert "code" in said.partition("cached")[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("quality: [rufff]", 'unknown tool "rufff". Did you mean ruff? Tools of quality: '),
        ("quality: [bandit]", '"bandit" does not belong to quality, whose tools are ruff-format'),
        ("security: [{path: x}]", "a tool without a name. Tools of security: bandit, pip-audit"),
        ("quality: []", "nothing to check"),
        ("quality: [ruff, ruff]", 'two tools are called "ruff"'),
        ("quality: [{command: [./high]}]", '"high" cannot be a tool\'s name'),
        ("quality: [ruff], versions: {mypy: 1.0}", "versions.mypy"),
        ('quality: [ruff], versions: {mypy: "1.*"}', '"mypy" is no tool of this stage: ruff'),
        ("quality: [ruff], versions: {ruff: new}", '"new" is no version'),
        ("quality: [ruff], fail_on: bad", "fail_on"),
        ("quality: [{tool: ruff, argz: []}]", "argz"),
        ("security: [{tool: licences, deny: [Nonsense-1]}]", '"Nonsense-1" is no SPDX'),
        ("unit: {command: [make, test], coverage: {of: [x]}}", "coverage: {report: coverage.xml}"),
        ("quality: [ruff], baseline: ../b.json", '"../b.json" is not within the folder'),
        ("quality: [{command: [a], sarif: /etc/x}]", '"/etc/x" is not within the folder'),
        ("unit: {junit: ../../x.xml}", '"../../x.xml" is not within the folder'),
        ("security: [{tool: hadolint, paths: [/*]}]", '"/*" is not within the folder'),
    ],
)
def test_bad_settings_are_problems_of_the_recipe(folder: Folder, settings: str, said: str) -> None:
    text = RECIPE.partition("    with:")[0] + f"    with: {{folder: ., {settings}}}\n"
    folder.write("service.yaml", text)
    problems = folder.mlpipe("plan", "service", code=2)
    assert said in problems
    assert "service.yaml:" in problems


@pytest.mark.parametrize("arguments", [("--stage", "other"), ()])
def test_there_is_no_baseline_of_what_did_not_run(folder: Folder, arguments: Sequence[str]) -> None:
    said = folder.mlpipe("checks", "baseline", "service", *arguments, code=2)
    assert ("no such stage" in said) if arguments else ("mlpipe run service" in said)


def test_what_to_check_is_said_in_one_way(folder: Folder) -> None:
    folder.write("service.yaml", RECIPE.replace("      folder: .\n", ""))
    assert "say what to check" in folder.mlpipe("plan", "service", code=2)


def test_a_baseline_that_cannot_be_read_is_an_error(folder: Folder) -> None:
    folder.write("checks-baseline.json", '{"version": 7}')
    said = folder.mlpipe("run", "service", code=1)
    assert "this is no baseline: its version is 7" in said
