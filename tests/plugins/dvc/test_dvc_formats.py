"""CSV, Parquet and JSON lines: what is read, what is refused, and that bytes do not vary."""

from __future__ import annotations

import datetime
from pathlib import Path

import pandas
import pytest
from pandas.testing import assert_frame_equal

from mlpipe.errors import StageError
from mlpipe_dvc.tables.arrow import to_arrow
from mlpipe_dvc.tables.reading import read_batches, read_whole
from mlpipe_dvc.tables.writing import write, writer
from mlpipe_dvc.values import Format, LocalFiles

FORMATS: list[Format] = ["csv", "parquet", "jsonl"]


def source(folder: Path, *names: str, encoding: str = "utf-8") -> LocalFiles:
    """Say what a source module says of files in a folder."""
    paths = tuple(folder / name for name in names)
    kind: Format = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl"}[paths[0].suffix]  # type: ignore[assignment]
    origin = names[0] if len(names) == 1 else "raw/"
    return LocalFiles(paths, folder, origin, kind, encoding)


def read(folder: Path, *names: str, encoding: str = "utf-8") -> pandas.DataFrame:
    """Read both ways, which must come to the same."""
    found = source(folder, *names, encoding=encoding)
    whole = read_whole(found, folder)
    batches = pandas.concat(list(read_batches(found, folder)), ignore_index=True)
    # Truth values with gaps are objects when pandas guesses, and nullable in batches.
    assert_frame_equal(batches.convert_dtypes(), whole.convert_dtypes())
    return whole


def refusal(folder: Path, *names: str, encoding: str = "utf-8") -> StageError:
    """Give the error that both ways of reading end with."""
    found = source(folder, *names, encoding=encoding)
    with pytest.raises(StageError) as one:
        read_whole(found, folder)
    with pytest.raises(StageError) as other:
        list(read_batches(found, folder))
    assert str(one.value) == str(other.value)
    return one.value


def table() -> pandas.DataFrame:
    """A table with a column of each common type."""
    texts = ["2024-01-02 03:04:05.6", "", "1999-12-31 00:00:00.0"]
    moments = pandas.Series(pandas.to_datetime(texts))
    return pandas.DataFrame(
        {
            "whole": [1, -2, 2**53 + 1],
            "fraction": [0.1 + 0.2, float("nan"), 1e-300],
            "truth": [True, False, True],
            "text": ['a "b", c', None, "ü\n"],
            "moment": moments,
            "zoned": moments.dt.tz_localize("Europe/Lisbon"),
            "day": [datetime.date(2024, 2, 29), None, datetime.date(1, 1, 1)],
            "gappy": pandas.array([1, None, 3], dtype="Int64"),
            "maybe": pandas.array([True, None, False], dtype="boolean"),
            "small": pandas.array([1, 2, 3], dtype="int8"),
            "sort": pandas.Categorical(["x", "y", "x"]),
        }
    )


def test_types_survive_parquet(tmp_path: Path) -> None:
    write(table(), tmp_path / "a.parquet", "parquet")
    assert_frame_equal(read(tmp_path, "a.parquet"), table())


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_table_gives_the_same_bytes_in_batches_of_any_size(
    tmp_path: Path, kind: Format
) -> None:
    frame = pandas.concat([table().drop(columns="sort")] * 40, ignore_index=True)
    if kind == "csv":
        frame = frame.drop(columns=["moment", "zoned"])
    write(frame, tmp_path / "whole", kind)
    with writer(tmp_path / "batches", kind) as opened:
        for start in range(0, len(frame), 7):
            opened.add(frame.iloc[start : start + 7])
    assert (tmp_path / "batches").read_bytes() == (tmp_path / "whole").read_bytes()


def test_times_in_batches_are_written_alike(tmp_path: Path) -> None:
    frame = table()[["moment", "zoned"]]
    with writer(tmp_path / "a.csv", "csv", to_arrow(frame, "a").schema) as opened:
        opened.add(frame.iloc[:1])
        opened.add(frame.iloc[1:])
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        "moment,zoned",
        "2024-01-02 03:04:05.600000,2024-01-02 03:04:05.600000+0000",
        ",",
        "1999-12-31 00:00:00.000000,1999-12-31 00:00:00.000000+0000",
    ]


