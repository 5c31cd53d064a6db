"""Sources of the project: files, folders, globs, inputs of the stage, functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas
import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from mlpipe.errors import StageError
from mlpipe.testing.stages import make_stage
from mlpipe.types import Artifact
from mlpipe_dvc.sourceconfig import Source, is_outside
from mlpipe_dvc.sources import identify, open_source
from mlpipe_dvc.values import Frames, LocalFiles
from tests.privileges import bound_by_permissions

if TYPE_CHECKING:
    from pathlib import Path

    from mlpipe_dvc.values import Format
    from tests.plugins.dvc.conftest import Project

SOURCE: TypeAdapter[Any] = TypeAdapter(Source)


def opened(project: Project, source: object, **given: Any) -> LocalFiles:
    stage = make_stage(project.root, "prepare", **given).stage
    found = open_source(SOURCE.validate_python(source), stage)
    assert isinstance(found, LocalFiles)
    return found


def frames(project: Project, source: object) -> list[pandas.DataFrame]:
    found = open_source(SOURCE.validate_python(source), project.stage().stage)
    assert isinstance(found, Frames)
    return list(found.batches)


def names(found: LocalFiles) -> list[str]:
    return [path.relative_to(found.base).as_posix() for path in found.paths]


# -- what a recipe may say ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("raw/a.csv", {"file": "raw/a.csv"}),
        ("raw/", {"folder": "raw/"}),
        ("raw/*.csv", {"glob": "raw/*.csv"}),
        ("raw/a?.csv", {"glob": "raw/a?.csv"}),
        ("https://example.org/a.csv?v=*", {"url": "https://example.org/a.csv?v=*"}),
        ("s3://bucket/a/b.csv", {"s3": "s3://bucket/a/b.csv"}),
        ("s3://bucket/a/", {"s3": "s3://bucket/a/"}),
        ("pkg.extract:extract", {"function": "pkg.extract:extract"}),
    ],
)
def test_a_text_stands_for_a_source(text: str, spelled: dict[str, str]) -> None:
    assert SOURCE.validate_python(text) == SOURCE.validate_python(spelled)


def test_a_source_made_in_python_is_taken_as_it_is() -> None:
    source = SOURCE.validate_python({"repo": "../other", "path": "a.csv", "rev": "v1"})
    assert SOURCE.validate_python(source) is source


SQLITE = "sqlite:///a.db"


@pytest.mark.parametrize(
    ("source", "location", "message"),
    [
        (3, "", "a source is a text, or a mapping"),
        ({}, "", "say where the data comes from with one of: file, folder"),
        ({"fle": "a.csv"}, "", 'unknown key "fle". Did you mean "file"?'),
        ("ftp://example.org/a", "", "ftp:// alone cannot be read"),
        (SQLITE, "", "sqlite:// alone cannot be read"),
        ({"file": "a", "delimiter": ";"}, "file source.delimiter", "Extra inputs"),
        ({"file": "a", "encoding": "utf-9"}, "file source.encoding", "no encoding that Python"),
        ({"folder": "a", "format": "xls"}, "folder source.format", "Input should be 'csv'"),
        ("../*.csv", "glob source.glob", "without .."),
        ("/data/*.csv", "glob source.glob", "below the folder"),
        ("https:///a.csv", "url source.url", "write the whole address"),
        ("https://me:pw@example.org/", "url source.url", "must not hold a user or password"),
        ({"url": "https://a.org", "digest": "sha256:1"}, "url source.digest", "write sha256: and"),
        ({"headers": {}}, "url source.url", "Field required"),
        ("s3://B/a", "s3 source.s3", "write s3://BUCKET/KEY"),
        ({"sql": "select 1"}, "sql source.database", "Field required"),
        ({"database": SQLITE}, "sql source.sql", "Field required"),
        ({"sql": "a", "database": "a.db"}, "sql source.database", "a URL of SQLAlchemy's"),
        ({"sql": "a", "database": "pg://u:p/?w@h/d"}, "sql source.database", "not hold a password"),
        ({"sql": "a", "database": "pg://h/d?password=p"}, "sql source.database", "by the name of"),
        ({"repo": "../other"}, "repo source.path", "Field required"),
        ({"rev": "v1", "path": "a"}, "repo source.repo", "Field required"),
        ({"repo": ".", "path": "../a"}, "repo source.path", "without .."),
        ({"repo": "https://t@h.org/r", "path": "a"}, "repo source.repo", "a password or token"),
        ({"repo": "ssh://u:p@h/r", "path": "a"}, "repo source.repo", "a password or token"),
        ({"repo": "r", "path": "a", "rev": "--all"}, "repo source.rev", "String should match"),
        ("pkg.extract:1", "function source.function", "String should match"),
    ],
)
def test_problems_are_located_in_the_kind_that_is_meant(
    source: object, location: str, message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        SOURCE.validate_python(source)
    (problem,) = caught.value.errors()
    assert ".".join(map(str, problem["loc"])) == location
    assert message in problem["msg"]


@pytest.mark.parametrize(
    "source",
    [
        {"repo": "ssh://git@example.org/r.git", "path": "a"},
        {"repo": "git@example.org:r.git", "path": "a"},
        {"sql": "select 1", "database": "postgresql+psycopg://me@host:5432/shop?sslmode=require"},
        {"url": "https://example.org/a", "headers": {"X-Api-Key": "KEY"}},
        {"input": "raw", "format": "files"},
    ],
)
def test_what_holds_no_secret_is_taken(source: object) -> None:
    assert SOURCE.validate_python(source)


def test_the_schema_takes_a_source_as_text_and_in_full() -> None:
    class Config(BaseModel):
        model_config = ConfigDict(extra="forbid")
        source: Source

    schema = Config.model_json_schema()
    forms = schema["properties"]["source"]["anyOf"]
    assert {"type": "string"} in forms
    kinds = {form["$ref"].rpartition("/")[2] for form in forms if "$ref" in form}
    assert kinds == {
        *("FileSource", "FolderSource", "GlobSource", "UrlSource", "S3Source"),
        *("SqlSource", "RepoSource", "FunctionSource", "InputSource"),
    }
    headers = schema["$defs"]["UrlSource"]["properties"]["headers"]["patternProperties"]
    assert {secret["x-mlpipe"] for secret in headers.values()} == {"secret-name"}


@pytest.mark.parametrize("source", ["a.csv", "a/", "*.csv", "m:f", {"input": "raw"}])
def test_what_is_of_the_project_has_no_identity_of_its_own(
    project: Project, source: object
) -> None:
    config = SOURCE.validate_python(source)
    assert not is_outside(config)
    assert identify(config, project.stage().stage) == {}


# -- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.csv", "csv"),
        ("a.CSV", "csv"),
        ("a.parquet", "parquet"),
        ("a.jsonl", "jsonl"),
        ("a.ndjson", "jsonl"),
    ],
)
def test_a_file_is_used_where_it_is(bare_project: Project, name: str, written: Format) -> None:
    path = bare_project.write(f"raw/{name}", "x\n1\n")
    assert opened(bare_project, f"raw/{name}") == LocalFiles(
        (path,),
        path.parent,
        f"raw/{name}",
        written,
    )


def test_a_file_of_unknown_format_needs_one(bare_project: Project) -> None:
    bare_project.write("rows.txt", "x\n1\n")
    with pytest.raises(StageError, match=r"rows\.txt: its name does not tell its format"):
        opened(bare_project, "rows.txt")
    assert opened(bare_project, {"file": "rows.txt", "format": "csv"}).format == "csv"
    assert opened(bare_project, {"file": "rows.txt", "format": "files"}).format is None


def test_a_file_may_lie_outside_the_project(bare_project: Project, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x\n1\n")
    for name in ("../rows.csv", str(tmp_path / "rows.csv")):
        assert opened(bare_project, name).paths == (tmp_path / "rows.csv",)


def test_a_missing_file_is_named_with_the_nearest(bare_project: Project) -> None:
    bare_project.write("raw/orders.csv", "x\n")
    with pytest.raises(StageError) as caught:
        opened(bare_project, "raw/order.csv")
    assert str(caught.value).startswith("raw/order.csv: the source is not there")
    assert str(caught.value.fix).endswith("Did you mean raw/orders.csv?")
    with pytest.raises(StageError, match="nowhere/a/b: the source is not there"):
        opened(bare_project, "nowhere/a/b")
    with pytest.raises(StageError, match=r"raw/orders.csv/a: the source is not there"):
        opened(bare_project, "raw/orders.csv/a")


def test_a_folder_is_no_file_and_a_file_no_folder(bare_project: Project) -> None:
    bare_project.write("raw/a.csv", "x\n")
    with pytest.raises(StageError, match=r"the source is a folder\n .* write raw/ with"):
        opened(bare_project, "raw")
    with pytest.raises(StageError, match="the source is a file, not a folder"):
        opened(bare_project, {"folder": "raw/a.csv"})


def test_what_may_not_be_read_is_named(bare_project: Project) -> None:
    bare_project.write("raw/a.csv", "x\n").chmod(0)
    with bound_by_permissions():
        with pytest.raises(StageError, match=r"raw/a.csv: cannot be read: Permission denied"):
            opened(bare_project, "raw/a.csv")
        with pytest.raises(StageError, match=r"raw/ \(a.csv\): cannot be read: Permission denied"):
            opened(bare_project, "raw/")
    folder = bare_project.root / "raw"
    folder.chmod(0)
    try:
        with (
            bound_by_permissions(),
            pytest.raises(StageError, match=r"raw/: cannot be read: Permission denied"),
        ):
            opened(bare_project, "raw/")
    finally:
        folder.chmod(0o700)


# -- folders and globs ----------------------------------------------------------------------


def test_a_folder_of_tables_is_a_table(bare_project: Project) -> None:
    for name in ("b.csv", "a/c.csv", ".DS_Store", ".gitignore", "b.csv.dvc", ".hidden/d.csv"):
        bare_project.write(f"raw/{name}", "x\n1\n")
    found = opened(bare_project, "raw/")
    assert names(found) == ["a/c.csv", "b.csv"]
    assert found.base == bare_project.root / "raw"
    assert found.format == "csv"


def test_a_folder_of_images_is_files(bare_project: Project) -> None:
    for name in ("cat/1.png", "cat/2.jpg", "dog/1.png"):
        bare_project.write(f"images/{name}", "…")
    found = opened(bare_project, "images/")
    assert names(found) == ["cat/1.png", "cat/2.jpg", "dog/1.png"]
    assert found.format is None


def test_a_folder_of_one_image_is_files(bare_project: Project) -> None:
    bare_project.write("images/1.png", "…")
    assert opened(bare_project, "images/").format is None


def test_mixed_formats_are_refused_unless_taken_as_files(bare_project: Project) -> None:
    for name in ("a.csv", "b.parquet", "c.png"):
        bare_project.write(f"raw/{name}", "…")
    with pytest.raises(StageError, match=r"raw/: holds files of several formats, as a\.csv and b"):
        opened(bare_project, "raw/")
    assert opened(bare_project, {"folder": "raw", "format": "files"}).format is None
    assert names(opened(bare_project, "raw/*.csv")) == ["a.csv"]


def test_an_empty_folder_is_refused(bare_project: Project) -> None:
    bare_project.write("raw/.gitkeep", "")
    with pytest.raises(StageError, match="raw/: the folder holds no file"):
        opened(bare_project, "raw/")
    with pytest.raises(StageError, match="rew/: the source is not there"):
        opened(bare_project, "rew/")


def test_a_broken_link_is_named(bare_project: Project) -> None:
    bare_project.write("raw/a.csv", "x\n")
    (bare_project.root / "raw/b.csv").symlink_to("nowhere")
    with pytest.raises(StageError, match=r"raw/ \(b\.csv\): is a broken link"):
        opened(bare_project, "raw/")


def test_a_glob_takes_what_matches(bare_project: Project) -> None:
    for name in ("2024/a.csv", "2025/b.csv", "2025/c.txt", "2025/.d.csv"):
        bare_project.write(f"raw/{name}", "x\n1\n")
    found = opened(bare_project, "raw/**/*.csv")
    assert names(found) == ["2024/a.csv", "2025/b.csv"]
    assert found.base == bare_project.root / "raw"
    assert names(opened(bare_project, "raw/2025/*.csv")) == ["b.csv"]
    assert names(opened(bare_project, "r*/2024/a.csv")) == ["raw/2024/a.csv"]


def test_a_glob_without_a_match_is_refused(bare_project: Project) -> None:
    with pytest.raises(StageError, match=r"raw/\*\.csv: no file matches\n.*no folder raw"):
        opened(bare_project, "raw/*.csv")
    with pytest.raises(StageError, match="is no pattern"):
        opened(bare_project, "raw/**.csv")


# -- inputs ---------------------------------------------------------------------------------


def test_an_input_is_a_file_or_a_folder(bare_project: Project) -> None:
    path = bare_project.write("made/table.csv", "x\n1\n")
    folder = Artifact("raw", "sha256:0", "made")
    found = opened(bare_project, {"input": "raw"}, inputs={"raw": path})
    assert (found.paths, found.format) == ((path,), "csv")
    assert opened(bare_project, {"input": "raw"}, inputs={"raw": folder}).paths == (path,)


def test_an_input_that_the_stage_has_not_is_refused(bare_project: Project) -> None:
    with pytest.raises(StageError, match='the stage has no input "raw"'):
        opened(bare_project, {"input": "raw"})


# -- functions ------------------------------------------------------------------------------

CODE = """
    from pathlib import Path
    import pandas

    def table(rows=1):
        return pandas.DataFrame({"x": range(rows)})

    def batches():
        yield table(2)
        yield table(3)

    def path():
        return Path("raw")

    def paths():
        yield Path("raw/a.csv")
        yield Path("more/b.csv")

    def lost():
        return [Path("nowhere.csv")]

    def number():
        return 3

    def text():
        return "raw/a.csv"

    def numbers():
        return [3]

    def empty():
        return []

    def broken():
        yield table()
        raise ValueError("no more")

    def breaks():
        raise ValueError("none")
        yield

    def changes():
        yield table()
        yield 3
