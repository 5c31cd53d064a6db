"""How fast commands start, as ratios to the imports that they cannot do without."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.graphs import chain, write_mlpipe
from tests.benchmarks.measure import Cost, cost, medians

ROUNDS = 5


def python(code: str, cwd: Path) -> Callable[[], Cost]:
    return lambda: cost([sys.executable, "-c", code], cwd)


def mlpipe(*arguments: str, cwd: Path, path: Path | None = None) -> Callable[[], Cost]:
    env = {"PYTHONPATH": str(path)} if path else {}
    return lambda: cost([sys.executable, "-m", "mlpipe", *arguments], cwd, env)


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[dict[str, Cost]], None]:
    """Print costs where pytest does not swallow them."""

    def show(found: dict[str, Cost]) -> None:
        with capsys.disabled():
            for name, each in found.items():
                sys.stdout.write(f"\n  {name:<44}{each.cpu:7.3f} CPU s")
            sys.stdout.write("\n")

    return show


def test_help_and_version(tmp_path: Path, show: Callable[[dict[str, Cost]], None]) -> None:
    found = medians(
        {
            "python": python("pass", tmp_path),
            "import typer": python("import typer", tmp_path),
            "mlpipe --version": mlpipe("--version", cwd=tmp_path),
            "mlpipe --help": mlpipe("--help", cwd=tmp_path),
        },
        ROUNDS,
    )
    show(found)
    assert found["mlpipe --version"].cpu < found["import typer"].cpu
    assert found["mlpipe --help"].cpu < 2.5 * found["import typer"].cpu


def test_plan_of_ten_stages(tmp_path: Path, show: Callable[[dict[str, Cost]], None]) -> None:
    write_mlpipe(tmp_path / "p", chain(10))
    cost([sys.executable, "-m", "mlpipe", "run", "graph"], tmp_path / "p")
    needed = "import typer, pydantic, pluggy, yaml, sqlite3"
    found = medians(
        {
            needed: python(needed, tmp_path),
            "import dvc.repo": python("import dvc.repo", tmp_path),
            "mlpipe plan, ten stages": mlpipe("plan", "graph", cwd=tmp_path / "p"),
        },
        ROUNDS,
    )
    show(found)
    assert found["mlpipe plan, ten stages"].cpu < 2.5 * found[needed].cpu
    assert found["mlpipe plan, ten stages"].cpu < 2 * found["import dvc.repo"].cpu


def test_plugins_that_are_not_used_cost_next_to_nothing(
    tmp_path: Path, show: Callable[[dict[str, Cost]], None]
) -> None:
    count = 100
    site = tmp_path / "site"
    for i in range(count):
        info = site / f"mlpipe_dummy{i}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: mlpipe-dummy{i}\nVersion: 1\n"
        )
        (info / "entry_points.txt").write_text(f"[mlpipe]\ndummy{i} = no_such_module_{i}\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    write_mlpipe(tmp_path / "p", chain(10))
    found = medians(
        {
            "python": python("pass", tmp_path),
            "mlpipe plan": mlpipe("plan", "graph", cwd=tmp_path / "p", path=empty),
            f"mlpipe plan, {count} more plugins": mlpipe(
                "plan", "graph", cwd=tmp_path / "p", path=site
            ),
        },
        ROUNDS,
    )
    show(found)
    more = found[f"mlpipe plan, {count} more plugins"].cpu - found["mlpipe plan"].cpu
    # An interpreter's own start is about 15 ms: three of them for a hundred plugins is 0.45 ms
    # for each.
    assert more < 3 * max(found["python"].cpu, 0.01)
