"""The database: made once, read-only when asked, never torn, and its rows readable again."""

import json
import math
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlpipe.errors import StoreError, UserError
from mlpipe.store import Store
from mlpipe.store.lockfile import LockFile
from mlpipe.store.results import Output, Record
from mlpipe.store.runs import RunRow, RunState, StageRow, StageState
from mlpipe.types import Release, Target


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


RECORD = Record(
    fingerprint="sha256:1",
    run="7f3a",
    components={"with.depth": 4},
    outputs={"model": Output("sha256:2", ".mlpipe/artifacts/x", "models/m", size=3)},
    metrics={"accuracy": 0.9},
    values={"url": "http://127.0.0.1"},
    summary="fine",
    created=12.5,
)


def run_row(identifier: str, started: float = 1.0, state: RunState = RunState.RUNNING) -> RunRow:
    return RunRow(
        identifier, "r", "r.yaml", "local", {"a": 1}, "mlpipe run r", started, None, state, {}, ""
    )


def test_a_result_comes_back_as_it_was(store: Store) -> None:
    store.results.put(RECORD, "churn", "model", "local")
    assert store.results.get("sha256:1") == RECORD
    assert store.results.latest("churn", "model", "local") == RECORD
    assert store.results.latest("churn", "model", "aws") is None


def test_a_damaged_row_counts_as_no_result(store: Store) -> None:
    store.results.put(RECORD, "churn", "model", "local")
    store.database.write("UPDATE results SET record = '{\"outputs\": 3}'")
    assert store.results.get("sha256:1") is None
    store.database.write("UPDATE results SET record = 'no json'")
    assert store.results.get("sha256:1") is None


def test_runs_and_stages_come_back_as_they_were(store: Store) -> None:
    row = run_row("aaaa")
    stages = [
        StageRow("aaaa", "two", 1, "python.train", StageState.FAILED, error={"what": "x"}),
        StageRow("aaaa", "one", 0, "python.prepare", StageState.DONE, metrics={"n": 1.0}),
    ]
    store.runs.add(row)
    store.runs.put_stages(stages)
    assert store.runs.get("aaaa") == row
    assert store.runs.stages("aaaa") == [stages[1], stages[0]]
    store.runs.finish("aaaa", RunState.DONE, 2.0)
    assert store.runs.newest() == [replace(row, state=RunState.DONE, finished=2.0)]


