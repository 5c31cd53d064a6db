"""What benchmarks share: printing past pytest's capture, repetition, leaving out the long ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines import podman_engine, registry, short_folder

__all__ = ["podman_engine", "registry", "short_folder"]

_MUCH = ("test_other_servers.py", "test_other_tools.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the comparisons with what must be installed unless ``--full`` asks for them."""
    if collection_path.name in _MUCH and not config.getoption("--full"):
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count a bound as missed when it is missed four times in a row.

    Other work on a shared machine changes caches and clock rates within a measurement, ratios
    too. What has become slower misses its bound each time.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=3))


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Give a function that prints where pytest does not swallow it."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end="", flush=True)  # noqa: T201 - benchmarks are read as they run

    return show
