"""Checks as a gate: functions and pandera's schemas, of tables whole and in batches."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pandas
import pytest
from pandas import DataFrame
from pydantic import TypeAdapter, ValidationError

from mlpipe import StageConfig
from mlpipe.errors import GateMissed, StageError
from mlpipe_dvc.checkconfig import Checks
from mlpipe_dvc.quality.checks import Checker

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project

ORDERS = DataFrame(
    {
        "id": [1, 2, 2, 4, 5, 6],
        "age": [20.0, -1.0, math.nan, 200.0, 31.0, 44.0],
        "state": ["new", "paid", None, "<script>alert(1)</script>", "new", "paid"],
    }
)

SCHEMA = """
    import pandera.pandas as pa

    schema = pa.DataFrameSchema(
        {
            "id": pa.Column(int, unique=True),
            "age": pa.Column(float, pa.Check.in_range(0, 120)),
            "state": pa.Column(str, pa.Check.isin(["new", "paid"])),
        }
    )

    class Orders(pa.DataFrameModel):
        id: int = pa.Field(unique=True)
        age: float = pa.Field(in_range={"min_value": 0, "max_value": 120})
        state: str = pa.Field(isin=["new", "paid"])
"""

YAML = """
columns:
  id: {dtype: int64, unique: true}
  age: {dtype: float64, checks: {in_range: {min_value: 0, max_value: 120}}}
  state: {dtype: str, checks: {isin: [new, paid]}}