def test_parquet_says_nothing_of_pandas_or_the_time(tmp_path: Path) -> None:
    write(pandas.DataFrame({"a": [1]}, index=[5]), tmp_path / "a.parquet", "parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    assert b"pandas" not in content
    write(pandas.DataFrame({"a": [1]}), tmp_path / "b.parquet", "parquet")
    assert (tmp_path / "b.parquet").read_bytes() == content


def test_json_lines_are_written_as_people_expect(tmp_path: Path) -> None:
    write(table().iloc[:2], tmp_path / "a.jsonl", "jsonl")
    first, second = (tmp_path / "a.jsonl").read_text().splitlines()
    assert first == (
        '{"whole": 1, "fraction": 0.30000000000000004, "truth": true, "text": "a \\"b\\", c",'
        ' "moment": "2024-01-02T03:04:05.600000", "zoned": "2024-01-02T03:04:05.600000+00:00",'
        ' "day": "2024-02-29", "gappy": 1, "maybe": true, "small": 1, "sort": "x"}'
    )
    assert second.startswith('{"whole": -2, "fraction": null, "truth": false, "text": null')


def test_an_infinite_number_is_not_written_as_json(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"a": ["x"], "b": [float("-inf")]})
    with pytest.raises(StageError, match='column "b" holds an infinite number'):
        write(frame, tmp_path / "a.jsonl", "jsonl")


def test_a_column_of_several_types_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"several types: .*column mixed"):
        write(pandas.DataFrame({"mixed": [1, "x"]}), tmp_path / "a.parquet", "parquet")


def test_json_lines_are_read_with_what_they_lack(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"a": 1, "b": "2024-01-01"}\n\n{"b": null, "c": [1, 2]}\r\n{"a": 3.5, "d": true}'
    )
    frame = read_whole(source(tmp_path, "a.jsonl"), tmp_path)
    assert list(frame.columns) == ["a", "b", "c", "d"]
    assert frame["b"][0] == "2024-01-01"
    assert frame["a"].isna().tolist() == [False, True, False]
    assert frame["c"][1] == [1, 2]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b'{"a": 1', "is not JSON: Expecting ',' delimiter, column 8"),
        (b"[1, 2]", "holds list, not an object"),
        (b"{'a': 1}", "is not JSON: Expecting property name"),
        (b'{"a": "Jos\xe9"}', "is not utf-8"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_line_of_json_is_named(tmp_path: Path, line: bytes, what: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 0}\n\n' + line + b'\n{"a": 2}\n')
    error = refusal(tmp_path, "a.jsonl")
    assert what in error.what
    assert error.where == "a.jsonl:3"


@pytest.mark.parametrize("content", [b"", b"not parquet at all", b"PAR1PAR1"])
def test_what_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    error = refusal(tmp_path, "a.parquet")
    assert ("is empty" if not content else "is not a Parquet file") in error.what


def test_a_parquet_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    write(table(), tmp_path / "a.parquet", "parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content[: len(content) // 2])
    assert "is not a Parquet file" in refusal(tmp_path, "a.parquet").what


def test_several_files_are_one_table(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "2.csv").write_text("b,a\nz,2.5\n")
    frame = read(tmp_path, "1.csv", "2.csv")
    assert frame["a"].tolist() == [1.0, 2.0, 2.5]
    assert frame["b"].tolist() == ["x", "y", "z"]


def test_text_among_numbers_of_another_file_is_kept_as_written(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a\n007\n")
    (tmp_path / "2.csv").write_text("a\nx1\n")
    assert read(tmp_path, "1.csv", "2.csv")["a"].tolist() == ["007", "x1"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_with_other_columns_are_named(tmp_path: Path, kind: Format) -> None:
    write(pandas.DataFrame({"a": [1], "b": [2]}), tmp_path / f"1.{kind}", kind)
    write(pandas.DataFrame({"a": [1], "c": [2]}), tmp_path / f"2.{kind}", kind)
    error = refusal(tmp_path, f"1.{kind}", f"2.{kind}")
    assert error.where == f"2.{kind}"
    assert error.what == f'has other columns than 1.{kind}: it lacks "b" and also has "c"'


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2", "3"], "int64"),
        (["1", "", "3"], "float64"),
        (["1", "2.5", "3"], "float64"),
        (["1", "2", "x"], "str"),
        (["True", "False", "true"], "bool"),
        (["True", "", "False"], "object"),
        (["True", "1", "0"], "str"),
        (["", "", ""], "float64"),
        (["18446744073709551615", "9223372036854775808", "9223372036854775809"], "uint64"),
        (["2024-01-01", "NA", "2024-01-02"], "str"),
    ],
)
def test_batches_have_the_types_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[str], expected: str
) -> None:
    monkeypatch.setattr("mlpipe_dvc.tables.reading._BATCH_BYTES", 1)
    lines = "".join(f"{number},{value}\n" for number, value in enumerate(values))
    (tmp_path / "a.csv").write_text(f"n,a\n{lines}")
    batches = list(read_batches(source(tmp_path, "a.csv"), tmp_path))
    assert len(batches) == 3
    assert len({str(batch["a"].dtype) for batch in batches}) == 1
    assert read(tmp_path, "a.csv")["a"].dtype == expected


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_is_reported(kind: Format) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StageError, match="full: cannot be written: No space left on device"):
        write(pandas.DataFrame({"a": range(100_000)}), full, kind)
