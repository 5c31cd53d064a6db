"""Servers that are made for models, each in an environment of its own, beside an endpoint."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.serving import BENTOML, LITSERVE, Peer, material, mlpipe, peer
from tests.benchmarks.test_other_tools import install
from tests.benchmarks.test_serving import measured, pytestmark, table

__all__ = ["pytestmark"]


@pytest.mark.parametrize("other", [LITSERVE, BENTOML], ids=lambda other: other.name.split()[0])
def test_servers_of_models_cost_more(
    other: Peer, tmp_path: Path, repository: Path, show: Callable[[str], None]
) -> None:
    programs = install(other, repository / "build" / "bench" / "venvs" / other.name.split()[0])
    given = material(tmp_path)
    with mlpipe(given) as ours, peer(given, other, programs) as running:
        found = measured(given, [ours, running], 3, 4)
    show(table(found))
    for (name, connections), theirs in found.items():
        if name == other.name:
            assert found[ours.name, connections].cpu < theirs.cpu
