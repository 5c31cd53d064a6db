"""What a stage leaves: SARIF, JUnit XML and a page, and what it reads of them from others."""

import json
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic_sarif.model import (  # type: ignore[import-untyped]
    StaticAnalysisResultsFormatSarifVersion210JsonSchema as SarifSchema,
)

from mlpipe_checks import sarif
from mlpipe_checks.values import Finding, Severity
from tests.plugins.checks.check_projects import Checked, Project, is_gate

Check = Callable[..., Checked]
PYTHON = sys.executable

NASTY = '<script>alert("1")</script>'
FAULTS = {
    "service/a b/ünused.py": "import os\n",
    "tests/test_bad.py": f"def test_bad():\n    raise ValueError({NASTY!r} + chr(1))\n",
}


@pytest.fixture
def faulty(project: Project, check: Check) -> Checked:
    """A check with findings of two tools, and one tool that could not do its work."""
    project.write(FAULTS)
    crash = {"command": [PYTHON, "-c", "import os; os.abort()"], "name": "crashing"}
    return check(unit={}, quality=["ruff", "mypy", crash], fail_on="high")


def test_reports_are_whole(faulty: Checked) -> None:
    """One check, all its reports: each takes seconds to make."""
    _check_sarif(faulty)
    _check_junit(faulty)
    _check_page(faulty)


