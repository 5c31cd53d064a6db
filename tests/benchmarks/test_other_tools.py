"""The tables of the documentation: other tools beside mlpipe, each in its own environment.

Writes ``build/bench/benchmarks.md`` and ``build/bench/benchmarks.json``, after each graph anew.
"""

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from tests.benchmarks.graphs import CHAIN, GRAPHS, TEN_THOUSAND, THOUSAND, Graph
from tests.benchmarks.measure import Cost, TookTooLong, cost, median, medians
from tests.benchmarks.test_stages import recorded
from tests.benchmarks.tools import (
    DVC,
    KEDRO,
    LOOP,
    MAKE,
    MLPIPE,
    PEERS,
    QUIET,
    SNAKEMAKE,
    Tool,
    first_and_again,
)

LIMIT = 180.0  # seconds for one run of another tool
WALL = "wall s, first run / unchanged"
CPU = "CPU s, first run / unchanged"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@dataclass(frozen=True)
class Report:
    """Writes tables to a folder.

    Attributes:
        folder: Where to write.
        tables: Rows of each table, by title.
    """

    folder: Path
    tables: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    costs: dict[str, dict[str, object]] = field(default_factory=dict)

    def add(self, table: str, row: str, column: str, text: str, *costs: Cost) -> None:
        """Put a cell into a table, and write everything."""
        self.tables.setdefault(table, {}).setdefault(row, {})[column] = text
        self.costs.setdefault(table, {})[f"{row}: {column}"] = [asdict(each) for each in costs]
        self.folder.mkdir(parents=True, exist_ok=True)
        pages = [markdown(title, rows) for title, rows in self.tables.items()]
        (self.folder / "benchmarks.md").write_text("\n".join(pages))
        (self.folder / "benchmarks.json").write_text(json.dumps(self.costs, indent=1))


def markdown(title: str, rows: Mapping[str, Mapping[str, str]]) -> str:
    """Write a table; what was not measured is a dash."""
    columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))
    body = [
        f"| {row} | " + " | ".join(cells.get(column, "–") for column in columns) + " |"
        for row, cells in rows.items()
    ]
    head = f"| {title} | " + " | ".join(columns) + " |"
    return "\n".join([head, "|---" * (len(columns) + 1) + "|", *body]) + "\n"


@pytest.fixture(scope="module")
def report(repository: Path) -> Report:
    return Report(repository / "build" / "bench")


@pytest.fixture(scope="module")
def programs(repository: Path) -> Callable[[Tool], Path]:
    """Give a function that installs a tool, once, and tells where its programs are."""

    @functools.cache
    def programs(tool: Tool) -> Path:
        folder = repository / "build" / "bench" / "venvs" / tool.name.split()[0]
        return install(tool, folder) if tool.packages else Path()

    return programs


class Installable(Protocol):
    """What has a name and packages, as ``Tool`` has."""

    @property
    def name(self) -> str: ...

    @property
    def packages(self) -> tuple[str, ...]: ...


def install(tool: Installable, folder: Path) -> Path:
    """Make an environment with a tool; skip the test where that cannot be done."""
    done = folder / "installed.json"
    if not done.is_file() or json.loads(done.read_text()) != list(tool.packages):
        uv = [sys.executable, "-m", "uv", "--quiet"]
        into = ["--python", str(folder / "bin" / "python"), "--compile-bytecode"]
        for command in (
            [*uv, "venv", "--clear", "--python", sys.executable, str(folder)],
            [*uv, "pip", "install", *into, *tool.packages],
        ):
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(f"{tool.name} cannot be installed: {made.stderr.strip()[-300:]}")
        done.write_text(json.dumps(tool.packages))
    return folder / "bin"


