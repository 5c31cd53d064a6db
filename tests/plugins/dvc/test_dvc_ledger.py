"""What is known of versions outlives crashes, damage and many writers."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from mlpipe_dvc.ledger import Entry, Ledger
from mlpipe_dvc.values import Column, Description

TABLE = Description(
    rows=3,
    columns=(
        Column("id", "integer", 0, 3, 1, 3, 2.0, 1.0, (("1–3", 3),)),
        Column("name", "text", 1, 2, "Ada", "José", None, None, (("Ada", 1), ("José", 1))),
    ),
)
ENTRY = Entry(
    label="data/train.csv",
    digest="md5:" + "a" * 32,
    size=12,
    description=TABLE,
    stage="data",
    recipe="churn",
    runs=("r1",),
    created=100.0,
)


def test_what_is_recorded_is_read_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / ".mlpipe")
    assert ledger.versions() == ()
    folder = Entry("data/images", "md5:" + "b" * 32 + ".dir", 99, 4, created=50.0)
    assert ledger.record(ENTRY) == replace(ENTRY, made=100.0)
    ledger.record(folder)
    again = Ledger(tmp_path / ".mlpipe")
    assert again.versions() == (replace(folder, made=50.0), replace(ENTRY, made=100.0))
    assert again.versions("data/images") == (replace(folder, made=50.0),)
    assert again.versions("data") == ()
    assert (tmp_path / ".mlpipe/.gitignore").read_text() == "*\n"


def test_a_version_made_again_keeps_its_first_run_and_time(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record(ENTRY)
    ledger.record(replace(ENTRY, digest="md5:" + "c" * 32, created=150.0))
    ledger.record(replace(ENTRY, runs=("r2",), created=200.0, description=None))
    ledger.record(replace(ENTRY, runs=("r1",), created=200.0))
    assert ledger.versions()[-1] == replace(ENTRY, runs=("r1", "r2"), created=100.0, made=200.0)


def test_a_description_can_be_added_to_a_version_that_no_run_made(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    bare = Entry(ENTRY.label, ENTRY.digest, ENTRY.size)
    ledger.record(bare)
    ledger.record(replace(bare, description=TABLE))
    assert ledger.versions() == (replace(bare, description=TABLE),)
    assert ledger.record(ENTRY) == replace(ENTRY, made=100.0)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"label": 1}'])
def test_a_damaged_file_is_left_out_and_written_anew(
    tmp_path: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(tmp_path)
    ledger.record(ENTRY)
    other = replace(ENTRY, label="data/test.csv", made=100.0)
    ledger.record(other)
    (file,) = [each for each in tmp_path.rglob("*.json") if b"train" in each.read_bytes()]
    file.write_bytes(damage)
    assert ledger.versions() == (other,)
    assert capsys.readouterr().err.startswith(f"{file}: is damaged and left out: ")
    ledger.record(ENTRY)
    assert len(ledger.versions()) == 2


def _record(folder: str, run: int) -> None:
    Ledger(Path(folder)).record(replace(ENTRY, runs=(f"r{run}",)))


def test_runs_that_record_at_once_are_all_kept(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_record, args=(str(tmp_path), n)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    (entry,) = Ledger(tmp_path).versions()
    assert sorted(entry.runs) == ["r0", "r1", "r2", "r3"]
    assert [each.name for each in tmp_path.rglob("*") if each.name.startswith(".")] == [
        ".gitignore"
    ]
