"""State that is damaged, newer, half-made, read-only or without room; numbers that are none."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COMMANDS = ["run p", "plan p", "runs list", "gc"]
READING = ["plan p", "runs list", "releases list", "gc --dry-run", "doctor"]


def database(project: Any) -> Path:
    """Give the path of a project's state."""
    path: Path = project.root / ".mlpipe" / "state.db"
    return path


def mounted(*arguments: str) -> bool:
    """Mount something; tell whether that is allowed here."""
    if os.geteuid() != 0:
        return False
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def read_only(chain: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A project that has run, seen through a mount that cannot be written."""
    chain.run()
    place = tmp_path_factory.mktemp("read-only")
    if not mounted("--bind", str(chain.root), str(place)):
        pytest.skip("mounting is not permitted here")
    try:
        if not mounted("-o", "remount,ro,bind", str(place)):
            pytest.skip("mounting read-only is not permitted here")
        yield type(chain)(place)
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def tiny(project: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A project on a disk of one megabyte."""
    place = tmp_path_factory.mktemp("tiny")
    if not mounted("-t", "tmpfs", "-o", "size=1M", "tmpfs", str(place)):
        pytest.skip("mounting is not permitted here")
    try:
        (place / ".mlpipe").mkdir()
        yield type(project)(place)
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("place", [0, 4096])
def test_damaged_state_says_what_to_do(chain: Any, place: int) -> None:
    chain.run()
    with database(chain).open("r+b") as stream:
        stream.seek(place)
        stream.write(os.urandom(1 << 15))
    for command in COMMANDS:
        answer = chain.mlpipe(*command.split())
        assert (answer.code, answer.out) == (1, ""), command
        assert answer.err.startswith(f"{database(chain)}: cannot be used as mlpipe's state: ")
        assert "Restore it from a backup, or move it away" in answer.err
    doctor = chain.mlpipe("doctor")
    assert doctor.code == 1
    assert all(line.startswith("  ") for line in doctor.out.splitlines())
    database(chain).unlink()
    assert chain.run() == dict.fromkeys(("first", "second", "third"), "cached")


def test_state_of_a_newer_version_is_left_alone(chain: Any) -> None:
    chain.run()
    with sqlite3.connect(database(chain)) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    for command in COMMANDS:
        answer = chain.mlpipe(*command.split())
        assert (answer.code, answer.out) == (1, "")
        assert answer.err == (
            f"{database(chain)}: was written by a newer mlpipe (format 99, this one knows 3)\n"
            "   Update mlpipe-framework.\n"
        )


@pytest.mark.parametrize("wal", [False, True])
def test_state_that_was_only_begun_is_empty(chain: Any, wal: bool) -> None:
    connection = sqlite3.connect(database(chain))
    if wal:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    for command in READING:
        answer = chain.mlpipe(*command.split())
        assert answer.code == 0, answer.err
    assert chain.verdicts() == dict.fromkeys(("first", "second", "third"), "run")
    assert chain.run() == dict.fromkeys(("first", "second", "third"), "done")


def test_a_read_only_project_can_be_read(read_only: Any) -> None:
    assert read_only.verdicts() == dict.fromkeys(("first", "second", "third"), "cached")
    for command in READING:
        answer = read_only.mlpipe(*command.split())
        assert answer.code == 0, answer.err
    answer = read_only.mlpipe("run", "p")
    assert (answer.code, answer.out) == (1, "")
    assert "Its folder has to be writable" in answer.err


def test_a_full_disk_is_named_and_the_same_command_continues(tiny: Any) -> None:
    tiny.write(
        "p.yaml",
        """
        name: p
        params: {size: 5000000}
        stages:
          a:
            uses: shell.train
            with:
              command: head -c ${params.size} /dev/zero > {outputs.o}
              outputs: {o: data/o.bin}
        """,
    )
    answer = tiny.mlpipe("run", "p")
    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert "has a fault" not in answer.err
    # Whoever writes the last byte says so: the command, in its log, or mlpipe.
    told = answer.err + tiny.mlpipe("logs", "last", "a").out
    assert "full" in told or "No space left" in told
    shutil.rmtree(tiny.root / ".mlpipe" / "scratch", ignore_errors=True)
    assert tiny.mlpipe("run", "p", "--set", "size=1000").code == 0


def test_numbers_that_are_none_are_null_in_json(project: Any) -> None:
    project.write("code_of_p.py", "def f():\n    return {'x': float('nan'), 'y': -float('inf')}\n")
    project.write(
        "p.yaml", "name: p\nstages: {a: {uses: python.train, with: {function: 'code_of_p:f'}}}\n"
    )
    for command in ("run p --json", "runs show last --json"):
        answer = project.mlpipe(*command.split())
        for line in answer.out.splitlines():
            json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
        assert '"metrics": {"x": null, "y": null}' in answer.out
    assert "x nan · y -inf" in project.mlpipe("run", "p", "--force").err


def test_as_many_last_lines_as_asked_for(project: Any) -> None:
    project.write(
        "code_of_p.py",
        "def f():\n    for i in range(300):\n        print(i, 'é' * 700)\n",
    )
    project.write(
        "p.yaml", "name: p\nstages: {a: {uses: python.train, with: {function: 'code_of_p:f'}}}\n"
    )
    assert project.mlpipe("run", "p").code == 0
    for asked, given in ((1, 1), (120, 120), (1000, 300)):
        lines = project.mlpipe("logs", "last", "a", "-n", str(asked)).out.splitlines()
        assert [line.split()[0] for line in lines] == [str(i) for i in range(300 - given, 300)]