def test_start_up(
    report: Report, programs: Callable[[Tool], Path], tmp_path: Path, show: Callable[[str], None]
) -> None:
    prepared = {tool: tmp_path / tool.name.split()[0] for tool in (MLPIPE, DVC)}
    for tool, folder in prepared.items():
        first_and_again(tool, folder, GRAPHS[CHAIN](), programs(tool))
    mlpipe = [sys.executable, "-m", "mlpipe"]
    commands: dict[str, tuple[list[str], Path]] = {
        "python -c pass": ([sys.executable, "-c", "pass"], tmp_path),
        "python -c 'import typer'": ([sys.executable, "-c", "import typer"], tmp_path),
        "mlpipe --version": ([*mlpipe, "--version"], tmp_path),
        "mlpipe --help": ([*mlpipe, "--help"], tmp_path),
    }
    for tool in PEERS:
        name = tool.name.split()[0]
        commands[f"{name} --help"] = ([f"{programs(tool)}/{name}", "--help"], tmp_path)
    commands["mlpipe plan, ten stages"] = ([*mlpipe, "plan", "graph"], prepared[MLPIPE])
    commands["dvc status, ten stages"] = ([f"{programs(DVC)}/dvc", "status"], prepared[DVC])
    found = medians(
        {
            name: functools.partial(cost, command, folder, QUIET)
            for name, (command, folder) in commands.items()
        },
        5,
    )
    for name, each in found.items():
        report.add("command", f"`{name}`", "CPU s", f"{each.cpu:.2f}", each)
        report.add("command", f"`{name}`", "wall s", f"{each.wall:.2f}", each)
    show((report.folder / "benchmarks.md").read_text())
    others = [each.cpu for name, each in found.items() if name.endswith("--help")]
    assert found["mlpipe --help"].cpu == min(others)
    assert found["mlpipe plan, ten stages"].cpu < found["dvc status, ten stages"].cpu


def test_tiny_stages(
    report: Report, programs: Callable[[Tool], Path], tmp_path: Path, show: Callable[[str], None]
) -> None:
    found: dict[tuple[Tool, str], tuple[Cost, Cost]] = {}
    waiting = [LOOP, MAKE, MLPIPE, *PEERS]
    for name, make in GRAPHS.items():
        graph = make()
        for tool in tuple(waiting):
            folder = tmp_path / tool.name.split()[0]
            try:
                costs = measured(tool, folder, graph, programs(tool))
            except TookTooLong:
                waiting.remove(tool)
                report.add(WALL, tool.name, name, f"more than {LIMIT:g}")
            else:
                found[tool, name] = costs
                report.add(
                    WALL, tool.name, name, "{:.2f} / {:.2f}".format(*map(wall, costs)), *costs
                )
                report.add(CPU, tool.name, name, "{:.2f} / {:.2f}".format(*map(cpu, costs)), *costs)
                if len(graph) == 1000 and 10 * costs[0].wall > LIMIT and tool is not MLPIPE:
                    waiting.remove(tool)  # what ten times as many take can be told
            show(f"  {tool.name:<30} {name:<20} {report.tables[WALL][tool.name][name]}")
    show((report.folder / "benchmarks.md").read_text())
    assert recorded(tmp_path / "mlpipe") == len(GRAPHS[TEN_THOUSAND]())
    peak = found[MLPIPE, TEN_THOUSAND][0].peak
    report.add("memory", MLPIPE.name, f"{TEN_THOUSAND}, MB", f"{peak:.0f}")
    assert peak < 400
    # Kedro calls functions in its own process: it starts faster, and stays behind at scale.
    for peer, name in ((SNAKEMAKE, CHAIN), (SNAKEMAKE, THOUSAND), (DVC, CHAIN), (KEDRO, THOUSAND)):
        for ours, theirs in zip(found[MLPIPE, name], found[peer, name], strict=True):
            assert ours.wall < theirs.wall, f"{peer.name} is faster at {name}"


def wall(each: Cost) -> float:
    return each.wall


def cpu(each: Cost) -> float:
    return each.cpu


def measured(tool: Tool, folder: Path, graph: Graph, programs: Path) -> tuple[Cost, Cost]:
    """Give the medians of three first and unchanged runs; of one where they are long."""
    rounds = 3 if len(graph) <= 10 else 1
    limit = 10 * LIMIT if tool is MLPIPE else LIMIT
    runs = [first_and_again(tool, folder, graph, programs, limit) for _ in range(rounds)]
    return median([first for first, _ in runs]), median([again for _, again in runs])