"""


def test_a_function_gives_a_table_with_its_arguments(bare_project: Project) -> None:
    module = bare_project.module(CODE)
    (table,) = frames(bare_project, {"function": f"{module}:table", "args": {"rows": 4}})
    assert table["x"].tolist() == [0, 1, 2, 3]


def test_a_function_yields_batches(bare_project: Project) -> None:
    module = bare_project.module(CODE)
    assert [len(each) for each in frames(bare_project, f"{module}:batches")] == [2, 3]


def test_a_function_returns_paths(bare_project: Project) -> None:
    module = bare_project.module(CODE)
    first = bare_project.write("raw/a.csv", "x\n1\n")
    second = bare_project.write("more/b.csv", "x\n2\n")
    assert opened(bare_project, f"{module}:path").paths == (first,)
    found = opened(bare_project, f"{module}:paths")
    assert found.paths == (second, first)
    assert found.base == bare_project.root
    assert found.format == "csv"


@pytest.mark.parametrize(
    ("function", "what"),
    [
        ("number", "returned int, not a DataFrame"),
        ("text", "returned str, not a DataFrame"),
        ("numbers", "gave int, not a DataFrame"),
        ("empty", "yields nothing"),
        ("lost", "returned nowhere.csv, which is not there"),
        ("changes", "gave int, not a DataFrame"),
    ],
)
def test_a_function_that_gives_no_data_is_named(
    bare_project: Project, function: str, what: str
) -> None:
    module = bare_project.module(CODE)
    with pytest.raises(StageError) as caught:
        frames(bare_project, f"{module}:{function}")
    assert caught.value.what == what
    assert caught.value.where == f"{module}:{function}"


@pytest.mark.parametrize(("function", "line"), [("broken", 36), ("breaks", 39)])
def test_an_error_while_yielding_names_its_line(
    bare_project: Project, function: str, line: int
) -> None:
    module = bare_project.module(CODE)
    with pytest.raises(StageError, match="ValueError: no") as caught:
        frames(bare_project, f"{module}:{function}")
    assert caught.value.where == f"{module}.py:{line}"


def test_arguments_that_a_function_does_not_take_are_reported(bare_project: Project) -> None:
    module = bare_project.module(CODE)
    with pytest.raises(StageError, match=r"TypeError: table\(\) got an unexpected"):
        frames(bare_project, {"function": f"{module}:table", "args": {"lines": 1}})
