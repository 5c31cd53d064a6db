"""Unit tests: a command, the JUnit XML that it writes, and coverage."""

import json
import re
import sys
from pathlib import Path
from xml.etree.ElementTree import ParseError

from mlpipe_checks import junit
from mlpipe_checks.benches import Bench
from mlpipe_checks.config import UNIT, Coverage, Unit, is_pytest
from mlpipe_checks.processes import Done
from mlpipe_checks.values import Finding, Findings, Severity, Tests, Trouble

_NO_COVERAGE = re.compile(r"No module named '?coverage\b")
# What pytest returns: https://docs.pytest.org/en/stable/reference/exit-codes.html
_FAILED, _INTERRUPTED, _NOTHING = 1, 2, 5


def run(unit: Unit, bench: Bench) -> Findings:
    """Run the tests, in the folder that is checked."""
    for name in (unit.junit, unit.coverage.report if unit.coverage else None):
        if name is not None:  # what an earlier run left is no report of this one
            (bench.source / name).unlink(missing_ok=True)
    return _pytest(unit, bench) if is_pytest(unit.command) else _any(unit, bench)


def _pytest(unit: Unit, bench: Bench) -> Findings:
    report = bench.source / unit.junit if unit.junit else bench.scratch / "junit.xml"
    python = _python(unit, bench)
    measured = unit.coverage if unit.coverage and not unit.coverage.report else None
    before = _measuring(measured, bench) if measured else []
    options = ["-p", "no:cacheprovider", f"--junit-xml={report}"]
    command = [python, *before, "-m", "pytest", *unit.command[1:], *options]
    done = _run(command, bench)
    _check_pytest(done)
    tests, found = _read(report, done, bench)
    # It fails too where all tests pass, as when a plugin of its wants more of them.
    return Findings(found or _by_code(unit, done), tests, _coverage(unit.coverage, python, bench))


def _any(unit: Unit, bench: Bench) -> Findings:
    done = _run(bench.own(unit.command), bench)
    if done.code < 0:
        raise Trouble(f"it was ended by signal {-done.code}: {done.said}")
    coverage = _coverage(unit.coverage, "", bench)
    if unit.junit is not None:
        tests, found = _read(bench.source / unit.junit, done, bench)
        return Findings(found or _by_code(unit, done), tests, coverage)
    return Findings(_by_code(unit, done), None, coverage)


def _run(command: list[str], bench: Bench) -> Done:
    """Run the tests, in the environment that the recipe sets for them."""
    variables = {**bench.variables, **bench.secrets}
    done = bench.run(command, fine=None, variables=variables)
    print((done.out + done.err).decode(errors="replace"), end="", flush=True)
    return done


def _python(unit: Unit, bench: Bench) -> str:
    """Give the interpreter beside the pytest that is named, so that the folder is importable."""
    beside = Path(bench.own(unit.command)[0]).parent / "python"
    return str(beside) if beside.exists() else sys.executable


def _measuring(coverage: Coverage, bench: Bench) -> list[str]:
    options = [f"--data-file={bench.scratch / 'coverage'}"]
    options += ["--branch"] if coverage.branch else []
    return ["-m", "coverage", "run", *options, f"--source={','.join(coverage.of or ['.'])}"]


def _check_pytest(done: Done) -> None:
    said = (done.out + done.err).decode(errors="replace")
    if done.code == 1 and _NO_COVERAGE.search(said):
        raise Trouble(
            "coverage.py is not installed where the tests run",
            "Install it there, as: pip install 'mlpipe-framework-checks[unit]'",
        )
    if done.code == _NOTHING:
        raise Trouble(
            "it found no tests",
            "Write some, as tests/test_service.py, or leave unit: out.",
        )
    if done.code not in (0, _FAILED, _INTERRUPTED):
        raise Trouble(f"pytest ended with code {done.code}: {done.said}")


def _read(report: Path, done: Done, bench: Bench) -> tuple[Tests, tuple[Finding, ...]]:
    try:
        return junit.read(report.read_bytes(), UNIT, bench.relative)
    except FileNotFoundError:
        raise Trouble(
            f"it did not write {report.name}, and ended with code {done.code}: {done.said}"
        ) from None
    except (ParseError, ValueError) as error:
        raise Trouble(f"{report.name} is no JUnit XML: {error}") from None


def _by_code(unit: Unit, done: Done) -> tuple[Finding, ...]:
    if not done.code:
        return ()
    message = f"{' '.join(unit.command)} ended with code {done.code}: {done.said.splitlines()[-1]}"
    return (Finding(UNIT, f"exit-{done.code}", Severity.HIGH, message),)


def _coverage(coverage: Coverage | None, python: str, bench: Bench) -> float | None:
    if coverage is None:
        return None
    if coverage.report is not None:
        return junit.read_cobertura(bench.source / coverage.report)
    report = bench.scratch / "coverage.json"
    data = f"--data-file={bench.scratch / 'coverage'}"
    done = bench.run([python, "-m", "coverage", "json", "-q", data, "-o", str(report)], fine=None)
    if not report.exists():
        raise Trouble(
            f"no coverage of {', '.join(coverage.of or ['the folder'])}: {done.said}",
            "Name packages or folders that the tests import: coverage: {of: [service]}",
        )
    return float(json.loads(report.read_bytes())["totals"]["percent_covered"])
