"""Experiments that run: begun once, fed with outcomes, joined with what was answered."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from mlpipe import UserError
from mlpipe_experiments import keeping
from mlpipe_experiments.assignment import fingerprint
from mlpipe_experiments.deciding import conclude, standing
from mlpipe_experiments.joining import join
from mlpipe_experiments.keeping import Ending, Experiment, Outcome
from mlpipe_experiments.reading import record_file
from mlpipe_experiments.tallying import looks, observe
from tests.plugins.experiments.experiments_recorded import fill, seen

LATENCY = {"metric": "latency", "margin": 0.01, "seconds": 0.5}


def answer(experiment: Experiment, variant: str, **more: Any) -> None:
    """Write the record of an invocation, as an endpoint does."""
    with experiment.records.open("a") as file:
        number = file.tell()
        record = {
            "id": f"request-{number}",
            "time": time.time(),
            "variant": variant,
            "targeted": False,
            "key": None,
            "inference": None,
            "status": 200,
            "latency": 0.01,
        }
        file.write(json.dumps({**record, **more}) + "\n")


# -- beginning ------------------------------------------------------------------------------


def test_an_experiment_is_begun_once(begin: Callable[..., Experiment], tmp_path: Path) -> None:
    first = begin()
    assert begin() == first
    assert keeping.newest(tmp_path, "churn") == first
    assert keeping.names(tmp_path) == ["churn"]


def test_its_plan_is_not_changed(begin: Callable[..., Experiment], tmp_path: Path) -> None:
    first = begin()
    with pytest.raises(UserError, match="runs with another plan") as caught:
        begin(effect=0.02)
    assert "another salt" in str(caught.value)
    other = begin(salt="spring", effect=0.02)
    assert other.folder != first.folder
    assert keeping.newest(tmp_path, "churn") == other
    path = first.folder / "plan.json"
    path.write_text(path.read_text().replace('"alpha": 0.05', '"alpha": 0.5'))
    with pytest.raises(UserError, match="was changed after the experiment began"):
        begin()


def test_there_is_no_such_experiment(begin: Callable[..., Experiment], tmp_path: Path) -> None:
    with pytest.raises(UserError, match='no experiment on "churn"') as caught:
        keeping.newest(tmp_path, "churn")
    assert "experiment:  block" in str(caught.value)
    begin()
    with pytest.raises(UserError, match="Experiments here: churn"):
        keeping.newest(tmp_path, "other")


def test_a_project_may_be_moved(begin: Callable[..., Experiment], tmp_path: Path) -> None:
    answer(begin(), "champion", key="ann")
    other = tmp_path.with_name("elsewhere")
    tmp_path.rename(other)
    found = keeping.newest(other, "churn")
    assert found.records == other / "invocations.jsonl"
    assert seen(found).assigned["champion"] == 1


# -- outcomes -------------------------------------------------------------------------------


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_outcomes_come_in_files(
    begin: Callable[..., Experiment], tmp_path: Path, kind: str
) -> None:
    experiment = begin()
    rows: list[dict[str, Any]] = [{"key": "ann", "value": 1}, {"key": "bob", "value": 0}]
    path = write(tmp_path / f"outcomes.{kind}", rows)
    assert record_file(experiment, path) == 2
    assert list(experiment.outcomes()) == [
        Outcome(fingerprint("ann", "churn"), 1.0),
        Outcome(fingerprint("bob", "churn"), 0.0),
    ]
    with pytest.raises(UserError, match="were recorded before"):
        record_file(experiment, path)
    assert len(list(experiment.outcomes())) == 2
    assert record_file(experiment, path, again=True) == 2
    assert record_file(experiment, path, again=True) == 2
    assert len(list(experiment.outcomes())) == 6


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", "key,value\nann,1\nbob,maybe\n", r"row 2.*value is 'maybe'"),
        ("a.csv", "key,value\nann,nan\n", "value is 'nan', which is no number"),
        ("a.csv", "key,value\nann,2\n", '"conversion" is 0 or 1'),
        ("a.csv", "key,id,value\nann,r,1\n", "either a key or an id"),
        ("a.csv", "value\n1\n", "either a key or an id"),
        ("a.csv", 'key,value\n"ann,1\n', "cannot be read"),
        ("a.jsonl", '{"key": "ann", "value": 1}\n[]\n', "is no object"),
        ("a.jsonl", "{", "cannot be read"),
        ("a.parquet", "no such thing", "cannot be read"),
        ("a.txt", "", "no kind of file"),
        ("b.csv", None, "No such file"),
    ],
)
def test_files_that_are_wrong_record_nothing(
    begin: Callable[..., Experiment], tmp_path: Path, name: str, text: str | None, problem: str
) -> None:
    experiment = begin()
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=problem):
        record_file(experiment, tmp_path / name)
    assert list(experiment.outcomes()) == []


def test_a_line_that_was_cut_off_is_left_out(begin: Callable[..., Experiment]) -> None:
    experiment = begin()
    experiment.record([Outcome("a", 1.0)], "first")
    with (experiment.folder / "outcomes.jsonl").open("a") as file:
        file.write('{"unit": "b", "va')
    assert list(experiment.outcomes()) == [Outcome("a", 1.0)]


# -- joining --------------------------------------------------------------------------------


def test_units_and_outcomes_are_joined(begin: Callable[..., Experiment]) -> None:
    experiment = begin(guardrails=[LATENCY, {"metric": "error_rate", "margin": 0.01}])
    for _ in range(3):
        answer(experiment, "champion", key="ann", latency=0.6)
    answer(experiment, "champion", key="bob", status=503)
    answer(experiment, "challenger", key="cem", status=424)
    answer(experiment, "challenger", id="r1")
    answer(experiment, "challenger", id="r2", inference="mine")
    answer(experiment, "challenger", key="dot", targeted=True)  # nobody assigned it
    answer(experiment, "former", key="eve")
    answer(experiment, "champion", key="fay", time=experiment.since - 1)
    answer(experiment, "champion", key="gus")
    answer(experiment, "challenger", key="gus")  # the weights were changed
    with experiment.records.open("a") as file:
        file.write('{"id": "is being wri')
    units = ["ann", "ann", "r1", "mine", "gus", "nobody"]
    experiment.record([Outcome(unit, 1.0) for unit in units], "all")
    joined = join(experiment)
    observed = observe(experiment.plan, joined.units)
    assert observed.assigned == {"champion": 2, "challenger": 3}
    assert (joined.mixed, joined.strange) == (1, 1)
    means = {name: each.mean for name, each in observed.outcomes.items()}
    assert means == {"champion": 0.5, "challenger": pytest.approx(2 / 3)}
    assert observed.guardrails["latency"]["champion"].mean == pytest.approx(3 / 4)
    assert observed.guardrails["error_rate"]["champion"].mean == pytest.approx(1 / 4)
    assert observed.guardrails["error_rate"]["challenger"].mean == pytest.approx(1 / 3)
    arrived = [unit.arrived for unit in joined.units]
    assert experiment.since <= arrived[0]
    assert arrived == sorted(arrived)


def test_what_shadows_answered_is_left_out(begin: Callable[..., Experiment]) -> None:
    experiment = begin(guardrails=[{"metric": "error_rate", "margin": 0.01}])
    answer(experiment, "champion", id="r1", key="ann", shadow=False)
    answer(experiment, "challenger", id="r1", key="ann", shadow=True, status=500)
    answer(experiment, "champion", id="r2", key="bob")
    experiment.record([Outcome("r1", 1.0)], "all")
    joined = join(experiment)
    observed = observe(experiment.plan, joined.units)
    assert observed.assigned == {"champion": 2, "challenger": 0}
    assert (joined.mixed, joined.strange) == (0, 0)
    assert observed.outcomes["champion"].mean == 0.5
    assert observed.guardrails["error_rate"]["champion"].mean == 0


def test_numbers_and_ratios_add_up_by_unit(begin: Callable[..., Experiment]) -> None:
    money = {"name": "revenue", "kind": "continuous", "baseline": 5, "deviation": 9}
    clicks = {"name": "clicks", "kind": "ratio", "baseline": 0.5, "deviation": 1}
    for salt, metric in (("a", money), ("b", clicks)):
        experiment = begin(salt=salt, metric=metric, effect=1)
        experiment.records.unlink(missing_ok=True)
        for key in ("ann", "bob"):
            answer(experiment, "champion", key=key)
        experiment.record([Outcome("ann", 3.0, 4.0), Outcome("ann", 1.0, 6.0)], "all")
        found = seen(experiment).outcomes["champion"]
        assert found.count == 2
        assert found.mean == pytest.approx(2.0 if metric is money else 0.4)


def test_before_the_first_request(begin: Callable[..., Experiment]) -> None:
    experiment = begin()
    assert seen(experiment).assigned == {"champion": 0, "challenger": 0}
    assert list(looks(experiment.plan, join(experiment).units, 10)) == []


def test_looking_again_adds_up_to_looking_once(begin: Callable[..., Experiment]) -> None:
    for kind in ("binary", "ratio"):
        more = {} if kind == "binary" else {"deviation": 1.0}
        metric = {"name": "clicks", "kind": kind, "baseline": 0.5, **more}
        experiment = begin(salt=kind, metric=metric, effect=0.4, guardrails=[LATENCY])
        experiment.records.unlink(missing_ok=True)
        for number in range(30):
            variant = ("champion", "challenger")[number % 2]
            answer(experiment, variant, key=f"u{number}", latency=number / 30)
        experiment.record([Outcome(f"u{n}", float(n % 3 > 0), 2.0) for n in range(30)], "all")
        units = join(experiment).units
        found = list(looks(experiment.plan, units, 7))
        assert [look.units for look in found] == [4, 8, 12, 17, 21, 25, 30]
        whole = observe(experiment.plan, units)
        last = found[-1].observed
        assert last.assigned == whole.assigned
        for name, summary in whole.outcomes.items():
            assert last.outcomes[name].mean == pytest.approx(summary.mean)
            assert last.outcomes[name].variance == pytest.approx(summary.variance)
        for name, summary in whole.guardrails["latency"].items():
            assert last.guardrails["latency"][name].mean == pytest.approx(summary.mean)


# -- ending ---------------------------------------------------------------------------------


def test_it_ends_once_something_is_decided(begin: Callable[..., Experiment]) -> None:
    experiment = begin(effect=0.1)
    fill(experiment, 800, {"champion": 0.1, "challenger": 0.3})
    found, ending = conclude(experiment, undecided=False)
    assert found.missing == 0
    assert ending is not None
    assert (ending.kind, ending.winner) == ("promote", "challenger")
    assert experiment.end(Ending(1.0, "keep", None, "other")) == ending  # it has ended already
    assert keeping.newest(experiment.folder.parents[2], "churn").ending == ending


def test_before_the_horizon_nothing_is_decided_by_the_closing_look(
    begin: Callable[..., Experiment],
) -> None:
    experiment = begin(effect=0.05, horizon=1000)
    rates = {"champion": 0.10, "challenger": 0.15}
    fill(experiment, 998, rates)
    found, ending = conclude(experiment, undecided=False)
    assert (found.verdict.kind, found.missing, ending) == ("inconclusive", 2, None)
    _, ending = conclude(experiment, undecided=True)
    assert ending is not None
    assert (ending.kind, ending.winner) == ("inconclusive", None)


def test_the_closing_look_is_of_just_the_planned_units(begin: Callable[..., Experiment]) -> None:
    experiment = begin(effect=0.05, horizon=1000)
    fill(experiment, 1200, {"champion": 0.10, "challenger": 0.16})
    assert standing(experiment).verdict.kind == "inconclusive"
    found, ending = conclude(experiment, undecided=False)
    assert found.verdict.closing
    assert sum(found.observed.assigned.values()) == 1000
    assert ending is not None
    assert (ending.kind, ending.winner) == ("promote", "challenger")
    assert "closing 97.5 % interval [+0.0" in ending.reason


def test_what_comes_after_the_end_is_no_part_of_it(begin: Callable[..., Experiment]) -> None:
    experiment = begin()
    answer(experiment, "champion", key="ann")
    experiment.end(Ending(time.time(), "stopped", None, "promoted by hand"))
    answer(experiment, "challenger", key="bob", time=time.time() + 1)
    ended = keeping.newest(experiment.folder.parents[2], "churn")
    assert seen(ended).assigned == {"champion": 1, "challenger": 0}
