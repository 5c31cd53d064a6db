"""The page about an experiment, and the rule tried on what was recorded."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from mlpipe import UserError
from mlpipe_experiments import reporting
from mlpipe_experiments.deciding import conclude, present
from mlpipe_experiments.joining import join
from mlpipe_experiments.keeping import Experiment, newest
from mlpipe_experiments.simulating import simulate
from tests.plugins.experiments.experiments_recorded import fill

RATES = {"champion": 0.1, "challenger": 0.2}
GUARDRAIL = {"metric": "error_rate", "margin": 0.01}


class _Seen(HTMLParser):
    """Collects what is asked for elsewhere, and what figures say to those who cannot see."""

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere: list[str] = []
        self.labels: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href") and not (value or "").startswith("#"):
                self.elsewhere.append(f"{tag} {value}")
            if tag == "svg" and name == "aria-label":
                self.labels.append(value or "")


def test_the_page_shows_how_it_went(begin: Callable[..., Experiment]) -> None:
    experiment = begin(effect=0.05, guardrails=[GUARDRAIL])
    fill(experiment, 1600, RATES)
    page = reporting.report(experiment, present(experiment))
    assert "<strong>So far: promote.</strong> challenger: conversion +0.1, always-valid" in page
    assert re.search(r"champion</th><td>800</td><td>0\.1</td><td>-</td>", page)
    seen = _Seen()
    seen.feed(page)
    assert not [each for each in seen.elsewhere if not each.startswith(("use ", "link "))]
    titles = [label.partition(".")[0] for label in seen.labels]
    assert titles == ["Effect on conversion", "Split", "Guardrail error_rate"]

    conclude(experiment, undecided=False)
    ended = newest(experiment.folder.parents[2], "churn")
    path = reporting.write(ended)
    assert path == experiment.folder / "report.html"
    assert "<strong>Ended: promote.</strong>" in path.read_text()


def test_before_there_are_units_it_has_no_plots(begin: Callable[..., Experiment]) -> None:
    experiment = begin()
    page = reporting.report(experiment, present(experiment))
    assert "0 of at most" in page
    assert "<svg" not in page


@pytest.mark.parametrize("kind", ["binary", "continuous", "ratio"])
def test_simulated_experiments_find_what_is_there(
    begin: Callable[..., Experiment], kind: str
) -> None:
    more = {} if kind == "binary" else {"deviation": 0.3}
    metric = {"name": "sales", "kind": kind, "baseline": 0.1, **more}
    experiment = begin(metric=metric, effect=0.08)
    fill(experiment, 2000, RATES)
    made, units = experiment.plan, join(experiment).units
    wrong, right, plain = (
        simulate(made, units, effect, experiments=100, looks=10, seed=1)
        for effect in (0.0, made.effect, 2 * made.effect)
    )
    assert wrong.promoted <= 0.08  # 2.5 % in truth; 8 of 100 is very unlikely then
    assert right.promoted >= 0.65  # 80 % in truth
    assert plain.promoted > 0.95
    assert plain.units < right.units
    assert simulate(made, units, 0.0, experiments=100, looks=10, seed=1) == wrong


def test_too_few_units_to_draw_from(begin: Callable[..., Experiment]) -> None:
    experiment = begin()
    fill(experiment, 60, RATES)
    with pytest.raises(UserError, match="30 units of champion are known; it takes 100"):
        simulate(experiment.plan, join(experiment).units, 0.0, experiments=10, looks=5)