def test_a_key_is_used_again_only_after_an_interruption(store: Store) -> None:
    stage = StageRow(
        "r", "s", 0, "x.y", StageState.INTERRUPTED, fingerprint="f", key="k", started=1.0
    )
    store.runs.put_stages([stage])
    assert store.runs.unfinished_key("f") == "k"
    store.runs.put_stages([replace(stage, run="r2", state=StageState.FAILED, started=2.0)])
    assert store.runs.unfinished_key("f") is None


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    def write_and_fail() -> None:
        with store.transaction():
            store.runs.add(run_row("aaaa"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert store.runs.get("aaaa") is None


@pytest.mark.parametrize("nested", [False, True])
def test_a_durable_transaction_is_synced_once_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nested: bool
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").resolve().name))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store = Store(tmp_path)
    with store.transaction():
        store.runs.add(run_row("aaaa"))
    assert synced == []
    with store.transaction(durable=not nested):
        with store.transaction(durable=nested):
            store.runs.add(run_row("bbbb"))
        assert synced == []
    assert synced == ["state.db-wal"]
    store.close()


def test_a_read_only_store_makes_and_changes_nothing(tmp_path: Path) -> None:
    empty = Store(tmp_path / "new", read_only=True)
    assert empty.runs.newest() == []
    empty.close()
    assert not (tmp_path / "new").exists()
    Store(tmp_path).close()
    reader = Store(tmp_path, read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.runs.add(run_row("aaaa"))
    reader.close()


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / ".mlpipe").mkdir()
    (tmp_path / ".mlpipe" / "state.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"state\.db: cannot be used as mlpipe's state"):
        Store(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.database._connection.execute("PRAGMA user_version=99")
    store.close()
    with pytest.raises(StoreError, match="written by a newer mlpipe"):
        Store(tmp_path)


def test_two_stores_see_each_other(tmp_path: Path) -> None:
    first, second = Store(tmp_path), Store(tmp_path)
    first.runs.add(run_row("aaaa"))
    second.runs.add(run_row("bbbb", 2.0))
    assert [run.id for run in first.runs.newest()] == ["bbbb", "aaaa"]
    first.close()
    second.close()


def test_facts_of_a_file_are_kept_once_its_status_is_settled(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("old")
    reads: list[str] = []

    def read(path: Path) -> str:
        reads.append(path.read_text())
        return reads[-1]

    assert store.files.facts("x", "data.csv", read) == "old"
    store.files.save()
    store.files.forget()
    # Just written: an edit within the same clock tick would not show, so it is read again.
    assert store.files.facts("x", "data.csv", read) == "old"
    assert len(reads) == 2
    long_ago = time.time_ns() - 10_000_000_000
    os.utime(file, ns=(long_ago, long_ago))
    store.files.forget()
    store.files.facts("x", "data.csv", read)
    store.files.save()
    store.files.forget()
    assert store.files.facts("x", "data.csv", read) == "old"
    assert len(reads) == 3


def test_facts_of_a_folder_are_kept_until_a_file_in_it_changes(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "images" / "cats"
    folder.mkdir(parents=True)
    files = [folder / "1.jpg", folder / "2.jpg"]
    long_ago = time.time_ns() - 10_000_000_000
    reads: list[Path] = []

    def read(path: Path) -> str:
        reads.append(path)
        return ""

    def look() -> int:
        store.files.facts("x", "images", read)
        store.files.save()
        store.files.forget()
        return len(reads)

    for file in files:
        file.write_text("a")
    assert (look(), look()) == (1, 2)  # just written: not to be trusted yet
    for file in files:
        os.utime(file, ns=(long_ago, long_ago))
    assert (look(), look()) == (3, 3)
    files[1].write_text("b")
    assert look() == 4
    files[1].unlink()
    assert (look(), look()) == (5, 5)


def test_an_older_format_is_brought_up_to_date(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.runs.add(run_row("7f3a"))
    for table in ("changes", "causes"):
        store.database.write(f"DROP TABLE {table}")
    store.database._connection.execute("PRAGMA user_version=1")
    store.close()
    for _ in range(2):
        store = Store(tmp_path)
        assert store.runs.get("7f3a") is not None
        assert store.releases.all_unfinished() == []
        store.close()


class TestReleases:
    def record(
        self, store: Store, payload: dict[str, object], run: str, label: str = ""
    ) -> Release:
        release = Release("endpoint", "churn", payload, label)
        return store.releases.record(
            release, plugin="endpoint", run=run, target=Target(), secrets=["TOKEN"]
        )[0]

    def test_releases_are_numbered_and_the_newest_is_in_service(self, store: Store) -> None:
        first = self.record(store, {"v": 1}, "run1")
        second = self.record(store, {"v": 2}, "run2")
        assert (first.label, second.label) == ("churn-1", "churn-2")
        assert store.releases.current("endpoint", "churn") == second
        assert store.releases.facts(first) == (
            {"name": "local", "type": "local", "settings": {}},
            ["TOKEN"],
        )

    def test_recording_again_after_a_crash_makes_no_second_release(self, store: Store) -> None:
        first = self.record(store, {"v": 1}, "run1")
        assert self.record(store, {"v": 1}, "run1") == first
        assert len(store.releases.all()) == 1

    def test_a_label_never_changes_its_meaning(self, store: Store) -> None:
        self.record(store, {"v": 1}, "run1", "1.0.0")
        with pytest.raises(UserError, match=r"release 1\.0\.0 exists and is something else"):
            self.record(store, {"v": 2}, "run2", "1.0.0")

    def test_releases_of_a_version_are_named_by_it(self, store: Store) -> None:
        def record(payload: dict[str, object], run: str, version: str) -> tuple[Release, bool]:
            release = Release("container", "scorer", payload, version=version)
            target = Target()
            return store.releases.record(
                release, plugin="container", run=run, target=target, secrets=[]
            )

        first, _ = record({"image": "a"}, "run1", "1.4.2")
        other, _ = record({"image": "a", "replicas": 2}, "run2", "1.4.2")
        third, _ = record({"image": "b"}, "run3", "1.5.0")
        assert [each.label for each in (first, other, third)] == ["1.4.2", "1.4.2+2", "1.5.0"]
        assert record({"image": "b"}, "run3", "1.5.0") == (third, False)  # after a crash
        assert record({"image": "a"}, "run4", "1.4.2") == (first, True)  # in service again
        assert store.releases.current("container", "scorer") == first
        assert len(store.releases.all()) == 3

    def test_what_was_begun_is_unfinished_until_something_is_in_service(self, store: Store) -> None:
        first = self.record(store, {"v": 1}, "run1")
        wanted = Release("endpoint", "churn", {"v": 2})
        second = store.releases.begin_next(wanted, first)
        assert (second.label, second.run, second.plugin) == ("churn-2", "run1", "endpoint")
        assert store.releases.facts(second) == store.releases.facts(first)
        assert store.releases.current("endpoint", "churn") == first
        assert store.releases.begin_next(wanted, first) == second  # the same, begun again
        assert [(c.release, c.origin) for c in store.releases.all_unfinished()] == [
            (second, "promote")
        ]
        store.releases.begin(first, "rollback")  # takes its place
        assert [c.release for c in store.releases.all_unfinished()] == [first]
        self.record(store, {"v": 3}, "run2")
        assert store.releases.all_unfinished() == []

    def test_a_rollback_is_part_of_the_history(self, store: Store) -> None:
        first = self.record(store, {"v": 1}, "run1")
        self.record(store, {"v": 2}, "run2")
        store.releases.in_service(first, run="rollback-1", origin="rollback")
        history = store.releases.history("endpoint", "churn")
        assert [(each.release.label, each.origin) for each in history] == [
            ("churn-1", "rollback"),
            ("churn-2", "deploy"),
            ("churn-1", "deploy"),
        ]


class TestLockFile:
    def test_it_holds_what_is_true_on_every_machine(self, tmp_path: Path) -> None:
        record = replace(RECORD, outputs={"m": replace(RECORD.outputs["model"], status="1-2-3")})
        LockFile(tmp_path).update("churn", "local", {"model": record})
        text = (tmp_path / "mlpipe.lock").read_text()
        assert "1-2-3" not in text
        found = LockFile(tmp_path).get("churn", "model", "local", "sha256:1")
        assert found is not None
        assert found.metrics == RECORD.metrics
        assert LockFile(tmp_path).get("churn", "model", "local", "sha256:other") is None

    def test_metrics_that_are_no_json_numbers_stay_what_they_are(self, tmp_path: Path) -> None:
        metrics = {"nan": math.nan, "above": math.inf, "below": -math.inf}
        LockFile(tmp_path).update("churn", "local", {"a": replace(RECORD, metrics=metrics)})

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        json.loads((tmp_path / "mlpipe.lock").read_text(), parse_constant=refuse)
        found = LockFile(tmp_path).latest("churn", "a", "local")
        assert found is not None
        assert str(found.metrics) == str(dict(sorted(metrics.items())))

    def test_an_update_keeps_other_recipes_and_drops_removed_stages(self, tmp_path: Path) -> None:
        LockFile(tmp_path).update("churn", "local", {"a": RECORD, "b": RECORD})
        LockFile(tmp_path).update("other", "local", {"c": RECORD})
        LockFile(tmp_path).update("churn", "aws", {"a": RECORD})
        LockFile(tmp_path).update("churn", "local", {"b": RECORD})
        lines = (tmp_path / "mlpipe.lock").read_text().splitlines()
        keys = [line.split('"')[1] for line in lines if "@" in line]
        assert keys == ["churn/a@aws", "churn/b@local", "other/c@local"]

    @pytest.mark.parametrize("text", ["", "<<<<<<< ours", '{"version": 9, "stages": {}}', "[]"])
    def test_a_damaged_one_counts_as_empty(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "mlpipe.lock").write_text(text)
        assert LockFile(tmp_path).latest("churn", "model", "local") is None

    def test_nothing_is_written_when_nothing_changed(self, tmp_path: Path) -> None:
        LockFile(tmp_path).update("churn", "local", {"a": RECORD})
        before = (tmp_path / "mlpipe.lock").stat()
        LockFile(tmp_path).update("churn", "local", {"a": RECORD})
        after = (tmp_path / "mlpipe.lock").stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
