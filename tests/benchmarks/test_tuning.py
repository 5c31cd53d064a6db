"""Trials side by side, beside ``xargs -P`` running the same script with the same interpreter.

A trial takes about a second, most of which it waits, so that other work on the machine falls on
both alike. The ratio of throughputs is what counts: what tuning adds to each trial.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.measure import cost

SCRIPT = """
import argparse, os, time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
x = parser.parse_args().x
time.sleep(1.0)
print("loss:", (x - 0.5) ** 2)
Path(os.environ["SM_MODEL_DIR"], "x").write_text(str(x))
"""
RECIPE = """
name: p
stages:
  best:
    uses: sagemaker.tune
    with:
      script: train.py
      metrics: {{loss: "loss: ([0-9.e-]+)"}}
      objective: loss
      direction: minimize
      space: {{x: {{type: float, low: 0, high: 1}}}}
      strategy: random
      seed: {seed}
      budget: {{trials: {trials}, parallel: 2}}
"""


@pytest.fixture
def short(request: pytest.FixtureRequest) -> bool:
    return not request.config.getoption("--full")


def test_throughput_of_trials(tmp_path: Path, short: bool, show: Callable[[str], None]) -> None:
    trials, rounds = (8, 2) if short else (40, 3)
    (tmp_path / ".mlpipe").mkdir()
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "model").mkdir()
    values = "\n".join(str(i / trials) for i in range(trials))
    (tmp_path / "values").write_text(values + "\n")
    xargs = f"xargs -P2 -I{{}} {sys.executable} train.py --x {{}} < values > /dev/null"
    ratios = []
    for seed in range(rounds):
        (tmp_path / "p.yaml").write_text(RECIPE.format(seed=seed, trials=trials))
        theirs = cost(["sh", "-c", xargs], tmp_path, {"SM_MODEL_DIR": str(tmp_path / "model")})
        begun = time.time()
        cost([sys.executable, "-m", "mlpipe", "run", "p"], tmp_path)
        ours = _spent(tmp_path, begun)
        ratios.append(theirs.wall / ours)
        show(f"{trials} trials: xargs {theirs.wall:.2f} s, tuning {ours:.2f} s")
    show(f"throughput {max(ratios):.2f} of xargs")
    assert max(ratios) >= (0.8 if short else 0.9)


def _spent(root: Path, begun: float) -> float:
    """Give the seconds from the first trial's beginning to the last one's end."""
    found = [p for p in (root / ".mlpipe" / "artifacts").rglob("*") if p.is_file()]
    for path in found:
        if path.read_bytes()[:1] == b"{":
            facts = json.loads(path.read_text())
            ended = [each["finished"] for each in facts.get("trials", ())]
            started = [each["started"] for each in facts.get("trials", ())]
            if started and min(started) > begun:
                return float(max(ended) - min(started))
    raise AssertionError("there are no trials")
