"""Plans that are tried on recorded traffic before they begin."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from mlpipe import UserError
from mlpipe_experiments.assignment import fingerprint
from mlpipe_experiments.planned import Planned, Traffic, traffic
from mlpipe_experiments.planning import size
from mlpipe_experiments.replaying import Replayed, replay
from tests.plugins.experiments.experiments_plans import plan

SALT = "prices"
GUARDRAILS = [
    {"metric": "error_rate", "margin": 0.05},
    {"metric": "latency", "margin": 0.05, "seconds": 1},
]

RECIPE = """
name: prices
stages:
  old: {uses: sagemaker.train, with: {script: price.py}}
  new: {uses: sagemaker.train, with: {script: price.py, hyperparameters: {factor: 2}}}
  endpoint:
    uses: endpoint.deploy
    inputs: {champion: old.model, challenger: new.model}
    with:
      endpoint: prices
      traffic: {champion: 50, challenger: 50}
      experiment:
        metric: {name: purchase, baseline: 0.3}
        effect: 0.2
        control: champion
"""


def answer(path: Path, numbers: Iterable[int], variant: str = "champion", **more: Any) -> None:
    """Record that users were answered, a day apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for number in numbers:
            record = {
                "id": f"r{number}",
                "time": 1e9 + number * 864,
                "variant": variant,
                "targeted": False,
                "key": fingerprint(f"user {number}", SALT),
                "status": 500 if number % 50 == 0 else 200,
                "latency": 0.01,
            }
            file.write(json.dumps({**record, **more}) + "\n")


def outcomes(path: Path, count: int, period: int = 10, value: float = 1) -> Path:
    """Say that one of so many users bought something."""
    rows = "".join(f"user {n},{value},2\n" for n in range(count) if n % period == 0)
    path.write_text(f"key,value,of\n{rows}")
    return path


def planned(root: Path, **more: Any) -> Planned:
    return Planned(plan(**{"effect": 0.05, **more}), root, root / "invocations.jsonl", SALT)


def of(root: Path, count: int, **more: Any) -> tuple[Planned, Traffic]:
    """Have traffic of which a tenth bought something."""
    made = planned(root, **more)
    answer(made.records, range(count))
    return made, traffic(made, outcomes(root / "bought.csv", count))


def test_replays_find_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    made, seen = of(tmp_path, 2000, guardrails=GUARDRAILS)
    assert size(made.plan).horizon < 2000
    wrong, right, plain = (
        replay(made.plan, seen, effect, replays=150, looks=8) for effect in (0.0, 0.05, 0.15)
    )
    assert wrong.baseline == pytest.approx(0.1, abs=0.002)
    assert wrong.bounds[0] <= 0.025  # what is planned is not ruled out
    assert wrong.share <= 0.07
    assert right.bounds[1] >= 0.8
    assert right.share >= 0.65
    assert plain.share > 0.95
    assert plain.units < right.units
    assert replay(made.plan, seen, 0.0, replays=150, looks=8) == wrong
    assert replay(made.plan, seen, 0.05, replays=150, looks=8, seed=1) != right


@pytest.mark.parametrize("kind", ["continuous", "ratio"])
@pytest.mark.parametrize("direction", ["increase", "decrease"])
def test_numbers_and_ratios(tmp_path: Path, kind: str, direction: str) -> None:
    metric = {"name": "sales", "kind": kind, "baseline": 1, "deviation": 0.7}
    made = planned(tmp_path, metric={**metric, "direction": direction}, effect=0.2)
    answer(made.records, range(900))
    rows = "".join(f"user {n},{n % 3},{1 + n % 2}\n" for n in range(900))
    (tmp_path / "sales.csv").write_text(f"key,value,of\n{rows}")
    seen = traffic(made, tmp_path / "sales.csv")
    wrong, plain = (replay(made.plan, seen, effect, replays=60, looks=5) for effect in (0.0, 0.5))
    assert wrong.share <= 0.12
    assert plain.share > 0.9


def test_the_bounds_of_a_share_are_exact() -> None:
    low, high = Replayed(100, 0, 9, 0.1).bounds
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 100))
    low, high = Replayed(20, 10, 9, 0.1).bounds
    assert [low, high] == pytest.approx([0.2720, 0.7280], abs=1e-4)


