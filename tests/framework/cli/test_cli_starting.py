"""A missed gate that starts another recipe."""

import json
import re
import sqlite3
from typing import Any

import mlpipe
from mlpipe.store.runs import RunState

WATCH = """
    name: watch
    stages:
      traffic:
        uses: shell.monitor
        with: {command: "echo drifted $(cat drift)", metrics: {drifted: "drifted ([0-9]+)"}}
        gate: {drifted: "== 0"}
        on_gate_failure: {run: retrain}
"""
RETRAIN = """
    name: retrain
    stages:
      model:
        uses: shell.train
        with:
          command: echo accuracy 0.5 | tee -a trained
          metrics: {accuracy: "accuracy (.*)"}
        cache: false
        gate: {accuracy: ">= 0.9"}
        on_gate_failure: {run: watch}
"""


def watched(project: Any, drift: int = 1) -> None:
    project.write("watch.yaml", WATCH)
    project.write("recipes/retrain.yaml", RETRAIN)
    project.write("drift", str(drift))


def plain(text: str) -> str:
    text = re.sub(r"\b\d+(\.\d+)?s\b *", "TIME  ", text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def test_the_plan_says_what_a_missed_gate_would_start(project: Any) -> None:
    watched(project)
    assert project.mlpipe("plan", "watch").out.splitlines()[-1] == (
        "if traffic misses its gate: mlpipe run retrain"
    )


def test_a_missed_gate_starts_a_recipe_whose_own_gates_start_none(project: Any) -> None:
    watched(project)
    answer = project.mlpipe("run", "watch")
    assert answer.code == 3, "the gate was missed, whatever became of the other run"
    assert plain(answer.out) == (
        "gate failed · continue with  mlpipe run watch     (finished stages are kept)\n"
        "traffic missed its gate, which starts retrain\n"
        "gate failed · continue with  mlpipe run retrain     (finished stages are kept)"
    )
    runs = json.loads(project.mlpipe("runs", "list", "--json").out)
    assert [run["recipe"] for run in runs] == ["retrain", "watch"]
    assert (project.root / "trained").read_text() == "accuracy 0.5\n"
    second, first = (run["run"] for run in runs)
    shown = project.mlpipe("runs", "show", first).out
    assert f"  traffic: its missed gate started run {second}\n" in shown
    shown = project.mlpipe("runs", "show", second).out
    assert f"  started by the missed gate of traffic in run {first}\n" in shown
    facts = json.loads(project.mlpipe("runs", "show", second, "--json").out)
    assert (facts["cause"], facts["started"]) == ({"run": first, "stage": "traffic"}, {})
    facts = json.loads(project.mlpipe("runs", "show", first, "--json").out)
    assert (facts["cause"], facts["started"]) == (None, {"traffic": second})


def test_a_gate_that_is_not_missed_starts_nothing(project: Any) -> None:
    watched(project, drift=0)
    assert project.mlpipe("run", "watch").code == 0
    assert not (project.root / "trained").exists()


def test_one_recipe_is_started_once_by_several_gates(project: Any) -> None:
    watched(project)
    project.write("watch.yaml", WATCH + WATCH.partition("stages:")[2].replace("traffic", "more"))
    assert project.mlpipe("run", "watch").code == 3
    assert (project.root / "trained").read_text() == "accuracy 0.5\n"


def test_python_starts_it_as_well(project: Any) -> None:
    watched(project)
    result = mlpipe.run(project.root / "watch.yaml")
    assert result.state is RunState.GATE_FAILED
    assert (project.root / "trained").exists()


def test_what_cannot_be_started_is_a_problem_of_the_recipe(project: Any) -> None:
    watched(project)
    project.write("watch.yaml", WATCH.replace("run: retrain", "run: retrian"))
    answer = project.mlpipe("run", "watch")
    assert answer.code == 2
    assert 'stages.traffic.on_gate_failure.run: there is no recipe "retrian"' in answer.err
    assert 'Did you mean "retrain"?' in answer.err

    project.write("watch.yaml", WATCH)
    project.write("recipes/retrain.yaml", RETRAIN.replace("shell.train", "shel.train"))
    answer = project.mlpipe("plan", "watch")
    assert answer.code == 2
    assert "stages.traffic.on_gate_failure.run: recipes/retrain.yaml:4:11: " in answer.err
    assert 'stages.model.uses: unknown plugin "shel"' in answer.err
    assert "See mlpipe plan retrain." in answer.err


def test_state_of_the_format_before_is_read(project: Any) -> None:
    watched(project, drift=0)
    project.mlpipe("run", "watch")
    database = project.root / ".mlpipe" / "state.db"
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TABLE causes")
        connection.execute("PRAGMA user_version=2")
    assert project.mlpipe("runs", "show", "last").code == 0
    assert project.mlpipe("run", "watch").code == 0
    assert project.mlpipe("runs", "show", "last").code == 0
