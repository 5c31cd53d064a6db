"""The whole verb, on real repositories: what it leaves, what plain DVC makes of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import dvc.api
import pandas
import pytest

from mlpipe import Artifact, GateMissed
from mlpipe.errors import StageError
from mlpipe_dvc import prepare
from mlpipe_dvc.config import PrepareConfig
from mlpipe_dvc.ledger import Ledger

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project


SPLIT = {"train": 0.6, "validation": 0.2, "test": 0.2, "seed": 7}


@pytest.fixture(params=["git", "no git"])
def any_project(request: pytest.FixtureRequest, bare_project: Project) -> Project:
    if request.param == "git":
        bare_project.git("init", "--quiet")
        bare_project.write(".mlpipe/.gitignore", "*\n")
    return bare_project


def test_the_result_says_what_was_made(project: Project) -> None:
    probe = project.stage()
    settings = {"source": "rows.csv", "output": "data", "split": SPLIT}
    result = prepare(PrepareConfig.model_validate(settings), probe.stage)
    assert list(result.outputs) == ["train", "validation", "test", "profile"]
    for name in ("train", "validation", "test"):
        artifact = result.outputs[name]
        assert isinstance(artifact, Artifact)
        file = project.root / artifact.location
        assert artifact == Artifact(
            name=name,
            digest="md5:" + hashlib.md5(file.read_bytes()).hexdigest(),
            location=f"data/{name}.csv",
            size=file.stat().st_size,
        )
    assert result.metrics == {
        "rows": 60,
        "columns": 3,
        "train.rows": 36,
        "validation.rows": 12,
        "test.rows": 12,
    }
    version = result.values["version"]
    assert result.values == {"rows": 60, "version": version}
    assert len(version) == 10
    assert result.summary == f"60 rows, 3 splits, version {version}"
    declared = PrepareConfig.model_validate(settings).declares({})
    assert declared.outputs == tuple(result.outputs)
    assert set(declared.metrics) == set(result.metrics)  # type: ignore[arg-type]
    assert set(declared.values) == set(result.values)  # type: ignore[arg-type]
    assert [
        (each["name"], each["rows"], each["columns"]) for each in probe.payloads("dataset")
    ] == [
        ("train", 36, ["id", "age", "label"]),
        ("validation", 12, ["id", "age", "label"]),
        ("test", 12, ["id", "age", "label"]),
    ]


def test_plain_dvc_finds_all_in_order_and_git_finds_nothing_staged(any_project: Project) -> None:
    any_project.prepare(split=SPLIT)
    assert any_project.dvc("status") == "Data and pipelines are up to date.\n"
    assert "in sync" in any_project.dvc("status", "--cloud")
    made = any_project.files()
    assert {f"data/{name}.csv.dvc" for name in ("train", "validation", "test")} <= set(made)
    if (any_project.root / ".git").exists():
        assert any_project.git("diff", "--cached", "--name-only") == ""
        untracked = any_project.git("status", "--porcelain", "--untracked-files=all")
        assert sorted(line.removeprefix("?? ") for line in untracked.splitlines()) == [
            ".dvc/.gitignore",
            ".dvc/config",
            ".dvcignore",
            "data/.gitignore",
            "data/test.csv.dvc",
            "data/train.csv.dvc",
            "data/validation.csv.dvc",
            "rows.csv",
        ]


def test_a_second_run_changes_no_byte(any_project: Project) -> None:
    first = any_project.prepare(split=SPLIT)
    before = any_project.files()
    times = {path: Path(path).stat().st_mtime_ns for path in before if path.endswith(".csv")}
    assert any_project.prepare(split=SPLIT) == first
    assert any_project.files() == before
    assert {path: Path(path).stat().st_mtime_ns for path in times} == times


def test_a_clone_pulls_the_same_bytes(project: Project, tmp_path: Path) -> None:
    project.prepare(split=SPLIT)
    project.commit("data")
    project.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = project.at(tmp_path / "clone")
    assert not (clone.root / "data/train.csv").exists()
    clone.dvc("pull")
    for name in ("train", "validation", "test"):
        path = f"data/{name}.csv"
        assert (clone.root / path).read_bytes() == (project.root / path).read_bytes()


def test_an_old_version_can_be_read_after_a_change(project: Project) -> None:
    project.prepare()
    old = project.commit("first")
    project.write("rows.csv", project.rows + "60,99,1\n")
    project.prepare()
    project.commit("second")
    root = str(project.root)
    with dvc.api.open("data/data.csv", repo=root, rev=old) as stream:
        assert len(stream.readlines()) == 61
    with dvc.api.open("data/data.csv", repo=root, rev="HEAD") as stream:
        assert len(stream.readlines()) == 62


def test_rows_go_through_the_steps_in_order(bare_project: Project) -> None:
    module = bare_project.module(
        """
        import pandas

        def extract():
            return pandas.DataFrame({"x": [3, 1, 2, 2], "y": [0.1, 1 / 3, 2.0, None]})

        def sort(frame):
            return frame.sort_values("x").drop_duplicates("x")

        def double(frame):
            return frame.assign(x=frame["x"] * 2)
        """
    )
    bare_project.prepare(
        source=f"{module}:extract", steps=[f"{module}:sort", f"{module}:double"], output="a/b"
    )
    written = (bare_project.root / "a/b/data.csv").read_bytes()
    assert written == b"x,y\n2,0.3333333333333333\n4,2.0\n6,0.1\n"


def test_floats_come_back_as_they_were(bare_project: Project) -> None:
    values = [0.1 + 0.2, 1e-300, 123456789.123456789, 5e-324, 0.30000000000000004]
    bare_project.write("rows.csv", "x\n" + "".join(f"{value!r}\n" for value in values))
    bare_project.prepare()
    again = pandas.read_csv("data/data.csv")
    assert again["x"].tolist() == values


def test_an_index_with_a_name_becomes_a_column(bare_project: Project) -> None:
    module = bare_project.module(
        """
        def ages(frame):
            return frame.groupby("label").mean()
        """
    )
    bare_project.prepare(steps=[f"{module}:ages"])
    header, *rows = (bare_project.root / "data/data.csv").read_text().splitlines()
    assert header == "label,id,age"
    assert len(rows) == 2


def test_an_encoding_can_be_named(bare_project: Project) -> None:
    (bare_project.root / "rows.csv").write_bytes("name\nJosé\n".encode("latin-1"))
    bare_project.prepare(source={"file": "rows.csv", "encoding": "latin-1"})
    assert (bare_project.root / "data/data.csv").read_text() == "name\nJosé\n"


def test_all_failing_checks_are_named_and_nothing_is_touched(project: Project) -> None:
    project.prepare(split=SPLIT)
    before = project.files()
    module = project.module(
        """
        def check(frame):
            del frame["label"]
            return [f"{len(frame)} rows are too few", "age is odd"]
        """
    )
    project.write("rows.csv", project.rows + "60,99,1\n")
    with pytest.raises(GateMissed) as caught:
        project.prepare(split=SPLIT, checks=f"{module}:check")
    assert str(caught.value) == (
        f"{module}:check: 2 checks failed\n"
        "   - 61 rows are too few\n"
        "   - age is odd\n"
        "   No file was written. Repair the source, or add a step that does."
        " Report: .mlpipe/runs/test-run/data.1/checks.html"
    )
    changed = {path for path, content in project.files().items() if before.get(path) != content}
    assert changed == {"rows.csv", f"{module}.py"}


def test_a_check_may_raise_or_find_nothing(bare_project: Project) -> None:
    module = bare_project.module(
        """
        def strict(frame):
            assert frame["age"].max() < 50, "too old"

        def harmless(frame):
            del frame["label"]
        """
    )
    with pytest.raises(StageError, match=r"1 check failed\n   - AssertionError: too old"):
        bare_project.prepare(checks=f"{module}:strict")
    assert not (bare_project.root / "data").exists()
    assert bare_project.prepare(checks=f"{module}:harmless").metrics["columns"] == 3


def test_the_profile_is_an_output_and_an_artifact(bare_project: Project) -> None:
    probe = bare_project.stage()
    settings = {"source": "rows.csv", "output": "data"}
    result = prepare(PrepareConfig.model_validate(settings), probe.stage)
    profile = result.outputs["profile"]
    assert isinstance(profile, Path)
    assert profile.name == "profile.html"
    assert "age" in profile.read_text()
    assert {"output": "profile"} in probe.payloads("artifact")
    assert "profile" not in bare_project.prepare(profile=False).outputs


def test_what_is_known_of_a_version_is_noted(bare_project: Project) -> None:
    result = bare_project.prepare(split=SPLIT)
    entries = {entry.label: entry for entry in Ledger(bare_project.root / ".mlpipe").versions()}
    assert set(entries) == {f"data/{name}.csv" for name in ("train", "validation", "test")}
    entry, train = entries["data/train.csv"], result.outputs["train"]
    assert isinstance(train, Artifact)
    assert (entry.digest, entry.size, entry.files) == (train.digest, train.size, 1)
    assert (entry.stage, entry.recipe, entry.runs) == ("data", "test", ("test-run",))
    assert entry.description
    assert entry.description.rows == 36
    assert [column.name for column in entry.description.columns] == ["id", "age", "label"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_other_formats_are_named_by_their_files(bare_project: Project, kind: str) -> None:
    result = bare_project.prepare(format=kind, split=SPLIT)
    assert {each.location for each in result.outputs.values() if isinstance(each, Artifact)} == {
        f"data/{name}.{kind}" for name in ("train", "validation", "test")
    }
    again = bare_project.prepare(source=f"data/train.{kind}", output="again")
    assert again.metrics["rows"] == 36


def test_several_files_become_one_data_set(bare_project: Project) -> None:
    for part in ("1", "2"):
        bare_project.write(f"raw/{part}.csv", bare_project.rows)
    assert bare_project.prepare(source="raw/*.csv").metrics["rows"] == 120
    assert bare_project.prepare(source="raw/", stream=True).metrics["rows"] == 120
    bare_project.write("raw/2.csv", "id,age,labels\n1,2,3\n")
    with pytest.raises(StageError, match=r"raw/2\.csv: has other columns than raw/1\.csv"):
        bare_project.prepare(source="raw/*.csv")
