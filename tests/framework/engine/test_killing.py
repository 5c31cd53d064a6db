"""``kill -9`` of the runner at any moment: the same command continues."""

import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

STAGES = 6


def write_project(project: Any) -> None:
    """Write a chain of stages that note when they begin, write slowly, and note when they end."""
    stages = "".join(
        f"  s{i}:\n"
        f"    uses: python.prepare\n"
        + (f"    inputs: {{source: s{i - 1}.out}}\n" if i else "")
        + f"    with: {{function: 'stages:work', outputs: {{out: data/s{i}}}, args: {{i: {i}}}}}\n"
        for i in range(STAGES)
    )
    project.write("p.yaml", f"name: p\nstages:\n{stages}")
    project.write(
        "stages.py",
        """
        import os
        import time

        def work(out, i, source=None):
            with open("calls.txt", "a") as stream:
                stream.write(f"{i}\\n")
            with open(f"pid{i}", "w") as stream:
                stream.write(str(os.getpid()))
            with out.open("w") as stream:
                for _ in range(10):
                    stream.write("line\\n")
                    stream.flush()
                    time.sleep(0.01)
        """,
    )


def recorded(root: Path) -> int:
    """Count the results that the store has."""
    connection = sqlite3.connect(root / ".mlpipe" / "state.db")
    try:
        (count,) = connection.execute("SELECT count(*) FROM results").fetchone()
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()
    return int(count)


def gone(pid: int) -> bool:
    """Tell whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("moment", [0.05, 0.25, 0.45, 0.6, 0.75, 0.9, 1.05, 1.2, 1.4])
def test_a_killed_run_continues(project: Any, moment: float) -> None:
    write_project(project)
    process = project.start("run", "p")
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = recorded(project.root)
    begun = project.calls()
    pids = [int((project.root / f"pid{i}").read_text() or 0) for i in set(begun)]
    deadline = time.monotonic() + 5
    while not all(gone(pid) for pid in pids if pid):
        assert time.monotonic() < deadline, "a worker of the dead run still lives"
        time.sleep(0.02)
    ended = project.run()
    assert [ended[f"s{i}"] for i in range(STAGES)] == ["cached"] * finished + ["done"] * (
        STAGES - finished
    )
    for i in range(finished):
        assert project.calls().count(str(i)) == 1
    for i in range(STAGES):
        assert project.read(f"data/s{i}") == "line\n" * 10
    assert project.run() == {f"s{i}": "cached" for i in range(STAGES)}
    assert not list((project.root / ".mlpipe" / "scratch").glob("*"))
    rows = project.mlpipe("runs", "list", "--json").json()
    assert {row["state"] for row in rows} <= {"done", "killed"}
    if finished and finished < STAGES:
        assert "killed" in {row["state"] for row in rows}


def test_a_run_that_died_before_its_first_stage_is_dead_at_once(project: Any) -> None:
    """However short ago it began: what shows a run alive is there before the run is recorded."""
    write_project(project)
    project.run()
    connection = sqlite3.connect(project.root / ".mlpipe" / "state.db")
    with connection:
        connection.execute(
            "UPDATE runs SET state = 'running', finished = NULL, started = ?", (time.time(),)
        )
    connection.close()
    project.run()
    rows = project.mlpipe("runs", "list", "--json").json()
    assert sorted(row["state"] for row in rows) == ["done", "killed"]


def test_two_runs_at_once_do_not_corrupt_each_other(project: Any) -> None:
    write_project(project)
    first, second = project.start("run", "p"), project.start("run", "p")
    for process in (first, second):
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    for i in range(STAGES):
        assert project.read(f"data/s{i}") == "line\n" * 10
    assert project.run() == {f"s{i}": "cached" for i in range(STAGES)}
    connection = sqlite3.connect(project.root / ".mlpipe" / "state.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_an_attempt_that_was_cut_off_keeps_its_key(project: Any) -> None:
    """The key of side effects survives the runner, so that a job is found and not made twice."""
    project.write(
        "p.yaml",
        "name: p\nstages:\n  a: {uses: python.train, with: {function: 'stages:work'}}\n",
    )
    project.write(
        "stages.py",
        """
        import os
        import time
        from pathlib import Path

        def work():
            Path("begun").write_text("")
            while not Path("go").exists():
                time.sleep(0.01)
        """,
    )
    process = project.start("run", "p")
    while not (project.root / "begun").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    project.write("go", "")
    project.run()
    connection = sqlite3.connect(project.root / ".mlpipe" / "state.db")
    keys = connection.execute("SELECT state, key FROM stages ORDER BY started").fetchall()
    connection.close()
    assert keys[0][0] == "interrupted"
    assert keys[0][1] is not None
    started = [key for state, key in keys if state == "done"]
    assert started == [keys[0][1]]


def test_the_runners_lock_does_not_outlive_it(project: Any) -> None:
    write_project(project)
    process = project.start("run", "p")
    time.sleep(0.8)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    project.run()
    assert not list((project.root / ".mlpipe" / "runs").glob("*/alive"))
