"""What a recipe may say, and what is said back where it may not."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mlpipe import Declares
from mlpipe_dvc.config import PrepareConfig

HALVES = {"train": 0.5, "test": 0.5}


def config(**settings: Any) -> PrepareConfig:
    return PrepareConfig.model_validate({"source": "rows.csv", "output": "data", **settings})


def roles(**settings: Any) -> set[tuple[tuple[str | int, ...], str, str]]:
    return {(path, role.value, value) for path, role, value in config(**settings).roles()}


def test_a_source_with_a_colon_is_a_function() -> None:
    found = roles(source="pkg.extract:extract", steps=["pkg.a:b"], checks="pkg.c:d")
    assert found == {
        (("source", "function"), "function", "pkg.extract:extract"),
        (("steps", 0), "function", "pkg.a:b"),
        (("checks",), "function", "pkg.c:d"),
        (("output",), "output-path", "data"),
    }


@pytest.mark.parametrize("source", ["raw/rows.csv", {"file": "raw/rows.csv"}])
def test_any_other_source_is_a_file(source: object) -> None:
    assert (("source", "file"), "input-file", "raw/rows.csv") in roles(source=source)


def test_outputs_and_metrics_are_known_beforehand() -> None:
    assert config(split=HALVES).declares({}) == Declares(
        outputs=("train", "test"),
        metrics=("rows", "columns", "train.rows", "test.rows"),
        values=("rows", "version"),
    )
    assert config().declares({}) == Declares(
        outputs=("data",), metrics=("rows", "columns"), values=("rows", "version")
    )


def test_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rows from source, not from inputs \(\"table\"\)"):
        config().declares({"table": "earlier.table"})


@pytest.mark.parametrize(
    ("settings", "location", "message"),
    [
        ({"source": "https://x.org/a.csv"}, "source", "a URL cannot be read"),
        ({"source": "pkg.extract:1"}, "source.function.function", "String should match"),
        ({"source": {"file": "a", "encoding": "utf-9"}}, "source.file.encoding", "no encoding"),
        ({"source": {"file": "a", "delimiter": ";"}}, "source.file.delimiter", "Extra inputs"),
        ({"split": {"train": 0.6, "test": 0.3}}, "split", "the fractions sum to 0.9, not to 1"),
        ({"split": {"train": 1.5, "test": 0.3}}, "split.train", "less than 1"),
        ({"split": {"train": 1, "test": 0.5}}, "split.train", "less than 1"),
        ({"split": {"method": "random"}}, "split", "name two or more parts"),
        ({"split": {"a/b": 0.5, "c": 0.5}}, "split", '"a/b" cannot name a part'),
        ({"split": {**HALVES, "method": "time"}}, "split", "time takes a column to go by"),
        ({"split": {**HALVES, "by": "age"}}, "split", "random takes no column"),
        ({"split": {**HALVES, "method": "shuffle"}}, "split.method", "Input should be 'random'"),
        ({"split": {**HALVES, "seed": -1}}, "split.seed", "greater than or equal to 0"),
        ({"output": "../data"}, "output", "below the project's own"),
        ({"output": "/data"}, "output", "below the project's own"),
        ({"output": "."}, "output", "below the project's own"),
        ({"remote": ""}, "remote", "at least 1 character"),
        ({"step": []}, "step", "Extra inputs"),
    ],
)
def test_problems_are_located(settings: dict[str, Any], location: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**settings)
    (problem,) = caught.value.errors()
    assert ".".join(map(str, problem["loc"])) == location
    assert message in problem["msg"]


def test_the_schema_takes_a_source_as_text_and_in_full() -> None:
    schema = TypeAdapter(PrepareConfig).json_schema()
    forms = schema["properties"]["source"]["anyOf"]
    assert {"type": "string"} in forms
    assert {form["$ref"] for form in forms if "$ref" in form} == {
        "#/$defs/FileSource",
        "#/$defs/FunctionSource",
    }
    fraction = schema["$defs"]["SplitConfig"]["additionalProperties"]
    assert fraction == {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}


def test_the_entry_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, mlpipe_dvc; heavy = {'dvc', 'pandas', 'numpy', 'sklearn', 'scmrepo'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
