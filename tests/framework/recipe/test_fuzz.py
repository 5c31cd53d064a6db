"""Whatever is in the file: a recipe that can be planned, or located problems. Nothing else."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import LoadedRecipe, load
from mlpipe.recipe.problems import Problem, RecipeError

VALID = """
name: churn
params: {depth: 4, names: [a, b]}
targets: {aws: {region: eu-west-1}}
observers: {}
stages:
  data:
    uses: shell.prepare
    with: {command: "echo ${params.depth} > {outputs.raw}", outputs: {raw: data/raw.csv}}
    retry: {attempts: 3, delay: 1}
    timeout: 10m
  model:
    uses: python.train
    inputs: {raw: data.raw}
    with: {function: "json:dumps", args: {depth: "${params.depth}", run: "${run.id}"}}
    gate: {accuracy: ">= 0.9"}
    when: ${stages.data.rows} > 3
    needs: [data]
    env: {A: "1"}
    files: ["*.txt"]
  check:
    uses: acme.train
    with: {script: train.py, table: raw.csv, token: TOKEN, depth: "${stages.data.rows}"}
    secrets: [TOKEN]
"""
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [
            *("${params.depth}", "${params.x}", "${", "$${", "${stages.data.y}", "${run.id}"),
            *(
                "shell.check",
                "acme.train",
                "data.raw",
                "..",
                "/x",
                "a\0b",
                "x" * 300,
                "<<",
                "1e999",
            ),
        ]
    ),
)
SYNTAX = st.sampled_from(
    [
        *(
            "&a ",
            "*a",
            "<<: *a",
            "? ",
            "[",
            "]",
            "{",
            "}",
            ": ",
            "- ",
            "!!float ",
            "!x ",
            "|\n",
            "'",
        ),
        *('"', "#", "\t", "\r", "\x85", "\x07", "\ufeff", "\n---\n", "%YAML 1.1\n", "\U0001f4a9"),
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def outcome(path: Path, plugins: PluginManager) -> None:
    """Load a file: it must give a recipe, or problems that name a place."""
    try:
        loaded: LoadedRecipe | None = load(path, plugins=plugins, environ={})
        problems: list[Problem] = []
        text = ""
    except RecipeError as error:
        loaded, problems, text = None, list(error.problems), str(error)
    assert (loaded is None) == bool(problems)
    assert all(problem.message for problem in problems)
    assert all(problem.place.file == path for problem in problems)
    assert not problems or text.endswith("Nothing was run.")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the paths of all values within a value."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            found += places(item, (*path, key))
    return found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file that examples are written to."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / ".mlpipe").mkdir()
    (folder / "train.py").write_text("")
    (folder / "raw.csv").write_text("")
    return folder / "r.yaml"


BOUNDS = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_the_seed_is_valid(file: Path, acme: PluginManager) -> None:
    file.write_text(VALID)
    assert load(file, plugins=acme, environ={}).name == "churn"


@BOUNDS
@given(data=st.data())
def test_mutated_trees(file: Path, acme: PluginManager, data: st.DataObject) -> None:
    tree = copy.deepcopy(yaml.safe_load(VALID))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(tree)))
        parent = tree
        for part in path[:-1]:
            parent = parent[part]
        action = data.draw(st.sampled_from(["replace", "delete", "add"]))
        if action == "delete":
            del parent[path[-1]]
        elif action == "add" and isinstance(parent, dict):
            parent[data.draw(st.text(max_size=5))] = data.draw(VALUES)
        else:
            parent[path[-1]] = data.draw(VALUES)
        if not places(tree):
            break
    file.write_text(yaml.safe_dump(tree, allow_unicode=True), "utf-8")
    outcome(file, acme)


@BOUNDS
@given(
    cuts=st.lists(
        st.tuples(st.integers(0, len(VALID)), st.text(max_size=6) | SYNTAX),
        min_size=1,
        max_size=5,
    )
)
def test_mutated_text(file: Path, acme: PluginManager, cuts: list[tuple[int, str]]) -> None:
    text = VALID
    for place, insert in cuts:
        text = text[:place] + insert + text[place + 1 :]
    file.write_text(text, "utf-8")
    outcome(file, acme)


@BOUNDS
@given(data=st.binary(max_size=200))
def test_bytes(file: Path, acme: PluginManager, data: bytes) -> None:
    file.write_bytes(data)
    outcome(file, acme)
