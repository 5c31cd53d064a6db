"""Runs end to end through the command line: failures, retries, timeouts, gates, secrets, exits."""

import base64
import os
import signal
import time
from pathlib import Path
from typing import Any

from mlpipe.errors import ExitCode


def write_stages(project: Any, stages: str, code: str = "", head: str = "") -> None:
    """Write a recipe ``p`` and its code."""
    project.write("p.yaml", f"name: p\n{head}stages:\n{stages}")
    if code:
        project.write("stages.py", code)


def test_a_failing_function_is_located_and_resumed(project: Any) -> None:
    write_stages(
        project,
        "  good: {uses: shell.prepare, with: {command: 'echo good >> calls.txt'}}\n"
        "  bad: {uses: python.train, needs: [good], with: {function: 'stages:bad'}}\n"
        "  after: {uses: shell.check, needs: [bad], with: {command: 'echo after >> calls.txt'}}\n",
        "def bad():\n    print('about to fail')\n    float('n/a')\n",
    )
    answer = project.mlpipe("run", "p")
    assert answer.code == ExitCode.FAILED
    (run,) = project.mlpipe("runs", "list", "--json").json()
    lines = [line.rstrip() for line in answer.err.splitlines()]
    assert "    stages.py:3  ValueError: could not convert string to float: 'n/a'" in lines
    assert f"    last lines:  mlpipe logs {run['run']} bad" in lines
    assert "  – after  waiting for bad" in lines
    assert answer.out == "failed · continue with  mlpipe run p     (finished stages are kept)\n"
    log = project.mlpipe("logs", "last", "bad").out
    assert log.startswith("about to fail\nTraceback (most recent call last):\n")
    project.write("stages.py", "def bad():\n    return None\n")
    assert project.run() == {"good": "cached", "bad": "done", "after": "done"}
    assert project.calls() == ["good", "after"]


def test_without_keep_going_nothing_new_begins_after_a_failure(project: Any) -> None:
    stages = (
        "  a: {uses: shell.check, with: {command: 'false'}}\n"
        "  b: {uses: shell.check, with: {command: 'echo b >> calls.txt'}}\n"
        "  c: {uses: shell.check, needs: [b], with: {command: 'echo c >> calls.txt'}}\n"
        "  d: {uses: shell.check, needs: [a], with: {command: 'echo d >> calls.txt'}}\n"
    )
    write_stages(project, stages)
    assert project.mlpipe("run", "p", "--jobs", "1").code == ExitCode.FAILED
    assert project.calls() == []
    assert project.mlpipe("run", "p", "--jobs", "1", "--keep-going").code == ExitCode.FAILED
    assert project.calls() == ["b", "c"]


def test_a_worker_that_dies_fails_its_stage_and_no_other(project: Any) -> None:
    write_stages(
        project,
        "  exits: {uses: python.check, with: {function: 'stages:exits'}}\n"
        "  crashes: {uses: python.check, with: {function: 'stages:crashes'}}\n"
        "  killed: {uses: python.check, with: {function: 'stages:killed'}}\n"
        "  fine: {uses: python.check, with: {function: 'stages:fine'}}\n",
        """
        import ctypes
        import os
        import signal

        def exits():
            print("leaving")
            os._exit(9)

        def crashes():
            ctypes.string_at(0)

        def killed():
            os.kill(os.getpid(), signal.SIGKILL)

        def fine():
            return {"n": 1}
        """,
    )
    answer = project.mlpipe("run", "p", "-k")
    assert answer.code == ExitCode.FAILED
    shown = project.mlpipe("runs", "show", "last", "--json").json()["stages"]
    ended = {s["stage"]: (s["state"], (s["error"] or {}).get("what")) for s in shown}
    assert ended == {
        "exits": ("failed", "its process ended with exit code 9"),
        "crashes": ("failed", "its process ended with SIGSEGV"),
        "killed": ("failed", "its process ended with SIGKILL (out of memory?)"),
        "fine": ("done", None),
    }
    assert project.mlpipe("logs", "last", "exits").out == "leaving\n"


def test_retries_wait_longer_each_time_and_are_counted(project: Any) -> None:
    write_stages(
        project,
        "  flaky:\n"
        "    uses: shell.check\n"
        "    retry: {attempts: 3, delay: 0.1, backoff: 2}\n"
        "    with:\n"
        "      command: 'echo try >> calls.txt; test $(wc -l < calls.txt) -ge 3'\n",
    )
    answer = project.mlpipe("run", "p")
    assert answer.code == 0
    assert project.calls() == ["try"] * 3
    assert "attempt 1 failed: the command ended with exit code 1; again in 0.1 s" in answer.err
    assert "attempt 2 failed: the command ended with exit code 1; again in 0.2 s" in answer.err
    (stage,) = project.mlpipe("runs", "show", "last", "--json").json()["stages"]
    assert (stage["state"], stage["attempt"]) == ("done", 3)


