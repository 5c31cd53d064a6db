"""What all tests share: the place of the repository, and a guard against silent skips."""

import os
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

#: Reasons for which a test may be skipped where continuous integration runs.
ALLOWED_SKIPS = (
    "PyTorch is not here",
    "MPI is not here",
    "no containers here",
    "no SSH server here",
    "this system has no setpriv",
    "wrk is not here",
    "PostgreSQL is not installed",
    "PostgreSQL does not run as root",
)


#: Files whose tests share what takes long to set up.
TOGETHER = (
    "tests/examples/test_versioned_data.py",
    "tests/framework/test_packaging.py",
    "tests/plugins/mlflow/test_mlflow_ui.py",
    "tests/recipes/test_diagnosis.py",
    "tests/recipes/test_diagnosis_aws.py",
    "tests/recipes/test_service.py",
    "tests/recipes/test_wine.py",
)


class SkipGuard:
    """Fails the session when a test was skipped for a reason that is not allowed.

    Args:
        allowed: How allowed reasons begin.
    """

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = allowed
        self._unexpected: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._note(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._note(report.nodeid, report.longrepr)

    def _note(self, nodeid: str, longrepr: Any) -> None:
        reason = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr)
        if not reason.removeprefix("Skipped: ").startswith(self._allowed):
            self._unexpected.append(f"{nodeid}: {reason}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._unexpected and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._unexpected:
            terminalreporter.section("skips that are not allowed here", red=True)
            for line in self._unexpected:
                terminalreporter.line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips",
        action="store_true",
        default=os.environ.get("CI") == "true",
        help="fail when a test is skipped for a reason that is not allowed (default with CI=true)",
    )
    parser.addoption("--full", action="store_true", help="run benchmarks and soaks at full length")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--no-skips") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkipGuard(ALLOWED_SKIPS), "skip-guard")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep tests that share what takes long to set up on one worker; spread all others.

    pytest-xdist's marks for that have no effect with this version of pytest.
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class Together(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if file in TOGETHER else nodeid

    return Together(config, log)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder of this repository. Read-only."""
    return REPOSITORY
