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
        (("steps", 0, "function"), "function", "pkg.a:b"),
        (("checks", 0, "function"), "function", "pkg.c:d"),
        (("output",), "output-path", "data"),
    }


@pytest.mark.parametrize("source", ["raw/rows.csv", {"file": "raw/rows.csv"}])
def test_any_other_source_is_a_file(source: object) -> None:
    assert (("source", "file"), "input-file", "raw/rows.csv") in roles(source=source)


def test_outputs_and_metrics_are_known_beforehand() -> None:
    assert config(split=HALVES).declares({}) == Declares(
        outputs=("train", "test", "profile"),
        metrics=("rows", "columns", "train.rows", "test.rows"),
        values=("rows", "version"),
    )
    assert config().declares({}) == Declares(
        outputs=("data", "profile"), metrics=("rows", "columns"), values=("rows", "version")
    )


def test_data_sets_of_files_have_metrics_of_files() -> None:
    source = {"folder": "photos", "format": "files"}
    assert config(source=source, split=HALVES, profile=False).declares({}) == Declares(
        outputs=("train", "test"),
        metrics=("files", "bytes", "train.files", "test.files"),
        values=("files", "version"),
    )


def test_what_only_a_run_can_tell_is_left_open() -> None:
    assert config(source="photos/").declares({}) == Declares(outputs=("data", "profile"))


def test_inputs_are_refused_that_the_source_does_not_name() -> None:
    with pytest.raises(ValueError, match=r"rows from source, not from inputs \(\"table\"\)"):
        config().declares({"table": "earlier.table"})
    with pytest.raises(ValueError, match='an input "raw" that the stage does not have'):
        config(source={"input": "raw"}).declares({})
    assert config(source={"input": "raw"}).declares({"raw": "fetch.out"}).outputs


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "parquet"}, "format is of tables, and the source is of files"),
        ({"stream": True}, "stream is of tables"),
        ({"split": {**HALVES, "method": "time", "by": "day"}}, "files have no time"),
        ({"split": {**HALVES, "method": "group", "by": "user"}}, 'no column "user": write by: f'),
    ],
)
def test_settings_of_tables_do_not_go_with_files(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(source={"glob": "photos/**/*.jpg", "format": "files"}, **settings)


def test_steps_and_checks_are_fingerprinted_by_what_they_are() -> None:
    steps = ["pkg.a:b", "scripts/a.py", "notebooks/a.ipynb", {"script": "b.py", "args": {"n": 3}}]
    found = roles(steps=steps, checks=["pkg.c:d", "schema.yaml"])
    assert {
        (("steps", 0, "function"), "function", "pkg.a:b"),
        (("steps", 1, "script"), "script", "scripts/a.py"),
        (("steps", 2, "notebook"), "notebook", "notebooks/a.ipynb"),
        (("steps", 3, "script"), "script", "b.py"),
        (("checks", 0, "function"), "function", "pkg.c:d"),
        (("checks", 1, "file"), "input-file", "schema.yaml"),
    } <= found


def test_matches_of_a_glob_are_fingerprinted() -> None:
    assert config(source="raw/*.csv").sources() == ("raw/*.csv",)
    assert config().sources() == ()


@pytest.mark.parametrize(
    ("source", "outside"),
    [("rows.csv", False), ("pkg.a:b", False), ("https://x.org/a.csv", True), ("s3://bkt/a", True)],
)
def test_only_what_lies_outside_is_asked_for(source: str, outside: bool) -> None:
    assert config(source=source).outside() is outside


@pytest.mark.parametrize(
    ("settings", "location", "message"),
    [
        ({"source": "gs://bucket/a.csv"}, "source", "gs:// alone cannot be read"),
        ({"source": "pkg.extract:1"}, "source.function source.function", "should match"),
        ({"source": {"file": "a", "encoding": "utf-9"}}, "source.file source.encoding", "no enc"),
        ({"source": {"file": "a", "delim": ";"}}, "source.file source.delim", "Extra inputs"),
        ({"steps": ["clean"]}, "steps.0", '"clean" is no module:function, no script.py and no'),
        ({"steps": [{"run": "clean.py"}]}, "steps.0", "one of: function, script, notebook"),
        ({"steps": [7]}, "steps.0", "one of: function, script, notebook"),
        ({"steps": [{"script": "a.py", "args": {"input": 1}}]}, "steps.0", '"input" is what'),
        ({"steps": [{"notebook": "a.ipynb", "parameters": {"output": 1}}]}, "steps.0", '"output"'),
        (
            {"steps": [{"script": "a.py", "args": {"-x": 1}}]},
            "steps.0.script step.args.-x.[key]",
            "should match",
        ),
        ({"format": "excel"}, "format", "'csv', 'parquet' or 'jsonl'"),
        ({"stream": True, "memory": "lots"}, "memory", '"lots" is no amount of memory'),
        ({"stream": True, "memory": "1MB"}, "memory", "1MB is too little; 256MB is the least"),
        ({"memory": "1GB"}, "", "memory limits streaming only: add stream: true"),
        ({"split": {**HALVES, "profile": 0.1}}, "split", '"profile" cannot name a part'),
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
    assert {"$ref": "#/$defs/FileSource"} in forms
    assert {"$ref": "#/$defs/SqlSource"} in forms
    steps = schema["properties"]["steps"]["items"]["anyOf"]
    assert {"type": "string"} in steps
    assert {"$ref": "#/$defs/NotebookStep"} in steps
    fraction = schema["$defs"]["SplitConfig"]["additionalProperties"]
    assert fraction == {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}


def test_the_entry_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, mlpipe_dvc; heavy = {'dvc', 'pandas', 'numpy', 'sklearn', 'scmrepo'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