def alive(marker: str) -> bool:
    """Tell whether a process whose command line holds a marker lives."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                command = (folder / "cmdline").read_bytes()
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if marker.encode() in command and state != "Z":
                return True
    return False


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


def test_a_timeout_kills_the_whole_process_group(project: Any) -> None:
    marker = f"31{os.getpid()}7"
    write_stages(
        project,
        "  slow:\n"
        "    uses: shell.check\n"
        "    timeout: 0.5\n"
        f"    with: {{command: 'sleep {marker} & sleep {marker}'}}\n",
    )
    answer = project.mlpipe("run", "p")
    assert answer.code == ExitCode.FAILED
    assert "timed out after 0.5 s" in answer.err
    assert not alive(marker)


def test_a_background_process_does_not_outlive_its_stage(project: Any) -> None:
    marker = f"32{os.getpid()}7"
    write_stages(project, f"  a: {{uses: shell.check, with: {{command: 'sleep {marker} &'}}}}\n")
    assert project.mlpipe("run", "p").code == 0
    assert not alive(marker)


def test_an_interrupt_stops_cleanly_and_resumes(project: Any) -> None:
    marker = f"33{os.getpid()}7"
    write_stages(
        project,
        "  a: {uses: shell.prepare, with: {command: 'echo a >> calls.txt'}}\n"
        "  b:\n    uses: shell.train\n    needs: [a]\n"
        f"    with: {{command: 'test -e go || sleep {marker}; echo b >> calls.txt'}}\n",
    )
    process = project.start("run", "p")
    wait_for(lambda: alive(f"sleep\0{marker}"))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED
    assert out.startswith("interrupted · continue with  mlpipe run p")
    assert not alive(marker)
    project.write("go", "")
    assert project.run() == {"a": "cached", "b": "done"}
    assert project.calls() == ["a", "b"]


def test_a_missed_gate_holds_back_and_has_its_own_code(project: Any) -> None:
    write_stages(
        project,
        "  quality:\n"
        "    uses: python.evaluate\n"
        "    with: {function: 'stages:score'}\n"
        "    gate: {accuracy: '>= 0.94'}\n"
        "  deploy:\n    uses: shell.deploy\n    needs: [quality]\n"
        "    with: {command: 'echo d >> calls.txt'}\n",
        "def score():\n    return {'accuracy': 0.931}\n",
    )
    for _ in range(2):  # the second time the result is a hit, and the gate is judged again
        answer = project.mlpipe("run", "p")
        assert answer.code == ExitCode.GATE
        assert "gate failed  accuracy 0.931, wanted ≥ 0.94 (0.009 short)" in answer.err
        assert "– deploy  waiting for quality" in answer.err
        assert project.calls() == []
    text = project.read("p.yaml").replace("0.94", "0.93")
    project.write("p.yaml", text)
    assert project.run() == {"quality": "cached", "deploy": "done"}


def test_a_gate_on_a_metric_that_is_not_reported_is_located(project: Any) -> None:
    write_stages(
        project,
        "  quality:\n"
        "    uses: python.evaluate\n"
        "    with: {function: 'stages:score'}\n"
        "    gate: {acuracy: '>= 0.94'}\n",
        "def score():\n    return {'accuracy': 0.931}\n",
    )
    answer = project.mlpipe("run", "p")
    assert answer.code == ExitCode.FAILED
    assert "p.yaml:6:12: stages.quality.gate.acuracy" in answer.err
    assert 'reported no metric "acuracy"' in answer.err
    assert "Its metrics: accuracy." in answer.err


def test_an_output_that_is_not_written_is_an_error(project: Any) -> None:
    write_stages(
        project, "  a: {uses: shell.prepare, with: {command: 'true', outputs: {o: data/o.csv}}}\n"
    )
    answer = project.mlpipe("run", "p")
    assert answer.code == ExitCode.FAILED
    assert 'a  output "o" was not written' in answer.err
    assert "(it is placed at data/o.csv afterwards)" in answer.err


def test_a_failed_stage_leaves_its_old_outputs_alone(project: Any) -> None:
    write_stages(
        project,
        "  a:\n    uses: shell.prepare\n"
        "    with: {command: 'sh make.sh {outputs.o}', outputs: {o: data/o}}\n",
    )
    project.write("make.sh", "echo good > $1\n")
    project.run()
    project.write("make.sh", "echo half > $1\nexit 4\n")
    assert project.mlpipe("run", "p").code == ExitCode.FAILED
    assert project.read("data/o") == "good\n"


def test_values_and_the_run_id_are_substituted_with_their_types(project: Any) -> None:
    write_stages(
        project,
        "  a: {uses: python.prepare, with: {function: 'stages:make'}}\n"
        "  b:\n"
        "    uses: python.train\n"
        "    with:\n"
        "      function: stages:use\n"
        "      args: {names: '${stages.a.names}', rows: '${stages.a.rows}', run: 'r-${run.id}'}\n",
        """
        def make():
            return {"rows": 3, "names": ["x", "y"]}

        def use(names, rows, run):
            assert names == ["x", "y"], names
            assert rows == 3, rows
            return {"run": run}
        """,
    )
    project.run()
    (row,) = project.mlpipe("runs", "list", "--json").json()
    events = project.mlpipe("run", "p", "--json").events()
    assert all(e["state"] == "cached" for e in events if e["event"] == "stage_finished")
    assert f"r-{row['run']}" in (project.root / "mlpipe.lock").read_text()


def test_secrets_reach_their_stage_only_and_show_nowhere(project: Any) -> None:
    secret = "hunter2/With+Signs="
    write_stages(
        project,
        "  with_secret:\n"
        "    uses: python.check\n"
        "    secrets: [API_TOKEN]\n"
        "    with: {function: 'stages:shout'}\n"
        "  without: {uses: python.check, with: {function: 'stages:look'}}\n"
        "  fails:\n"
        "    uses: python.check\n"
        "    secrets: [API_TOKEN]\n"
        "    with: {function: 'stages:fail'}\n",
        """
        import base64
        import os
        import sys
        import urllib.parse

        def shout():
            token = os.environ["API_TOKEN"]
            print("token is", token, flush=True)
            print(urllib.parse.quote(token, safe=""), file=sys.stderr)
            print(base64.b64encode(token.encode()).decode())
            return {"note": f"see {token}"}

        def look():
            return {"seen": "yes" if "API_TOKEN" in os.environ else "no"}

        def fail():
            raise RuntimeError("refused: " + os.environ["API_TOKEN"])
        """,
    )
    answer = project.mlpipe("run", "p", "-k", env={"API_TOKEN": secret})
    assert answer.code == ExitCode.FAILED
    forms = [secret, "hunter2%2FWith%2BSigns%3D", base64.b64encode(secret.encode()).decode()]
    assert "RuntimeError: refused: ***" in answer.err
    assert project.mlpipe("logs", "last", "with_secret").out.count("***") == 3
    everything = answer.out + answer.err
    for path in project.root.rglob("*"):
        if path.is_file():
            everything += path.read_bytes().decode("latin-1")
    for form in forms:
        assert form not in everything
    assert '"seen": "no"' in project.read("mlpipe.lock")


def test_a_secret_that_is_not_set_is_a_clear_error(project: Any) -> None:
    write_stages(
        project,
        "  a: {uses: shell.check, secrets: [NO_SUCH_SECRET], with: {command: 'true'}}\n",
    )
    answer = project.mlpipe("run", "p")
    assert answer.code == ExitCode.FAILED
    assert "secret NO_SUCH_SECRET is not set" in answer.err


def test_stages_run_side_by_side_as_far_as_jobs_allow(project: Any) -> None:
    write_stages(
        project,
        "".join(
            f"  s{i}: {{uses: python.check, with: {{function: 'stages:meet', args: {{i: {i}}}}}}}\n"
            for i in range(2)
        ),
        """
        import time
        from pathlib import Path

        def meet(i):
            Path(f"here{i}").write_text("")
            deadline = time.monotonic() + 20
            while not Path(f"here{1 - i}").exists():
                assert time.monotonic() < deadline, "the other stage is not running"
                time.sleep(0.01)
        """,
    )
    assert project.run("--jobs", "2") == {"s0": "done", "s1": "done"}


def test_preload_is_imported_before_the_first_fork(project: Any) -> None:
    write_stages(
        project,
        "  a: {uses: python.check, with: {function: 'stages:look'}}\n",
        "import sys\ndef look():\n    assert 'colorsys' in sys.modules\n",
        head="preload: [colorsys]\n",
    )
    assert project.run() == {"a": "done"}


def test_when_the_template_is_killed_its_stages_are_not_left_running(project: Any) -> None:
    write_stages(
        project,
        "  a: {uses: python.check, with: {function: 'stages:orphan'}}\n"
        "  b: {uses: shell.check, needs: [a], with: {command: 'true'}}\n",
        """
        import os
        import signal
        import time

        def orphan():
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(1)
        """,
    )
    answer = project.mlpipe("run", "p")
    assert answer.code == ExitCode.FAILED
    assert "the process that starts stages is gone; was it killed?" in answer.err
    shown = project.mlpipe("runs", "show", "last", "--json").json()
    assert shown["state"] == "failed"
    assert {s["stage"]: s["state"] for s in shown["stages"]} == {"a": "interrupted", "b": "waiting"}


def test_a_value_of_many_megabytes_comes_through(project: Any) -> None:
    write_stages(
        project,
        "  a: {uses: python.check, with: {function: 'stages:large'}}\n"
        "  b:\n    uses: python.check\n"
        "    with: {function: 'stages:look', args: {text: '${stages.a.text}'}}\n",
        """
        def large():
            return {"text": "x" * 20_000_000}

        def look(text):
            return {"length": len(text)}
        """,
    )
    assert project.run() == {"a": "done", "b": "done"}
    (_, stage) = project.mlpipe("runs", "show", "last", "--json").json()["stages"]
    assert stage["metrics"] == {"length": 20_000_000}
