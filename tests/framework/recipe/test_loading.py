"""Reading recipes: types, substitution, overrides, extends, order, places."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mlpipe
from mlpipe import Recipe
from mlpipe.errors import UserError
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import find, from_model, load, load_params, parse_set, project_root
from mlpipe.recipe.problems import RecipeError

Load = Callable[..., Any]


def test_scalars_follow_yaml_1_2(load_text: Load) -> None:
    loaded = load_text(
        """
        name: r
        params:
          rate: 1e-3
          on: yes
          norway: no
          time: 12:30
          octal: 0o17
          hex: 0xff
          day: 2026-01-02
          big: 1_000
          nothing: ~
          inf: .inf
        stages: {a: {uses: shell.check, with: {command: x}}}
        """
    )
    assert loaded.params == {
        "rate": 0.001,
        "on": "yes",
        "norway": "no",
        "time": "12:30",
        "octal": 15,
        "hex": 255,
        "day": "2026-01-02",
        "big": "1_000",
        "nothing": None,
        "inf": float("inf"),
    }


def test_whole_references_keep_their_type_and_parts_are_text(load_text: Load) -> None:
    loaded = load_text(
        """
        name: r
        params:
          depth: 4
          names: [x, y]
          home: "${env.HOME}"
          nested: {rate: 0.5}
          again: "${params.depth}"
        stages:
          a:
            uses: python.check
            with:
              function: steps:make
              args:
                depth: ${params.depth}
                names: ${params.names}
                text: d${params.depth}-${params.names}
                rate: ${params.nested.rate}
                home: ${params.home}
                again: ${params.again}
                plain: $${params.depth}
                run: ${run.id}
        """
    )
    assert loaded.stages["a"].raw_with["args"] == {
        "depth": 4,
        "names": ["x", "y"],
        "text": 'd4-["x", "y"]',
        "rate": 0.5,
        "home": "/h",
        "again": 4,
        "plain": "$${params.depth}",
        "run": "${run.id}",
    }


def test_merge_keys_and_anchors(load_text: Load) -> None:
    loaded = load_text(
        """
        name: r
        params:
          base: &base {depth: 1, rate: 2}
          mine: {<<: *base, depth: 3}
        stages: {a: {uses: shell.check, with: {command: x}}}
        """
    )
    assert loaded.params["mine"] == {"depth": 3, "rate": 2}


def test_overrides(load_text: Load, tmp_path: Path) -> None:
    text = "name: r\nparams: {a: 1, n: {x: 1, y: 2}}\n"
    text += "stages: {s: {uses: shell.check, with: {command: '${params.a} ${params.n.x}'}}}\n"
    loaded = load_text(text, params={"a": 2.5, "n": {"x": 9}})
    assert loaded.params == {"a": 2.5, "n": {"x": 9, "y": 2}}
    with pytest.raises(RecipeError, match=r'there is no parameter "aa"\n(.*\n)*.*Did you mean "a"'):
        load_text(text, params={"aa": 1})
    (tmp_path / "over.json").write_text('{"a": 7}')
    assert load_params(tmp_path / "over.json") == {"a": 7}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params.x=3", ("x", 3)),
        ("x=3.5", ("x", 3.5)),
        ("x=[1, 2]", ("x", [1, 2])),
        ("x.y=true", ("x.y", True)),
        ("x=", ("x", "")),
        ("x=a=b", ("x", "a=b")),
        ("x=[", ("x", "[")),
    ],
)
def test_parse_set(text: str, expected: tuple[str, Any]) -> None:
    assert parse_set(text) == expected


@pytest.mark.parametrize("text", ["x", "=3", "params.=3"])
def test_parse_set_refuses(text: str) -> None:
    with pytest.raises(UserError, match="is no assignment"):
        parse_set(text)


class TestExtends:
    def write(self, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text(
            "name: base\nparams: {depth: 1, rate: 2}\nstages:\n"
            "  a: {uses: shell.check, with: {command: base, metrics: {m: '(.)'}}}\n"
            "  b: {uses: shell.check, needs: [a], with: {command: b}}\n"
        )

    def test_the_recipe_is_laid_over_the_other(self, load_text: Load, tmp_path: Path) -> None:
        self.write(tmp_path)
        loaded = load_text(
            """
            extends: base.yaml
            name: over
            params: {depth: 5}
            stages:
              a: {with: {command: mine}}
              b: null
              c: {uses: shell.check, with: {command: c}}
            """
        )
        assert (loaded.name, loaded.params) == ("over", {"depth": 5, "rate": 2})
        assert list(loaded.stages) == ["a", "c"]
        assert loaded.stages["a"].raw_with == {"command": "mine", "metrics": {"m": "(.)"}}

    def test_problems_name_the_file_they_are_in(self, load_text: Load, tmp_path: Path) -> None:
        self.write(tmp_path)
        text = "extends: base.yaml\nstages: {a: {timeout: soon}, b: {needs: [x]}}\n"
        with pytest.raises(RecipeError) as caught:
            load_text(text)
        places = [(p.place.file.name, p.place.line) for p in caught.value.problems]
        assert places == [("r.yaml", 2), ("r.yaml", 2)]
        (tmp_path / "base.yaml").write_text("name: base\nstages: {z: {uses: nope.check}}\n")
        with pytest.raises(RecipeError) as caught:
            load_text("extends: base.yaml\n")
        assert [(p.place.file.name, p.place.line) for p in caught.value.problems] == [
            ("base.yaml", 2)
        ]

    def test_circles_and_missing_files(self, load_text: Load, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text("extends: r.yaml\n")
        with pytest.raises(RecipeError, match=r"recipes extend each other: r\.yaml → base\.yaml"):
            load_text("extends: base.yaml\n")
        with pytest.raises(RecipeError, match=r'there is no recipe "bas\.yaml"\n(.*\n)*.*base'):
            load_text("extends: bas.yaml\n")


def test_stages_are_ordered_so_that_they_can_run(load_text: Load) -> None:
    loaded = load_text(
        """
        name: r
        stages:
          last: {uses: shell.check, needs: [middle], with: {command: x}}
          middle:
            uses: shell.check
            when: ${stages.first.rows} > 3
            with: {command: x}
          first: {uses: shell.check, with: {command: x}}
        """
    )
    assert list(loaded.stages) == ["first", "middle", "last"]


def test_targets(load_text: Load) -> None:
    text = (
        "name: r\ntargets: {aws: {region: eu-west-1}, prod: {type: aws, region: us-east-1}}\n"
        "stages: {a: {uses: shell.check, with: {command: x}}}\n"
    )
    assert load_text(text).target == mlpipe.Target()
    assert load_text(text, target="aws").target == mlpipe.Target(
        "aws", "aws", {"region": "eu-west-1"}
    )
    assert load_text(text, target="prod").target.type == "aws"
    with pytest.raises(RecipeError, match=r'there is no target "pord"\n(.*\n)*.*"prod"'):
        load_text(text, target="pord")


def test_finding_recipes(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "churn.yaml").write_text("name: churn\n")
    (tmp_path / "here.yaml").write_text("name: here\n")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert find("here.yaml", tmp_path) == tmp_path / "here.yaml"
    assert find("here", tmp_path) == tmp_path / "here.yaml"
    assert find("churn", tmp_path) == tmp_path / "recipes" / "churn.yaml"
    assert find("here", tmp_path / "deep" / "er") == tmp_path / "here.yaml"
    assert find("churn", tmp_path / "deep" / "er") == tmp_path / "recipes" / "churn.yaml"
    with pytest.raises(RecipeError, match=r'there is no recipe "chrun"\n   Did you mean "churn"'):
        find("chrun", tmp_path)
    with pytest.raises(RecipeError, match="is a folder, not a recipe"):
        find("recipes", tmp_path)


def test_project_roots(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text("")
    assert project_root(deep) == tmp_path / "a"
    (deep / ".mlpipe").mkdir()
    assert project_root(deep) == deep


def test_a_recipe_built_in_python_is_the_same_as_one_that_is_read(
    load_text: Load, tmp_path: Path
) -> None:
    read = load_text(
        "name: r\nparams: {n: 3}\nstages:\n"
        "  a: {uses: shell.check, with: {command: 'echo ${params.n}'}, timeout: 10m}\n"
    )
    recipe = Recipe.model_validate(
        {
            "name": "r",
            "params": {"n": 3},
            "stages": {
                "a": {
                    "uses": "shell.check",
                    "with": {"command": "echo ${params.n}"},
                    "timeout": "10m",
                }
            },
        }
    )
    built = from_model(recipe, tmp_path, plugins=PluginManager([]))
    assert built.recipe == read.recipe
    assert built.stages["a"].raw_with == read.stages["a"].raw_with


def test_running_a_recipe_built_in_python(tmp_path: Path) -> None:
    recipe = Recipe.model_validate(
        {
            "name": "r",
            "stages": {
                "a": {
                    "uses": "shell.prepare",
                    "with": {"command": "echo 5 > {outputs.o}", "outputs": {"o": "data/o"}},
                },
                "b": {
                    "uses": "shell.evaluate",
                    "inputs": {"o": "a.o"},
                    "with": {
                        "command": "echo value $(cat {inputs.o})",
                        "metrics": {"value": "value ([0-9]+)"},
                    },
                    "gate": {"value": "> 4"},
                },
            },
        }
    )
    (tmp_path / ".mlpipe").mkdir()
    result = mlpipe.run(recipe, root=tmp_path)
    assert result.ok
    assert result.metrics == {"b.value": 5.0}
    again = mlpipe.run(recipe, root=tmp_path)
    assert {str(each.state) for each in again.stages.values()} == {"cached"}


def test_a_thousand_stages_load_in_a_moment(load_text: Load, tmp_path: Path) -> None:
    stages = "".join(
        f"  s{i}: {{uses: python.check, inputs: {{x: s{max(i - 1, 0)}.o}},"
        f" with: {{function: 'steps:make', outputs: {{o: d/{i}}}}}}}\n"
        for i in range(1, 1000)
    )
    first = "  s0: {uses: python.check, with: {function: 'steps:make', outputs: {o: d/0}}}\n"
    loaded = load_text(f"name: r\nstages:\n{first}{stages}")
    assert len(loaded.stages) == 1000
    assert load(tmp_path / "r.yaml", plugins=PluginManager([])).name == "r"