"""

FAILURES = [
    "- age: not missing, 1 row of 6, as row 3: missing",
    "- age: in_range(0, 120), 2 rows of 6, as row 2: -1.0",
    "- state: not missing, 1 row of 6, as row 3: missing",
    "- state: isin(['new', 'paid']), 1 row of 6, as row 4: <script>alert(1)</script>",
    "- id: unique, 2 rows of 6, as row 2: 2",
]


def checker(project: Project, *checks: str) -> Checker:
    return Checker(TypeAdapter(Checks).validate_python(list(checks)), project.root)


def verdict(
    project: Project, check: Checker, *batches: DataFrame
) -> tuple[GateMissed | None, dict[str, Any]]:
    """Check a table; give what was raised, and the report."""
    for batch in batches:
        check.add(batch)
    probe = project.stage()
    missed = None
    try:
        check.finish(probe.stage)
    except GateMissed as error:
        missed = error
    kept = [project.root / each["location"] for each in probe.payloads("artifact")]
    assert [path.name for path in kept] == ["checks.html", "checks.json"]
    return missed, json.loads(kept[1].read_text())


def lines(missed: GateMissed | None) -> list[str]:
    assert missed is not None
    return [line.strip() for line in missed.what.splitlines()]


def page_of(project: Project) -> str:
    (path,) = project.root.rglob("runs/**/checks.html")
    return path.read_text()


# -- pandera's schemas ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["schema", "Orders", "yaml"])
@pytest.mark.parametrize("size", [6, 2, 1])
def test_all_failures_are_told_at_once(bare_project: Project, kind: str, size: int) -> None:
    bare_project.write("schemas/orders.yaml", YAML)
    module = bare_project.module(SCHEMA)
    label = "schemas/orders.yaml" if kind == "yaml" else f"{module}:{kind}"
    batches = [ORDERS.iloc[start : start + size] for start in range(0, 6, size)]
    missed, report = verdict(bare_project, checker(bare_project, label), *batches)
    assert missed is not None
    assert lines(missed) == ["5 checks failed", *FAILURES]
    assert (missed.where, missed.metric, missed.bound, missed.value) == (
        label,
        "checks.failures",
        "<= 0",
        5,
    )
    assert str(missed.fix).endswith("Report: .mlpipe/runs/test-run/data.1/checks.html")
    assert (report["rows"], report["failures"], len(report["checks"])) == (6, 5, 9)
    age = next(each for each in report["checks"] if each["check"] == "in_range(0, 120)")
    assert age["examples"] == [{"row": 2, "value": "-1.0"}, {"row": 4, "value": "200.0"}]


def test_good_data_pass_and_what_held_is_reported(
    bare_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    module = bare_project.module(SCHEMA)
    missed, report = verdict(
        bare_project, checker(bare_project, f"{module}:schema"), ORDERS.iloc[[0, 4]].head(1)
    )
    assert missed is None
    assert {(each["column"], each["check"]) for each in report["checks"]} >= {
        ("id", "type int64"),
        ("id", "unique"),
        ("age", "in_range(0, 120)"),
    }
    assert all(each["passed"] for each in report["checks"])
    assert "Nothing is wrong with 1 row" in capsys.readouterr().out


def test_the_log_has_a_short_table(
    bare_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    module = bare_project.module(SCHEMA)
    verdict(bare_project, checker(bare_project, f"{module}:schema"), ORDERS)
    assert capsys.readouterr().out.splitlines() == [
        "5 of 9 checks failed on 6 rows",
        "  column  check                  failing",
        "  age     not missing            1 (16.7%)",
        "  age     in_range(0, 120)       2 (33.3%)",
        "  state   not missing            1 (16.7%)",
        "  state   isin(['new', 'paid'])  1 (16.7%)",
        "  id      unique                 2 (33.3%)",
    ]


def test_duplicates_are_found_across_batches_as_pandera_counts_them(bare_project: Project) -> None:
    module = bare_project.module(
        """
        import pandera.pandas as pa

        every = pa.DataFrameSchema({"n": pa.Column(float, unique=True, coerce=True, nullable=True)})
        first = pa.DataFrameSchema(
            {"n": pa.Column(float, unique=True, nullable=True, coerce=True,
                            report_duplicates="exclude_first")}
        )
        pair = pa.DataFrameSchema(unique=["n", "t"])
        pattern = pa.DataFrameSchema({"[nt]": pa.Column(unique=True, regex=True, nullable=True)})
        """
    )
    table = DataFrame({"n": [1, 2, 3, 1, 4, 1], "t": ["a", "b", None, "a", "c", "d"]})
    batches = [table.iloc[:3], table.iloc[3:].astype({"n": "float64"})]

    def found(name: str) -> list[str]:
        missed, _ = verdict(bare_project, checker(bare_project, f"{module}:{name}"), *batches)
        return lines(missed)[1:]

    assert found("every") == ["- n: unique, 3 rows of 6, as row 1: 1"]
    assert found("first") == ["- n: unique, 2 rows of 6, as row 1: 1"]
    assert found("pair") == ["- n, t: unique together, 2 rows of 6, as row 1: n 1, t a"]
    assert found("pattern") == [
        "- n: unique, 3 rows of 6, as row 1: 1",
        "- t: unique, 2 rows of 6, as row 1: a",
    ]


def test_what_is_asked_of_a_whole_column_says_which_batch(bare_project: Project) -> None:
    module = bare_project.module(
        """
        import pandera.pandas as pa

        schema = pa.DataFrameSchema(
            {"n": pa.Column(int, pa.Check(lambda s: s.mean() < 3, name="small mean")),
             "x": pa.Column(int, required=True)},
            checks=pa.Check(lambda table: table["n"] < 5, name="n below five"),
        )
        """
    )
    table = DataFrame({"n": [1, 2, 9, 10], "t": list("abcd")})
    label = f"{module}:schema"
    whole, _ = verdict(bare_project, checker(bare_project, label), table)
    parts, _ = verdict(bare_project, checker(bare_project, label), table[:2], table[2:])
    assert lines(whole) == [
        "3 checks failed",
        "- n: small mean",
        "- n below five, 2 rows of 4, as row 3: n 9, t c",
        "- x: is there",
    ]
    assert lines(parts)[1:] == [
        "- n: small mean, in rows 3 to 4",
        "- n below five, 2 rows of 4, as row 3: n 9, t c",
        "- x: is there",
    ]


def test_coercion_is_of_a_copy_and_names_what_cannot_be(bare_project: Project) -> None:
    module = bare_project.module(
        """
        import pandera.pandas as pa

        schema = pa.DataFrameSchema({"n": pa.Column(int, coerce=True)}, drop_invalid_rows=True)

        def greedy(table):
            table.loc[:, "n"] = "gone"
            del table["m"]
        """
    )
    table = DataFrame({"n": ["1", "x", "3"], "m": [1, 2, 3]})
    before = table.copy()
    check = checker(bare_project, f"{module}:schema", f"{module}:greedy")
    missed, _ = verdict(bare_project, check, table)
    assert lines(missed) == ["1 check failed", "- n: type int64, 1 row of 3, as row 2: x"]
    pandas.testing.assert_frame_equal(table, before)


def test_a_check_that_raises_fails_and_a_wrong_type_is_said(bare_project: Project) -> None:
    module = bare_project.module(
        """
        import pandera.pandas as pa

        def boom(column):
            raise ValueError("no way")

        schema = pa.DataFrameSchema({"n": pa.Column(int), "t": pa.Column(str, pa.Check(boom))})
        """
    )
    table = DataFrame({"n": [1.5, 2.0], "t": ["c", "d"]})
    missed, _ = verdict(bare_project, checker(bare_project, f"{module}:schema"), table)
    assert lines(missed)[1:] == ["- n: type int64, is float64", '- t: boom, ValueError("no way")']


def test_many_failures_are_cut_short(bare_project: Project) -> None:
    module = bare_project.module(
        "def check(table):\n    return [f'problem {n}' for n in range(1500)]\n"
    )
    missed, report = verdict(
        bare_project, checker(bare_project, f"{module}:check"), DataFrame({"n": [1]})
    )
    assert missed is not None
    assert lines(missed)[-1] == "- and 951 more"
    assert report["checks"][-1]["check"] == "and 500 more messages"


def test_long_and_odd_values_fit_a_line(bare_project: Project) -> None:
    module = bare_project.module(
        """
        import pandera.pandas as pa

        schema = pa.DataFrameSchema({"t": pa.Column(str, pa.Check.isin(["a"]))})
        """
    )
    table = DataFrame({"t": ["x" * 5000, "two\nlines\x00", "  "]})
    _, report = verdict(bare_project, checker(bare_project, f"{module}:schema"), table)
    (failed,) = [each for each in report["checks"] if not each["passed"]]
    values = [each["value"] for each in failed["examples"]]
    assert values == ["x" * 79 + "…", "two lines\x00", "'  '"]
    assert "\x00" not in page_of(bare_project)


# -- functions --------------------------------------------------------------------------------


def test_functions_are_asked_of_each_batch(bare_project: Project) -> None:
    module = bare_project.module(
        """
        def check(table):
            return [f"odd: {n}" for n in table["n"] if n % 2]

        def strict(table):
            assert table.index[0] != 2, "starts at two"
        """
    )
    table = DataFrame({"n": [1, 2, 3, 4]})
    check = checker(bare_project, f"{module}:check", f"{module}:strict")
    missed, _ = verdict(bare_project, check, table[:2], table[2:])
    assert missed is not None
    assert missed.where == f"{module}:check, {module}:strict"
    assert lines(missed) == [
        "3 checks failed",
        "- odd: 1 (in rows 1 to 2)",
        "- odd: 3 (in rows 3 to 4)",
        "- AssertionError: starts at two (in rows 3 to 4)",
    ]


def test_files_are_checked_by_functions_only(bare_project: Project) -> None:
    module = bare_project.module(
        SCHEMA
        + """
    def check(files):
        return [f"{name} is empty" for name, path in files.items() if not path.stat().st_size]
        """
    )
    files = {"cat/1.png": bare_project.write("cat/1.png", ""), "b": bare_project.write("b", "x")}
    check = checker(bare_project, f"{module}:check")
    check.add_files(files)
    missed, report = verdict(bare_project, check)
    assert lines(missed) == ["1 check failed", "- cat/1.png is empty"]
    assert report["files"] == 2
    with pytest.raises(StageError, match="a schema describes a table, and this data set is of"):
        checker(bare_project, f"{module}:schema").add_files(files)


# -- what cannot be loaded --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("a: [\n", "s.yaml:2:1", "is no YAML"),
        ("", "s.yaml", "holds no schema"),
        ("- 1\n", "s.yaml", "holds no schema"),
        ("columns:\n  a: {dtype: intt}\n", "s.yaml", "data type 'intt' not understood"),
        ("columns:\n  a: {checks: {greater_thn: 3}}\n", "s.yaml", "greater_thn"),
        ("columns:\n  a: {dtype: int64, nulable: true}\n", "s.yaml", 'column a, "nulable"'),
        ("colums: {}\n", "s.yaml", 'an unknown key, "colums"'),
        ("columns:\n  a: int64\n", "s.yaml", "is no schema that pandera understands"),
    ],
)
def test_a_bad_yaml_says_where(bare_project: Project, content: str, where: str, what: str) -> None:
    bare_project.write("s.yaml", content)
    with pytest.raises(StageError) as caught:
        checker(bare_project, "s.yaml")
    assert caught.value.where == where
    assert what in caught.value.what


def test_a_misspelt_key_is_guessed(bare_project: Project) -> None:
    bare_project.write("s.yaml", "columns:\n  a: {dtype: int64, nulable: true}\n")
    with pytest.raises(StageError, match=r'Did you mean "nullable"\?'):
        checker(bare_project, "s.yaml")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("absent", "has no function absent"),
        ("number", "has no function number"),
        ("Broken", "is no model"),
    ],
)
def test_an_object_that_is_no_check_is_named(bare_project: Project, name: str, what: str) -> None:
    module = bare_project.module(
        """
        import pandera.pandas as pa

        number = 3

        class Broken(pa.DataFrameModel):
            a: int

            @pa.check("b")
            def of_another(cls, column):
                return column > 0
        """
    )
    with pytest.raises(StageError, match=what) as caught:
        checker(bare_project, f"{module}:{name}")
    assert str(caught.value.where).startswith(module)


def test_a_missing_file_and_module_are_named(bare_project: Project) -> None:
    with pytest.raises(StageError, match=r"none\.yaml: cannot be read: No such file"):
        checker(bare_project, "none.yaml")
    with pytest.raises(StageError, match='there is no module "nowhere"'):
        checker(bare_project, "nowhere:schema")


# -- the recipe's key -------------------------------------------------------------------------


class Holder(StageConfig):
    checks: Checks


def roles(value: object) -> set[tuple[tuple[str | int, ...], str, str]]:
    found = Holder.model_validate({"checks": value}).roles()
    return {(path, role.value, text) for path, role, text in found}


def test_checks_are_one_or_a_list() -> None:
    assert roles("pkg.checks:check") == {
        (("checks", 0, "function"), "function", "pkg.checks:check")
    }
    assert roles(["a.yml", {"file": "b.yaml"}, {"function": "m:f"}]) == {
        (("checks", 0, "file"), "input-file", "a.yml"),
        (("checks", 1, "file"), "input-file", "b.yaml"),
        (("checks", 2, "function"), "function", "m:f"),
    }


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("checks.py", "is no module:object and no schema.yaml"),
        ([], "name one check or more"),
        ({"file": "a.json"}, "match pattern"),
        ("a b:c", "match pattern"),
        (3, "valid dictionary"),
    ],
)
def test_what_is_no_check_is_refused(value: object, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Holder.model_validate({"checks": value})


def test_editors_learn_the_short_forms() -> None:
    schema = json.dumps(Holder.model_json_schema())
    assert '"type": "string"' in schema
    assert '"type": "array"' in schema


# -- the page ---------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_is_whole_by_itself_and_escapes_values(bare_project: Project) -> None:
    module = bare_project.module(SCHEMA)
    verdict(bare_project, checker(bare_project, f"{module}:schema"), ORDERS)
    page = page_of(bare_project)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    tags = Tags()
    tags.feed(page)
    names = {name for name, _ in tags.seen}
    assert not {"script", "link", "img", "iframe"} & names
    assert not re.search(r"https?://|url\(", page)
    assert all("scope" in found for name, found in tags.seen if name == "th")
    assert "prefers-color-scheme" in page
    assert page.count("<caption>") == page.count("<table>") == 2