def test_the_traffic_is_what_one_variant_answered(tmp_path: Path) -> None:
    made = planned(tmp_path)
    answer(made.records, range(10), "former")
    answer(made.records, range(10, 13), "challenger", targeted=True)
    answer(made.records, range(13, 40), "challenger", shadow=True)
    file = outcomes(tmp_path / "bought.csv", 44, period=2)
    seen = traffic(made, file)
    assert (seen.variant, len(seen.units)) == ("former", 10)
    answer(made.records, range(40, 44), "champion")
    seen = traffic(made, file)
    assert (seen.variant, len(seen.units)) == ("champion", 4)  # the control goes before


def test_too_little_traffic(tmp_path: Path) -> None:
    made, seen = of(tmp_path, 150)
    with pytest.raises(UserError, match=r"150 units of champion are recorded; it takes") as caught:
        replay(made.plan, seen, 0.0, replays=10, looks=5)
    assert caught.value.where == str(made.records)
    assert "days at this pace. Or draw units more than once: --resample" in str(caught.value.fix)
    found = replay(made.plan, seen, 0.15, replays=20, looks=5, resample=True)
    assert found.share > 0.8
    few = Traffic(seen.variant, seen.units[:99], seen.salt, seen.where)
    with pytest.raises(UserError, match="99 units of champion are recorded; it takes 100"):
        replay(made.plan, few, 0.0, replays=10, looks=5, resample=True)


def test_effects_that_cannot_be(tmp_path: Path) -> None:
    made, seen = of(tmp_path, 2000)
    with pytest.raises(UserError, match=r"conversion is 0\.\d+ in this traffic, and would become"):
        replay(made.plan, seen, 0.95, replays=10, looks=5)


def test_nothing_to_try_it_on(tmp_path: Path) -> None:
    made = planned(tmp_path)
    with pytest.raises(UserError, match="no traffic was recorded"):
        traffic(made, None)
    answer(made.records, range(3))
    with pytest.raises(UserError, match="nothing says what became") as caught:
        traffic(made, None)
    assert "--file" in str(caught.value.fix)
    strangers = tmp_path / "strangers.csv"
    strangers.write_text("key,value\nann,1\nbob,1\n")
    with pytest.raises(UserError, match="none of 2 outcomes is of a unit that champion answered"):
        traffic(made, strangers)


def ab(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mlpipe", "ab", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_a_recipe_is_tried_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "price.py").write_text("")
    (tmp_path / "prices.yaml").write_text(RECIPE)
    records = tmp_path / ".mlpipe" / "endpoints" / "prices" / "invocations.jsonl"
    answer(records, range(300))
    file = outcomes(tmp_path / "bought.csv", 300, period=3)
    lines = ab(tmp_path, "plan", "prices", "--recipe", "prices").stdout.splitlines()
    assert lines[2].startswith("ends after 219 units")
    said = ab(
        tmp_path,
        *("simulate", "prices", "--recipe", "prices", "--file", file.name),
        *("--experiments", "50", "--looks", "4"),
    )
    assert said.returncode == 0, said.stderr
    first, second, third, fourth = said.stdout.splitlines()
    assert first == "50 replays on 219 of 300 recorded units of champion, split anew each time"
    assert second == "  purchase  0.3333 here (planned: 0.3)"
    assert third.startswith("  without any effect  ")
    assert third.endswith("] promote a treatment (planned: at most 2.5 %)")
    assert fourth.startswith("  with +0.2  ")
    assert "] do (planned: 80 %), half of all after " in fourth
    other = ab(tmp_path, "simulate", "costs", "--recipe", "prices")
    assert other.returncode == 2
    assert 'plans no experiment on "costs"' in other.stderr
    assert "It plans one on: prices." in other.stderr


def test_a_password_that_a_recipe_names_is_a_secret_of_its_stage(tmp_path: Path) -> None:
    (tmp_path / "price.py").write_text("")
    query = "{database: 'postgresql://me@db/shop', sql: 'SELECT 1', password: SHOP_PASSWORD}"
    recipe = f"{RECIPE.rstrip()}\n        outcomes: {query}\n"
    (tmp_path / "prices.yaml").write_text(recipe)
    refused = ab(tmp_path, "plan", "prices", "--recipe", "prices")
    assert refused.returncode == 2
    assert "with.experiment.outcomes.password" in refused.stderr
    assert "Add secrets: [SHOP_PASSWORD]." in refused.stderr
    stage = "uses: endpoint.deploy\n    secrets: [SHOP_PASSWORD]"
    (tmp_path / "prices.yaml").write_text(recipe.replace("uses: endpoint.deploy", stage))
    lines = ab(tmp_path, "plan", "prices", "--recipe", "prices").stdout.splitlines()
    assert lines[-1] == "outcomes from postgresql://me@db/shop: SELECT 1"
