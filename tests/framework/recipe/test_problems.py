"""Every problem of a recipe at once: file, line, column, excerpt, what, and the nearest name."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import load
from mlpipe.recipe.problems import RecipeError
from mlpipe.recipe.validation import explain

STAGE = "name: r\nstages:\n  a: {uses: shell.check, with: {command: 'true'}}\n"

CASES: dict[str, tuple[str, str]] = {
    "bad YAML": (
        "name: r\nstages: {a: [}\n",
        """
        r.yaml:2:14: is no YAML: did not find expected node content
            2 │ stages: {a: [}
              │              ^
           While parsing a flow node, which begins on line 2.
        """,
    ),
    "tabs": (
        "name: r\nstages:\n\ta: 1\n",
        """
        r.yaml:3:1: is no YAML: found character that cannot start any token
            3 │ \ta: 1
              │ ^
           YAML is indented by spaces, not tabs.
        """,
    ),
    "duplicate key": (
        "name: r\nstages:\n  a: {uses: shell.check, with: {command: 'x'}}\n"
        "  a: {uses: shell.check, with: {command: 'y'}}\n",
        """
        r.yaml:4:3: stages.a: is given twice, first on line 3
            4 │   a: {uses: shell.check, with: {command: 'y'}}
              │   ^
           Keep one of them.
        """,
    ),
    "a key that is no text": (
        STAGE + "params: {1: x}\n",
        """
        r.yaml:4:10: params: this key is no text
            4 │ params: {1: x}
              │          ^
           Quote it: "1".
        """,
    ),
    "a tag": (
        STAGE + "params: {a: !!python/object/apply:os.system [ls], b: !x 1}\n",
        """
        r.yaml:4:13: params.a: the tag !!python/object/apply:os.system is not supported
            4 │ params: {a: !!python/object/apply:os.system [ls], b: !x 1}
              │             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           Leave it out.
        r.yaml:4:54: params.b: the tag !x is not supported
            4 │ params: {a: !!python/object/apply:os.system [ls], b: !x 1}
              │                                                      ^^^^
           Leave it out.
        """,
    ),
    "unknown key at the top": (
        "name: r\nstagse: {}\nstages: {a: {uses: shell.check, with: {command: 'x'}}}\n",
        """
        r.yaml:2:1: stagse: unknown key
            2 │ stagse: {}
              │ ^^^^^^
           Did you mean "stages"? Known: name, description, extends, params, targets, \
observers, notify, budget, executor, preload, stages.
        """,
    ),
    "unknown key in a stage": (
        "name: r\nstages:\n  a: {uses: shell.check, wiht: {}, with: {command: x}}\n",
        """
        r.yaml:3:26: stages.a.wiht: unknown key
            3 │   a: {uses: shell.check, wiht: {}, with: {command: x}}
              │                          ^^^^
           Did you mean "with"? Known: uses, with, inputs, needs, gate, on_gate_failure, \
retry, timeout, cache, when, env, secrets, files.
        """,
    ),
    "unknown key in with": (
        "name: r\nstages:\n  a:\n    uses: shell.check\n    with: {comand: x}\n",
        """
        r.yaml:5:5: stages.a.with: "command" is missing
            5 │     with: {comand: x}
              │     ^^^^
        r.yaml:5:12: stages.a.with.comand: unknown key
            5 │     with: {comand: x}
              │            ^^^^^^
           Did you mean "command"? Known: command, outputs, metrics.
        """,
    ),
    "unknown key below retry": (
        "name: r\nstages:\n  a: {uses: shell.check, with: {command: x}, retry: {tries: 3}}\n",
        """
        r.yaml:3:54: stages.a.retry.tries: unknown key
            3 │   a: {uses: shell.check, with: {command: x}, retry: {tries: 3}}
              │                                                      ^^^^^
           Known: attempts, delay, backoff, max_delay.
        """,
    ),
    "wrong types": (
        "name: r\nstages:\n  a:\n    uses: shell.check\n    with: {command: [x]}\n"
        "    cache: maybe\n    timeout: soon\n    needs: {a: b}\n",
        """
        r.yaml:5:12: stages.a.with.command: should be a text, and is a list
            5 │     with: {command: [x]}
              │            ^^^^^^^
        r.yaml:6:12: stages.a.cache: should be true or false, and is 'maybe'
            6 │     cache: maybe
              │            ^^^^^
        r.yaml:7:14: stages.a.timeout: should be seconds, or a text like 10m or 1h30m
            7 │     timeout: soon
              │              ^^^^
        r.yaml:8:5: stages.a.needs: should be a list, and is a mapping
            8 │     needs: {a: b}
              │     ^^^^^
        """,
    ),
    "unknown plugin": (
        "name: r\nstages:\n  a: {uses: shel.check, with: {command: x}}\n",
        """
        r.yaml:3:13: stages.a.uses: unknown plugin "shel"
            3 │   a: {uses: shel.check, with: {command: x}}
              │             ^^^^
           Did you mean "shell"? Installed: python, shell.
        """,
    ),
    "unknown verb": (
        "name: r\nstages:\n  a: {uses: shell.trian, with: {command: x}}\n",
        """
        r.yaml:3:19: stages.a.uses: plugin "shell" has no verb "trian"
            3 │   a: {uses: shell.trian, with: {command: x}}
              │                   ^^^^^
           Did you mean "train"? Its verbs: checkout, prepare, check, build, push, train, \
tune, evaluate, deploy, monitor.
        """,
    ),
    "uses without a verb": (
        "name: r\nstages:\n  a: {uses: shell}\n",
        """
        r.yaml:3:13: stages.a.uses: should be PLUGIN.VERB, as sagemaker.train
            3 │   a: {uses: shell}
              │             ^^^^^
        """,
    ),
    "unknown stage and output": (
        "name: r\nstages:\n"
        "  data: {uses: python.prepare, with: {function: 'steps:make', outputs: {out: o.csv}}}\n"
        "  b: {uses: shell.check, inputs: {x: data.ot, y: dat.out}, needs: [c],"
        " with: {command: x}}\n",
        """
        r.yaml:4:43: stages.b.inputs.x: stage "data" has no output "ot"
            4 │   b: {uses: shell.check, inputs: {x: data.ot, y: dat.out}, needs: [c], \
with: {command: x}}
              │                                           ^^
           Did you mean "out"? Its outputs: out.
        r.yaml:4:50: stages.b.inputs.y: there is no stage "dat"
            4 │   b: {uses: shell.check, inputs: {x: data.ot, y: dat.out}, needs: [c], \
with: {command: x}}
              │                                                  ^^^
           Did you mean "data"? Stages: data, b.
        r.yaml:4:68: stages.b.needs.0: there is no stage "c"
            4 │   b: {uses: shell.check, inputs: {x: data.ot, y: dat.out}, needs: [c], \
with: {command: x}}
              │                                                                    ^
           Stages: data, b.
        """,
    ),
    "cycle": (
        "name: r\nstages:\n"
        "  a: {uses: shell.check, needs: [c], with: {command: x}}\n"
        "  b: {uses: shell.check, needs: [a], with: {command: x}}\n"
        "  c: {uses: shell.check, needs: [b], with: {command: x}}\n",
        """
        r.yaml:3:3: stages.a: the stages depend on each other: a → b → c → a
            3 │   a: {uses: shell.check, needs: [c], with: {command: x}}
              │   ^
        """,
    ),
    "unresolvable references": (
        "name: r\nparams: {depth: 3}\nstages:\n  a:\n    uses: shell.check\n"
        "    with: {command: '${params.dept} ${env.NOPE} ${foo.x} ${run.name} ${stages.a}'}\n",
        """
        r.yaml:6:22: stages.a.with.command: there is no parameter "dept"
            6 │     with: {command: '${params.dept} ${env.NOPE} ${foo.x} ${run.name} ${stages.a}'}
              │                      ^^^^^^^^^^^^^^
           Did you mean "depth"? Parameters: depth.
        r.yaml:6:37: stages.a.with.command: the environment variable NOPE is not set
            6 │     with: {command: '${params.dept} ${env.NOPE} ${foo.x} ${run.name} ${stages.a}'}
              │                                     ^^^^^^^^^^^
           Set NOPE, or make it a parameter with a default.
        r.yaml:6:49: stages.a.with.command: there is no ${foo…}
            6 │     with: {command: '${params.dept} ${env.NOPE} ${foo.x} ${run.name} ${stages.a}'}
              │                                                 ^^^^^^^^
           There are ${params.NAME}, ${env.NAME}, ${run.id} and ${stages.STAGE.VALUE}. \
Write $${ for a plain ${.
        r.yaml:6:58: stages.a.with.command: there is no ${run.name}
            6 │     with: {command: '${params.dept} ${env.NOPE} ${foo.x} ${run.name} ${stages.a}'}
              │                                                          ^^^^^^^^^^^
           There is ${run.id}.
        r.yaml:6:70: stages.a.with.command: ${stages.a} names no value
            6 │     with: {command: '${params.dept} ${env.NOPE} ${foo.x} ${run.name} ${stages.a}'}
              │                                                                      ^^^^^^^^^^^
           Write ${stages.STAGE.VALUE}.
        """,
    ),
    "gates": (
        "name: r\nstages:\n  a:\n    uses: shell.check\n"
        "    with: {command: x, metrics: {rmse: '(.*)'}}\n"
        "    gate: {rmsee: '< 1', rmse: '0.94'}\n",
        """
        r.yaml:6:12: stages.a.gate.rmsee: the stage reports no metric "rmsee"
            6 │     gate: {rmsee: '< 1', rmse: '0.94'}
              │            ^^^^^
           Did you mean "rmse"? Its metrics: rmse.
        r.yaml:6:32: stages.a.gate.rmse: "0.94" is no bound: write a sign and a number, as ">= 0.94"
            6 │     gate: {rmsee: '< 1', rmse: '0.94'}
              │                                ^^^^^^
        """,
    ),
    "functions and files": (
        "name: r\nstages:\n"
        "  a: {uses: python.check, with: {function: 'steps:mke'}}\n"
        "  b: {uses: python.check, with: {function: 'stepz:make'}}\n"
        "  c: {uses: python.check, with: {function: 'steps.make'}}\n",
        """
        r.yaml:3:51: stages.a.with.function: module steps has no function "mke"
            3 │   a: {uses: python.check, with: {function: 'steps:mke'}}
              │                                                   ^^^
           Did you mean "make"? Its functions: fit, make.
        r.yaml:4:45: stages.b.with.function: there is no module "stepz"
            4 │   b: {uses: python.check, with: {function: 'stepz:make'}}
              │                                             ^^^^^
           Did you mean "steps"?
        r.yaml:5:44: stages.c.with.function: 'steps.make' is no function
            5 │   c: {uses: python.check, with: {function: 'steps.make'}}
              │                                            ^^^^^^^^^^^^
           Write module:function.
        """,
    ),
    "outputs": (
        "name: r\nstages:\n"
        "  a: {uses: shell.check, with: {command: x, outputs: {o: ../x, p: /y, q: d/z}}}\n"
        "  b: {uses: shell.check, with: {command: x, outputs: {o: ./d/z}}}\n",
        """
        r.yaml:3:58: stages.a.with.outputs.o: "../x" is not within the project
            3 │   a: {uses: shell.check, with: {command: x, outputs: {o: ../x, p: /y, q: d/z}}}
              │                                                          ^^^^
           Use a relative path.
        r.yaml:3:67: stages.a.with.outputs.p: "/y" is not within the project
            3 │   a: {uses: shell.check, with: {command: x, outputs: {o: ../x, p: /y, q: d/z}}}
              │                                                                   ^^
           Use a relative path.
        r.yaml:4:58: stages.b.with.outputs.o: "./d/z" is already an output of stage "a"
            4 │   b: {uses: shell.check, with: {command: x, outputs: {o: ./d/z}}}
              │                                                          ^^^^^
           Choose another path.
        """,
    ),
    "commands that use what is not there": (
        "name: r\nstages:\n  a: {uses: shell.check, with: {command: 'cat {inputs.x}'}}\n",
        """
        r.yaml:3:26: stages.a.with: the command uses {inputs.x}; its inputs: none
            3 │   a: {uses: shell.check, with: {command: 'cat {inputs.x}'}}
              │                          ^^^^
        """,
    ),
    "observers": (
        STAGE + "observers: {mlfow: {}, shell: {}}\n",
        """
        r.yaml:4:13: observers.mlfow: unknown plugin "mlfow"
            4 │ observers: {mlfow: {}, shell: {}}
              │             ^^^^^
           Installed: python, shell.
        r.yaml:4:24: observers.shell: plugin "shell" is no observer
            4 │ observers: {mlfow: {}, shell: {}}
              │                        ^^^^^
        """,
    ),
    "targets": (
        STAGE + "targets: {prod: {region: x}, aws: {type: gcp}}\n",
        """
        r.yaml:4:11: targets.prod: a target of this name needs a type
            4 │ targets: {prod: {region: x}, aws: {type: gcp}}
              │           ^^^^
           Add type: local or aws.
        r.yaml:4:42: targets.aws.type: should be 'local' or 'aws', and is 'gcp'
            4 │ targets: {prod: {region: x}, aws: {type: gcp}}
              │                                          ^^^
        """,
    ),
    "names": (
        "name: my recipe\nstages:\n  2nd: {uses: shell.check, with: {command: x}}\n",
        """
        r.yaml:1:7: name: 'my recipe' is no name
            1 │ name: my recipe
              │       ^^^^^^^^^
           Names have letters, digits, _ and -, and begin with a letter.
        r.yaml:3:3: stages.2nd: is no name
            3 │   2nd: {uses: shell.check, with: {command: x}}
              │   ^^^
           Names have letters, digits, _ and -, and begin with a letter.
        """,
    ),
    "parameters in a circle": (
        STAGE + "params: {a: '${params.b}', b: '${params.a}'}\n",
        """
        r.yaml:4:31: params.b: refers to itself: a → b → a
            4 │ params: {a: '${params.b}', b: '${params.a}'}
              │                               ^^^^^^^^^^^^^
        """,
    ),
    "an anchor within itself": (
        STAGE + "params: &p {a: *p}\n",
        """
        r.yaml:4:9: this anchor is used within itself
            4 │ params: &p {a: *p}
              │         ^^^^^^^^^^
        """,
    ),
    "empty": ("", "r.yaml: is empty\n   A recipe has at least name: and stages:."),
    "only a comment": ("# x\n", "r.yaml: is empty\n   A recipe has at least name: and stages:."),
    "a list": (
        "- a\n",
        """
        r.yaml:1:1: is no mapping
            1 │ - a
              │ ^
           A recipe has at least name: and stages:.
        """,
    ),
    "no stages": (
        "name: r\n",
        'r.yaml:1:1: "stages" is missing\n    1 │ name: r\n      │ ^',
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_problems_are_shown_whole(problems: Callable[..., str], case: str) -> None:
    text, expected = CASES[case]
    lines = textwrap.dedent(expected).strip("\n").splitlines()
    count = sum(line.startswith("r.yaml") for line in lines)
    total = f"{count} problem{'' if count == 1 else 's'}. Nothing was run."
    assert problems(text) == "\n".join([*lines, total])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x00\x01\x02", "r.yaml: is a binary file, not a recipe"),
        (b"name: \xff\xfe\n", "r.yaml: is not UTF-8 text (byte 6, line 1)"),
        (b"a" * (9 << 20), "r.yaml: is larger than 8 MiB, which no recipe should be"),
        (b"[" * 100_000, "r.yaml:1:65: is nested more than 64 levels deep"),
        (b"- " * 100_000, "r.yaml:1:129: is nested more than 64 levels deep"),
        (b"a: " + b"{b: " * 50_000, "r.yaml:1:"),
    ],
)
def test_files_that_are_no_recipes(problems: Callable[..., str], data: bytes, message: str) -> None:
    assert problems(data).startswith(message)


def test_a_megabyte_of_nested_aliases_is_refused_quickly(problems: Callable[..., str]) -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    filler = "\n".join(f"f{i}: [*a0, *a0, *a0, *a0]" for i in range(40_000))
    text = "params:\n  " + "\n  ".join(layers) + "\n" + filler
    assert len(text) > 1_000_000
    assert "its aliases stand for more than 1,000,000 values" in problems(text)


def test_a_folder_and_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, message in ((".", ": is a folder, not a recipe"), ("no.yaml", "there is no such")):
        with pytest.raises(RecipeError, match=message):
            load(Path(name), plugins=PluginManager([]))


def test_an_unreadable_value_of_one_stage_does_not_hide_another(
    problems: Callable[..., str],
) -> None:
    text = problems(
        """
        name: r
        stages:
          a: {uses: shell.check, timeout: soon, with: {command: x}}
          b: {uses: nope.check, inputs: {x: a.y}}
        """
    )
    assert "stages.a.timeout" in text
    assert 'unknown plugin "nope"' in text
    assert text.endswith("2 problems. Nothing was run.")


def test_deferred_values_are_not_complained_about(load_text: Callable[..., Any]) -> None:
    loaded = load_text(
        """
        name: r
        stages:
          a: {uses: python.check, with: {function: 'steps:make'}}
          b:
            uses: python.check
            with:
              function: steps:fit
              metrics: ${stages.a.names}
              args: {run: "${run.id}"}
        """
    )
    assert loaded.stages["b"].config is None
    assert loaded.stages["b"].upstream == ("a",)
    with pytest.raises(RecipeError, match=r"r\.yaml:8:16: stages\.b\.with\.metrics: should be"):
        loaded.stages["b"].validate({"function": "steps:fit", "metrics": 3})


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: int | float | str


class Square(BaseModel):
    kind: Literal["square"]
    side: float


class Drawing(BaseModel):
    shapes: dict[str, Annotated[Circle | Square, Field(discriminator="kind")]]


@pytest.mark.parametrize(
    ("shape", "path", "message", "hint"),
    [
        ({"kind": "circle", "radius": []}, "radius", "a number or a text, and is a list", ""),
        ({"kind": "square", "side": "long"}, "side", "should be a number, and is 'long'", ""),
        (
            {"kind": "sqare", "side": 1},
            "kind",
            "should be one of 'circle', 'square', and is 'sqare'",
            'Did you mean "square"?',
        ),
        ({"side": 1}, "", '"kind" is missing', ""),
    ],
)
def test_values_that_may_be_of_several_types(
    shape: dict[str, Any], path: str, message: str, hint: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate({"shapes": {"a": shape}})
    (found,) = explain(caught.value, Drawing)
    assert found.path == ("shapes", "a", *([path] if path else []))
    assert found.message.endswith(message)
    assert found.hint.startswith(hint)
