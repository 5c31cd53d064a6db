"""YAML: the core schema of 1.2, positions, and files that are not what they seem."""

import gc
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpipe.recipe.load import parse_set
from mlpipe.recipe.problems import Place, Problem, RecipeError, nearest

STAGES = "stages: {s: {uses: shell.check, with: {command: x}}}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("-.5", -0.5),
        ("007", 7),
        ("+12", 12),
        ("0o17", 15),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("190:20:30", "190:20:30"),
        ("off", "off"),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("2026-01-02", "2026-01-02"),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
        ("=", "="),
        ("{a: [1, x]}", {"a": [1, "x"]}),
    ],
)
def test_values_are_the_same_in_a_file_and_on_the_command_line(
    load_text: Callable[..., Any], text: str, value: Any
) -> None:
    in_file = load_text(f"params: {{a: {text}}}\n{STAGES}").params["a"]
    assert (in_file, type(in_file)) == (value, type(value))
    assert parse_set(f"a={text}") == ("a", value)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (
            "params: {a: !!float abc, b: !!int '', c: !!bool x}\n" + STAGES,
            "r.yaml:1:13: params.a: 'abc' cannot be read as float",
        ),
        (f"params: {{a: {'9' * 5000}}}\n{STAGES}", "r.yaml:1:13: params.a: '9999"),
        (f"params: {{<<: 3}}\n{STAGES}", "r.yaml:1:14: params.<<: is no mapping to merge"),
        (f"params: &p {{<<: *p}}\n{STAGES}", "r.yaml:1:9: this anchor is used within itself"),
        (f"params: {{? [a] : b}}\n{STAGES}", "r.yaml:1:12: params: this key is no text"),
        (f"x: &x {{? [a] : b}}\nparams: {{<<: *x}}\n{STAGES}", "r.yaml:1:1: x: unknown key"),
        (f"params: !!set {{a}}\n{STAGES}", "r.yaml:1:9: params: the tag !!set is not supported"),
        ("name: a\x07b\n" + STAGES, "r.yaml:1:8: is no YAML: the control character U+0007"),
        ("name: é\x07\n" + STAGES, "r.yaml:1:8: is no YAML: the control character U+0007"),
        (
            "name: a\n---\nname: b\n",
            "r.yaml:2:1: is no YAML: expected a single document in the stream, but found another",
        ),
        ("name: *x\n", "r.yaml:1:7: is no YAML: found undefined alias"),
        ("stages: [a]\n", "r.yaml:1:1: stages: should be a mapping, and is a list"),
        ("stages: {a: }\n", "r.yaml:1:13: stages.a: should be a mapping, and is empty"),
        (
            "name: r\r\nstages:\r\n  s: {uses: nope.check}\r\n",
            "r.yaml:3:13: stages.s.uses: unknown",
        ),
        ("# \u2028\nstages: {s: {uses: nope.check}}\n", "r.yaml:3:20: stages.s.uses: unknown"),
        ("\ufeffstages: {s: {uses: nope.check}}\n", "r.yaml:1:20: stages.s.uses: unknown plugin"),
        ("p: " + "[" * 64 + "]" * 64, "r.yaml:1:67: is nested more than 64 levels deep"),
        (
            "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 3000)),
            "r.yaml:65:6: is nested more than 64 levels deep",
        ),
    ],
)
def test_each_problem_has_its_place(problems: Callable[..., str], text: str, first: str) -> None:
    assert problems(text.encode()).startswith(first)


def test_brackets_within_texts_are_no_nesting(load_text: Callable[..., Any]) -> None:
    stages = "".join(
        f"  s{i}: {{uses: shell.check, with: {{command: 'echo [[{{{{ # ('}}}}\n" for i in range(50)
    )
    assert len(load_text(f"stages:\n{stages}").stages) == 50


def test_a_recipe_without_a_name_has_its_files(
    load_text: Callable[..., Any], tmp_path: Path
) -> None:
    assert load_text(STAGES).name == "r"


def test_the_garbage_collector_is_left_as_it_was(
    load_text: Callable[..., Any], problems: Callable[..., str]
) -> None:
    load_text(STAGES)
    problems("name: r\n")
    assert gc.isenabled()
    gc.disable()
    try:
        load_text(STAGES)
        assert not gc.isenabled()
    finally:
        gc.enable()


