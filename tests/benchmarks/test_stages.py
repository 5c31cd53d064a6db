"""Graphs of tiny stages, where all that is measured is the tool's own work."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.graphs import (
    LOOP,
    MAKE,
    MLPIPE,
    PEERS,
    Graph,
    Tool,
    chain,
    environment,
    layered,
)
from tests.benchmarks.measure import Cost, cost

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "build" / "bench"

GRAPHS: dict[str, Callable[[], Graph]] = {
    "chain of 10": lambda: chain(10),
    "100 wide": lambda: layered(1, 100),
    "1,000 in 10 layers": lambda: layered(10, 100),
    "10,000 in 10 layers": lambda: layered(10, 1000),
}
# How much longer than make, which starts an interpreter a stage, a first run may take; and
# which part of the first run an unchanged one may take. Noise is part of the bounds.
BOUNDS = {"chain of 10": (8, 1.0), "100 wide": (4, 0.8), "1,000 in 10 layers": (3, 0.35)}


def both(tool: Tool, folder: Path, graph: Graph, programs: Path) -> tuple[Cost, Cost]:
    """Run a graph with a tool, and again with nothing changed."""
    shutil.rmtree(folder, ignore_errors=True)
    tool.write(folder, graph)
    first = cost(tool.command(programs), folder, environment(), memory=True)
    for name in graph:
        assert (folder / "data" / f"{name}.json").is_file(), f"{tool.name} did not make {name}"
    again = (tool.again or tool.command)(programs)
    return first, cost(again, folder, environment())


def recorded(folder: Path) -> int:
    """Count the results that the store holds."""
    connection = sqlite3.connect(folder / ".mlpipe" / "state.db")
    (count,) = connection.execute("SELECT count(*) FROM results").fetchone()
    connection.close()
    return int(count)


@pytest.mark.parametrize("name", BOUNDS)
def test_first_and_unchanged_runs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = GRAPHS[name]()
    times, part = BOUNDS[name]
    few = graph if len(graph) <= 100 else layered(10, 10)
    make, _ = both(MAKE, tmp_path / "make", few, Path())
    interpreters = make.wall * len(graph) / len(few)
    loop, _ = both(LOOP, tmp_path / "loop", graph, Path())
    first, again = both(MLPIPE, tmp_path / "mlpipe", graph, Path())
    with capsys.disabled():
        sys.stdout.write(
            f"\n  {name:<22} loop {loop.wall:6.2f}  make {interpreters:6.2f}"
            f"  mlpipe {first.wall:6.2f}, again {again.wall:5.2f} s\n"
        )
    assert recorded(tmp_path / "mlpipe") == len(graph)
    assert first.wall < times * interpreters
    assert again.wall < part * first.wall


def test_beside_other_tools(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The table of the documentation; each tool in an environment of its own."""
    if not request.config.getoption("--full"):
        names = {tool.name for tool in PEERS}
        assert names == {"kedro", "snakemake", "dvc repro"}
        return
    rows: dict[str, dict[str, tuple[Cost, Cost] | None]] = {}
    for tool in (LOOP, MAKE, MLPIPE, *PEERS):
        programs = install(tool)
        rows[tool.name] = {}
        for name, make in GRAPHS.items():
            if tool.package and name.startswith("10,000"):
                rows[tool.name][name] = None
                continue
            if tool.name == "dvc repro" and name.startswith("1,000"):
                rows[tool.name][name] = None  # more than ten minutes
                continue
            folder = tmp_path / tool.name.split()[0].strip(",") / name.split()[0]
            rows[tool.name][name] = both(tool, folder, make(), programs)
            shutil.rmtree(folder)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "stages.md").write_text(table(rows))
    ours, kedro = rows["mlpipe"], rows["kedro"]
    thousand, ten = "1,000 in 10 layers", "10,000 in 10 layers"
    ours_thousand, kedro_thousand = ours[thousand], kedro[thousand]
    assert ours_thousand is not None
    assert kedro_thousand is not None
    assert ours_thousand[0].wall < kedro_thousand[0].wall
    ours_ten = ours[ten]
    assert ours_ten is not None
    assert ours_ten[0].peak < 400


def install(tool: Tool) -> Path:
    """Make a tool's environment, once; give the folder of its programs."""
    if not tool.package:
        return Path()
    folder = RESULTS / "venvs" / tool.name.split()[0]
    if not (folder / "done").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", "--clear", str(folder)], check=True)
        python = str(folder / "bin" / "python")
        packages = tool.package.split()
        install = [*uv, "pip", "install", "-q", "--compile-bytecode", "--python", python, *packages]
        subprocess.run(install, check=True, env={**os.environ, "VIRTUAL_ENV": str(folder)})
        (folder / "done").write_text(json.dumps(packages))
    return folder / "bin"


def table(rows: dict[str, dict[str, tuple[Cost, Cost] | None]]) -> str:
    """Write seconds of first and unchanged run, a row a tool."""
    lines = [
        "| wall s: first run / unchanged | " + " | ".join(GRAPHS) + " |",
        "|---" * (len(GRAPHS) + 1) + "|",
    ]
    for tool, found in rows.items():
        cells = []
        for name in GRAPHS:
            pair = found[name]
            cells.append(f"{pair[0].wall:.2f} / {pair[1].wall:.2f}" if pair else "not run")
        lines.append(f"| {tool} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
