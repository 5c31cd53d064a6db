"""A project that notifies, and who hears it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.notify.notify_project import Listener, Notifying


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A server on loopback."""
    server = Listener()
    yield server
    server.close()


@pytest.fixture
def project(tmp_path: Path) -> Notifying:
    """An empty project."""
    (tmp_path / ".mlpipe").mkdir()
    return Notifying(tmp_path)