class TestWithoutLibyaml:
    """PyYAML can be built without its C library."""

    PROGRAM = """
        import sys
        sys.modules["yaml._yaml"] = None
        import yaml
        assert not yaml.__with_libyaml__
        from pathlib import Path
        from mlpipe.plugins.manager import PluginManager
        from mlpipe.recipe.load import load
        from mlpipe.recipe.problems import RecipeError
        try:
            print(load(Path("r.yaml"), plugins=PluginManager([]), environ={}).params)
        except RecipeError as error:
            print(error)
    """

    def answer(self, folder: Path, text: str) -> str:
        """Load a recipe in a process whose PyYAML has no C library."""
        (folder / ".mlpipe").mkdir(exist_ok=True)
        (folder / "r.yaml").write_text(text)
        program = textwrap.dedent(self.PROGRAM)
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
        )
        return done.stdout

    def test_recipes_are_read_all_the_same(self, tmp_path: Path) -> None:
        text = f"params: {{a: 1e-3, b: yes, c: &c {{d: 0o17}}, e: {{<<: *c}}}}\n{STAGES}"
        expected = {"a": 0.001, "b": "yes", "c": {"d": 15}, "e": {"d": 15}}
        assert self.answer(tmp_path, text) == f"{expected}\n"

    def test_problems_are_located_all_the_same(self, tmp_path: Path) -> None:
        assert self.answer(tmp_path, "stages: {a: {uses: nope.check}}\n") == (
            'r.yaml:1:20: stages.a.uses: unknown plugin "nope"\n'
            "    1 │ stages: {a: {uses: nope.check}}\n"
            "      │                    ^^^^\n"
            "   Installed: python, shell.\n"
            "1 problem. Nothing was run.\n"
        )
        deep = self.answer(tmp_path, "a: " + "[" * 100_000)
        assert deep.startswith("r.yaml:1:67: is nested more than 64 levels deep")


class TestRendering:
    def render(self, source: str, text: str, message: str = "wrong") -> list[str]:
        """Render a problem at a text within a line."""
        place = Place(Path("r.yaml"), 7, source.index(text) + 1, len(text))
        return Problem(place, "a.b", message, "", source).render().splitlines()

    def test_the_caret_is_below_what_is_meant(self) -> None:
        assert self.render("    a: here", "here") == [
            "r.yaml:7:8: a.b: wrong",
            "    7 │     a: here",
            "      │        ^^^^",
        ]

    def test_tabs_and_wide_characters_keep_it_there(self) -> None:
        assert self.render("a:\t日本 here", "here")[2] == "      │   \t     ^^^^"
        assert self.render("a: 日本", "日本")[2] == "      │    ^^^^"
        assert self.render("a: e\u0301 here", "here")[2] == "      │      ^^^^"

    @pytest.mark.parametrize("before", [0, 40, 500])
    @pytest.mark.parametrize("after", [0, 40, 500])
    def test_of_long_lines_the_part_around_it_is_shown(self, before: int, after: int) -> None:
        _, line, carets = self.render("x" * before + "here" + "y" * after, "here")
        assert len(line) <= 8 + 122
        assert line[carets.index("^") : carets.rindex("^") + 1] == "here"
        assert ("…x" in line, "y…" in line) == (before == 500, after == 500)

    def test_what_a_terminal_would_obey_is_not_passed_on(self) -> None:
        lines = self.render("a: \x1b[2Jhere", "here", "a \x1b]0;title\x07")
        assert lines[0] == "r.yaml:7:8: a.b: a �]0;title�"
        assert "\x1b" not in "".join(lines)

    def test_problems_are_in_the_order_of_the_file_and_each_once(self) -> None:
        places = [Place(Path("r.yaml"), line, 1) for line in (3, 1, 2, 1)]
        error = RecipeError([Problem(place, "", "wrong") for place in places])
        assert [problem.place.line for problem in error.problems] == [1, 2, 3]
        assert str(error).endswith("\n3 problems. Nothing was run.")

    def test_of_many_names_some_are_listed(self) -> None:
        names = [f"stage{i}" for i in range(1000)]
        hint = nearest("stag7", names, "Stages")
        assert hint.startswith('Did you mean "stage7"? Stages: stage0, stage1, ')
        assert hint.endswith(", stage19 and 980 more.")
