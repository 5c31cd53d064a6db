"""How fast commands start, as ratios to the imports that they cannot do without."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.benchmarks.graphs import chain
from tests.benchmarks.measure import Cost, cost, medians
from tests.benchmarks.tools import MLPIPE, write_mlpipe

ROUNDS = 5
NEEDED = "import typer, pydantic, pluggy, yaml, sqlite3"


def python(code: str, cwd: Path) -> Callable[[], Cost]:
    return lambda: cost([sys.executable, "-c", code], cwd)


def mlpipe(*arguments: str, cwd: Path, path: Path | None = None) -> Callable[[], Cost]:
    env = {"PYTHONPATH": str(path)} if path else {}
    return lambda: cost([sys.executable, "-m", "mlpipe", *arguments], cwd, env)


def lines(found: Mapping[str, Cost]) -> str:
    return "\n".join(f"  {name:<46}{each.cpu:7.3f} CPU s" for name, each in found.items())


def test_help_and_version(tmp_path: Path, show: Callable[[str], None]) -> None:
    found = medians(
        {
            "import typer": python("import typer", tmp_path),
            "mlpipe --version": mlpipe("--version", cwd=tmp_path),
            "mlpipe --help": mlpipe("--help", cwd=tmp_path),
        },
        ROUNDS,
    )
    show(lines(found))
    typer = found["import typer"].cpu
    assert found["mlpipe --version"].cpu < typer
    assert found["mlpipe --help"].cpu < 2 * typer


def test_plan_of_ten_stages(tmp_path: Path, show: Callable[[str], None]) -> None:
    project = tmp_path / "project"
    write_mlpipe(project, chain(10))
    cost(MLPIPE.run(Path()), project)
    found = medians(
        {
            NEEDED: python(NEEDED, tmp_path),
            "mlpipe plan, ten stages": mlpipe("plan", "graph", cwd=project),
        },
        ROUNDS,
    )
    show(lines(found))
    assert found["mlpipe plan, ten stages"].cpu < 2.8 * found[NEEDED].cpu


def test_plugins_that_no_recipe_names_cost_next_to_nothing(
    tmp_path: Path, show: Callable[[str], None]
) -> None:
    count = 100
    project, empty, site = (tmp_path / name for name in ("project", "empty", "site"))
    write_mlpipe(project, chain(10))
    empty.mkdir()
    for i in range(count):
        install_dummy(site, f"dummy{i}")
    found = medians(
        {
            "python -c pass": python("pass", tmp_path),
            "mlpipe plan": mlpipe("plan", "graph", cwd=project, path=empty),
            f"mlpipe plan, {count} more plugins": mlpipe("plan", "graph", cwd=project, path=site),
        },
        ROUNDS,
    )
    show(lines(found))
    pass_, plan, with_more = (each.cpu for each in found.values())
    # An interpreter starts in 10 to 15 ms: three of those for a hundred plugins are less than
    # half a millisecond for each.
    assert with_more - plan < 3 * pass_


def install_dummy(site: Path, name: str) -> None:
    """Make a distribution with a plugin whose module does not exist, and so is never imported."""
    info = site / f"mlpipe_{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mlpipe-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[mlpipe]\n{name} = no_such_module_{name}\n")
