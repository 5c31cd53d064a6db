"""Graphs of tiny stages, where all that is measured is the tool's own work."""

import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.benchmarks.graphs import CHAIN, GRAPHS, THOUSAND, WIDE, layered
from tests.benchmarks.tools import DVC, LOOP, MAKE, MLPIPE, first_and_again


@dataclass(frozen=True)
class Bounds:
    """Largest ratios to what make takes, which starts an interpreter for each stage.

    Attributes:
        first: Wall seconds of a first run. About 0.4 and 0.2 on an idle machine of two cores.
        again: Wall seconds of an unchanged run. About 0.15 and 0.03.
    """

    first: float
    again: float


BOUNDS = {WIDE: Bounds(2.0, 0.8), THOUSAND: Bounds(1.0, 0.2)}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_stage_costs_less_than_an_interpreter(
    name: str, tmp_path: Path, show: Callable[[str], None]
) -> None:
    graph = GRAPHS[name]()
    # A hundred interpreters tell what a thousand would take.
    sample = layered(10, 10) if name == THOUSAND else graph
    make, _ = first_and_again(MAKE, tmp_path / "make", sample)
    loop, _ = first_and_again(LOOP, tmp_path / "loop", graph)
    first, again = first_and_again(MLPIPE, tmp_path / "mlpipe", graph)
    interpreters = make.wall * len(graph) / len(sample)
    show(
        f"  {name:<20} loop {loop.wall:5.2f} s, make {interpreters:5.2f} s,"
        f" mlpipe {first.wall:5.2f} s (CPU {first.cpu:5.2f}), again {again.wall:4.2f} s"
    )
    assert recorded(tmp_path / "mlpipe") == len(graph), "each finished stage must be in the store"
    assert first.wall < BOUNDS[name].first * interpreters
    assert again.wall < BOUNDS[name].again * interpreters


def test_a_chain_costs_less_than_with_dvc(tmp_path: Path, show: Callable[[str], None]) -> None:
    graph = GRAPHS[CHAIN]()
    theirs = first_and_again(DVC, tmp_path / "dvc", graph, Path(sys.executable).parent)
    ours = first_and_again(MLPIPE, tmp_path / "mlpipe", graph)
    show(
        f"  {CHAIN:<20} dvc {theirs[0].cpu:5.2f} CPU s, again {theirs[1].cpu:4.2f},"
        f" mlpipe {ours[0].cpu:5.2f} CPU s, again {ours[1].cpu:4.2f}"
    )
    assert recorded(tmp_path / "mlpipe") == len(graph)
    assert ours[0].cpu < theirs[0].cpu
    assert ours[1].cpu < theirs[1].cpu


def recorded(project: Path) -> int:
    """Count the results that the store of a project holds."""
    connection = sqlite3.connect(project / ".mlpipe" / "state.db")
    try:
        (count,) = connection.execute("SELECT count(*) FROM results").fetchone()
    finally:
        connection.close()
    return int(count)