def _check_sarif(done: Checked) -> None:
    whole = json.loads(done.kept("checks.sarif").read_bytes())
    SarifSchema.model_validate(whole)
    assert [run["tool"]["driver"]["name"] for run in whole["runs"]] == [
        "unit",
        "ruff",
        "mypy",
        "crashing",
    ]
    [result] = done.runs()["ruff"]["results"]
    assert result["ruleId"] == "F401"
    assert result["level"] == "warning"
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "service/a%20b/%C3%BCnused.py"
    assert location["region"] == {"startLine": 1, "startColumn": 8}
    rule = done.runs()["ruff"]["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["helpUri"] == "https://docs.astral.sh/ruff/rules/unused-import"
    # It can be read again, as the SARIF of any other tool.
    found = sarif.read(done.kept("checks.sarif").read_bytes(), "again", str)
    assert (
        Finding(
            "again",
            "F401",
            Severity.MEDIUM,
            "`os` imported but unused",
            "service/a b/ünused.py",
            1,
            8,
            "https://docs.astral.sh/ruff/rules/unused-import",
        )
        in found.findings
    )


def _check_junit(done: Checked) -> None:
    top = ElementTree.fromstring(done.kept("checks.junit.xml").read_bytes())
    suites = {suite.get("name"): suite for suite in top}
    assert set(suites) == {"pytest", "ruff", "mypy", "crashing"}
    assert [suites["pytest"].get(key) for key in ("tests", "failures")] == ["2", "1"]
    names = {case.get("name") for case in suites["pytest"]}
    assert names == {"test_prices_add_up", "test_bad"}
    [case] = suites["ruff"]
    assert case.find("failure") is not None
    assert (case.get("file"), case.get("line")) == ("service/a b/ünused.py", "1")
    [clean] = suites["mypy"]
    assert len(clean) == 0
    [crashed] = suites["crashing"]
    assert crashed.find("error") is not None
    assert (top.get("tests"), top.get("failures"), top.get("errors")) == ("5", "2", "1")


def _check_page(done: Checked) -> None:
    text = done.kept("checks.html").read_text("utf-8")
    seen = _Seen()
    seen.feed(text)
    assert "script" not in seen.tags
    assert "tests/test_bad.py:2" in text
    assert "&lt;script&gt;alert" in text
    assert not seen.loaded  # it is whole: nothing is fetched
    assert "crashing" in text
    assert "it was ended by signal 6" in text


class _Seen(HTMLParser):
    """Notes the tags of a page, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loaded += [str(value) for name, value in attrs if name == "src" or tag == "link"]


def test_known_findings_are_told_apart(project: Project, check: Check) -> None:
    project.write({"service/unused.py": "import os\n"})
    check(quality=["ruff"])
    last = next((project.root / ".mlpipe/checks/last").iterdir())
    (project.root / "known.json").write_bytes(last.read_bytes())
    done = check(quality=["ruff"], baseline="known.json")
    assert done.result is not None
    assert (done.metrics["findings"], done.metrics["findings.known"]) == (0, 1)
    [result] = done.runs()["ruff"]["results"]
    assert result["baselineState"] == "unchanged"
    assert result["suppressions"]
    SarifSchema.model_validate(json.loads(done.kept("checks.sarif").read_bytes()))
    [case] = ElementTree.fromstring(done.kept("checks.junit.xml").read_bytes())[0]
    assert case.find("skipped") is not None
    assert "known" in done.kept("checks.html").read_text("utf-8")


# -- SARIF of others -------------------------------------------------------------------------------


def _sarif(*results: dict[str, Any], rules: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    driver = {"name": "other", "rules": rules or []}
    return {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": list(results)}]}


def _writing(text: str) -> dict[str, Any]:
    code = f"import pathlib; pathlib.Path('out.sarif').write_text({text!r})"
    return {"command": [PYTHON, "-c", code], "name": "other", "sarif": "out.sarif"}


def test_a_command_is_judged_by_its_sarif(project: Project, check: Check) -> None:
    place = {"artifactLocation": {"uri": "service/prices.py"}, "region": {"startLine": 4}}
    results = (
        {
            "ruleId": "A1",
            "level": "error",
            "message": {"text": "one"},
            "locations": [{"physicalLocation": place}],
        },
        {"ruleIndex": 0, "message": {"id": "said", "arguments": ["two"]}},
        {"ruleId": "A3", "level": "note", "message": {"text": "three"}},
        {"ruleId": "A4", "message": {"text": "none"}, "suppressions": [{"kind": "inSource"}]},
        {"ruleId": "A5", "message": {"text": "none"}, "kind": "pass"},
    )
    rule = {
        "id": "A2",
        "properties": {"security-severity": "9.1"},
        "messageStrings": {"said": {"text": "it is {0}"}},
    }
    done = check(security=[_writing(json.dumps(_sarif(*results, rules=[rule])))])
    assert is_gate(done.error)
    assert done.found() == [
        ("other", "A1", "service/prices.py", 4),
        ("other", "A2", "", 0),
        ("other", "A3", "", 0),
    ]
    levels = ("critical", "high", "medium", "low")
    assert [done.metrics[f"findings.{level}"] for level in levels] == [1, 1, 0, 1]
    assert "critical  other  A2  it is two" in done.said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no JSON", "its SARIF is no JSON"),
        ("[]", "its report is no SARIF 2.1.0"),
        ('{"version": "2.1.0", "runs": [{"results": [{}]}]}', "its SARIF is not as the standard"),
        ('{"version": "2.1.0", "runs": 7}', "its SARIF is not as the standard says"),
    ],
)
def test_sarif_that_is_none_is_a_failure_of_the_tool(check: Check, text: str, said: str) -> None:
    done = check(security=[_writing(text)])
    assert f"other: {said}" in done.said
    assert not is_gate(done.error)


def test_sarif_that_was_not_written_is_a_failure_of_the_tool(check: Check) -> None:
    idle = {"command": [PYTHON, "-c", "exit(3)"], "name": "idle", "sarif": "out.sarif"}
    silent = {
        "command": [PYTHON, "-c", f"print({json.dumps(json.dumps(_sarif()))}); exit(3)"],
        "name": "silent",
        "sarif": "-",
    }
    done = check(security=[idle, silent])
    assert "idle: it did not write out.sarif, and ended with code 3" in done.said
    assert "silent: its SARIF names no finding, but it ended with code 3" in done.said


# -- unit tests of any kind ----------------------------------------------------------------------


def test_any_command_can_run_unit_tests(project: Project, check: Check) -> None:
    junit = (
        '<testsuite name="own" tests="2"><testcase classname="shop.Basket" name="adds"/>'
        '<testcase classname="shop.Basket" name="empties" file="shop.py" line="7">'
        '<error message="it did not"/></testcase></testsuite>'
    )
    code = (
        "import pathlib, sys\n"
        f"pathlib.Path('junit.xml').write_text({junit!r})\n"
        "pathlib.Path('coverage.xml').write_text('<coverage line-rate=\"0.875\"/>')\n"
        "sys.exit(1)\n"
    )
    unit = {
        "command": [PYTHON, "-c", code],
        "junit": "junit.xml",
        "coverage": {"minimum": 80, "report": "coverage.xml"},
    }
    done = check(unit=unit)
    assert is_gate(done.error)
    assert done.found() == [("unit", "error", "shop.py", 7)]
    assert (done.metrics["tests"], done.metrics["coverage"]) == (2, 87.5)
    done = check(unit={"command": [PYTHON, "-c", "print('two are wrong'); exit(2)"]})
    assert "ended with code 2: two are wrong" in done.said
    assert "tests" not in done.metrics


@pytest.mark.parametrize(
    ("junit", "said"),
    [
        ("", "it did not write junit.xml"),
        ("<testsuite", "junit.xml is no JUnit XML"),
        ("<other/>", "junit.xml is no JUnit XML: its root is <other>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><testsuite>&b;</testsuite>', "junit.xml is no JUnit XML"),
    ],
)
def test_junit_that_is_none_is_a_failure_of_the_tool(check: Check, junit: str, said: str) -> None:
    write = f"import pathlib; pathlib.Path('junit.xml').write_text({junit!r})" if junit else ""
    done = check(unit={"command": [PYTHON, "-c", write], "junit": "junit.xml"})
    assert f"unit: {said}" in done.said


def test_reports_of_an_earlier_run_do_not_count(project: Project, check: Check) -> None:
    passed = '<testsuite name="old"><testcase classname="a" name="b"/></testsuite>'
    project.write({"junit.xml": passed, "out.sarif": json.dumps(_sarif())})
    idle = [PYTHON, "-c", ""]
    done = check(
        unit={"command": idle, "junit": "junit.xml"},
        security=[{"command": idle, "name": "idle", "sarif": "out.sarif"}],
    )
    assert "unit: it did not write junit.xml" in done.said
    assert "idle: it did not write out.sarif" in done.said


def test_pytest_that_fails_without_a_failed_test_is_a_finding(
    project: Project, check: Check
) -> None:
    conftest = "def pytest_sessionfinish(session):\n    session.exitstatus = 1\n"
    project.write({"conftest.py": conftest})
    done = check(unit={})
    assert is_gate(done.error)
    assert done.found() == [("unit", "exit-1", "", 0)]
    assert done.metrics["tests.failed"] == 0


def test_a_folder_without_tests_is_told(project: Project, check: Check) -> None:
    (project.source / "tests/test_prices.py").unlink()
    done = check(unit={"coverage": {"of": ["service"]}})
    assert "unit: it found no tests" in done.said
    assert not is_gate(done.error)


def test_coverage_of_what_no_test_runs_is_told(project: Project, check: Check) -> None:
    done = check(unit={"coverage": {"of": ["elsewhere"]}})
    assert "elsewhere" in done.said
    assert "coverage: {of: [service]}" in done.said


def test_tests_that_cannot_be_collected_are_findings(project: Project, check: Check) -> None:
    project.write({"tests/test_broken.py": "import no_such_module\n"})
    done = check(unit={})
    assert is_gate(done.error)
    assert ("unit", "error", "tests/test_broken.py", 1) in done.found()


def test_coverage_needs_coverage_where_the_tests_run(project: Project, check: Check) -> None:
    """A virtual environment that has pytest, and no coverage.py."""
    python = project.source / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    hiding = (
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'coverage': raise ModuleNotFoundError(\"No module named 'coverage'\")\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    project.write({"env/hidden/sitecustomize.py": hiding})
    hidden = python.parent.parent / "hidden"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={hidden} exec {PYTHON} "$@"\n')
    (python.parent / "pytest").write_text("#!/bin/sh\n")
    for program in python.parent.iterdir():
        program.chmod(0o755)
    done = check(unit={"command": ["env/bin/pytest"], "coverage": {}})
    assert "coverage.py is not installed where the tests run" in done.said
