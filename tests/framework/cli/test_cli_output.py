"""Whole outputs of commands: what goes to standard output, what to standard error."""

import json
import re
from typing import Any

import mlpipe


def plain(text: str, *runs: str) -> str:
    """Replace what differs from run to run: identifiers, times, durations."""
    for number, run in enumerate(runs, 1):
        text = re.sub(rf"\b{run}\b", f"RUN{number}", text)
    text = re.sub(r"\b\d+(\.\d+)?s\b *", "TIME  ", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN", text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def run_ids(project: Any) -> list[str]:
    """Give the runs' identifiers, the oldest first."""
    rows = project.mlpipe("runs", "list", "--json").json()
    return [row["run"] for row in reversed(rows)]


def test_a_first_and_an_unchanged_run(chain: Any) -> None:
    first = chain.mlpipe("run", "p", "--jobs", "1")
    again = chain.mlpipe("run", "p")
    runs = run_ids(chain)
    assert plain(first.out, *runs) == "done in TIME"
    assert (
        plain(first.err, *runs) == "mlpipe run p · target local · run RUN1\n"
        "  ▸ first   python.prepare\n"
        "  ✓ first   python.prepare   TIME  start 1\n"
        "  ▸ second  python.train\n"
        "  ✓ second  python.train     TIME  value 2\n"
        "  ▸ third   python.evaluate\n"
        "  ✓ third   python.evaluate  TIME"
    )
    assert plain(again.out, *runs) == (
        "done in TIME  · nothing to do: everything is cached or in place"
    )
    assert (
        plain(again.err, *runs) == "mlpipe run p · target local · run RUN2\n"
        "  = first   cached           result of run RUN1\n"
        "  = second  cached           result of run RUN1\n"
        "  = third   cached           result of run RUN1"
    )


def test_plan_and_why(chain: Any) -> None:
    assert chain.mlpipe("plan", "p").out == (
        "  first   run  new\n"
        "  second  run  input source changes (first)\n"
        "  third   run  input source changes (second)\n"
    )
    chain.run()
    runs = run_ids(chain)
    assert plain(chain.mlpipe("plan", "p").out, *runs) == (
        "  first   cached  result of run RUN1\n"
        "  second  cached  result of run RUN1\n"
        "  third   cached  result of run RUN1"
    )
    answer = chain.mlpipe("why", "p", "first", "--set", "start=4")
    assert answer.out == "first runs because\n  args.start 1 → 4\n"
    assert chain.mlpipe("why", "p", "frist").err == (
        'there is no stage "frist"\n   Stages: first, second, third.\n'
    )


def test_runs(chain: Any) -> None:
    chain.run()
    chain.run("--set", "start=4")
    runs = run_ids(chain)
    assert plain(chain.mlpipe("runs", "list").out, *runs) == (
        "  RUN2  p  local  done  WHEN  TIME\n  RUN1  p  local  done  WHEN  TIME"
    )
    shown = plain(chain.mlpipe("runs", "show", runs[0]).out, *runs)
    assert shown == (
        "run RUN1 · p · target local · done\n"
        "  WHEN · TIME  · mlpipe run p --json\n"
        "  start 1\n"
        "  first   python.prepare   done  TIME  start 1\n"
        "  second  python.train     done  TIME  value 2\n"
        "  third   python.evaluate  done  TIME"
    )
    diff = chain.mlpipe("runs", "diff", *runs).out
    lines = [line.split() for line in diff.splitlines()]
    assert lines[0] == ["params.start", "1", "→", "4", "+3"]
    assert ["first.start", "1", "→", "4", "+3"] in lines
    assert ["second.value", "2", "→", "8", "+6"] in lines
    assert chain.mlpipe("runs", "diff", "last", "last").out == "no differences\n"
    missing = chain.mlpipe("runs", "show", "zzzz")
    assert missing.code == 2
    assert missing.err.startswith('there is no run "zzzz"\n   The newest: ')


def test_logs(chain: Any) -> None:
    chain.write("helpers.py", "def double(x):\n    print('doubling', x)\n    return 2 * x\n")
    chain.run()
    chain.run()
    first = run_ids(chain)[0]
    assert chain.mlpipe("logs", first, "second").out == "doubling 1\n"
    assert chain.mlpipe("logs", first, "first").err == f"first wrote nothing in run {first}\n"
    answer = chain.mlpipe("logs", "last", "second")
    assert answer.out == ""
    assert "second did not run in run" in answer.err
    assert chain.mlpipe("logs", first, "sceond").code == 2


def test_commands_that_need_a_project_say_so(project: Any) -> None:
    for command in (["runs", "list"], ["releases", "list"], ["logs", "last", "x"], ["gc"]):
        answer = project.mlpipe(*command)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err == (
            f"{project.root}: nothing was run here yet\n"
            "   Go to a project's folder, or run a recipe: mlpipe run RECIPE\n"
        )


def test_versions_and_help(project: Any) -> None:
    for flag in ("--version", "-V"):
        assert project.mlpipe(flag).out == f"mlpipe {mlpipe.__version__}\n"
    answer = project.mlpipe("--help")
    assert answer.code == 0
    for name in ("run", "plan", "why", "runs", "releases", "rollback", "logs", "gc", "doctor"):
        assert re.search(rf"^  {name} ", answer.out, re.MULTILINE)
    assert "Commands of plugins" in answer.out
    answer = project.mlpipe()
    assert answer.code == 2
    assert "Usage: mlpipe" in answer.err


def test_wrong_command_lines(project: Any) -> None:
    answer = project.mlpipe("rnu")
    assert answer.code == 2
    assert answer.err.startswith("mlpipe: No such command 'rnu'.")
    answer = project.mlpipe("run")
    assert (answer.code, answer.err) == (
        2,
        "mlpipe run: Missing argument 'RECIPE'.\n   See mlpipe run --help.\n",
    )
    answer = project.mlpipe("run", "p", "--jbos", "2")
    assert answer.code == 2
    assert answer.err.startswith("mlpipe run: No such option: --jbos")


def test_recipe_problems_are_not_tracebacks(project: Any) -> None:
    project.write("p.yaml", "name: p\nstages: {a: {uses: nope.check}}\n")
    for command in (["run", "p"], ["plan", "p"], ["why", "p", "a"]):
        answer = project.mlpipe(*command)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith('p.yaml:2:20: stages.a.uses: unknown plugin "nope"\n')
        assert answer.err.endswith("1 problem. Nothing was run.\n")
    answer = project.mlpipe("run", "q")
    assert answer.err.startswith('q: there is no recipe "q"\n   Recipes here: p.\n')


def test_init_makes_a_project_that_runs(project: Any) -> None:
    answer = project.mlpipe("init", "first")
    assert answer.out == (
        "made first.yaml and pipeline.py in first\nnext:  cd first && mlpipe run first\n"
    )
    inner = type(project)(project.root / "first")
    assert inner.mlpipe("run", "first").code == 0
    code = inner.read("pipeline.py")
    inner.write("pipeline.py", code.replace('return {"rmse"', "return {'extra': 1, \"rmse\""))
    verdicts = inner.mlpipe("plan", "first", "--json").json()
    assert {each["stage"]: each["verdict"] for each in verdicts} == {
        "data": "cached",
        "model": "cached",
        "quality": "run",
        "report": "run",
    }
    again = project.mlpipe("init", "first")
    assert again.code == 2
    assert "first.yaml exists" in again.err


def test_gc_keeps_what_is_needed(chain: Any) -> None:
    for start in range(1, 6):
        chain.run("--set", f"start={start}")
    objects = sorted((chain.root / ".mlpipe" / "artifacts").rglob("*.json"))
    answer = chain.mlpipe("gc", "--keep", "2", "--dry-run")
    assert answer.out.startswith("would delete 9 results, ")
    assert sorted((chain.root / ".mlpipe" / "artifacts").rglob("*.json")) == objects
    assert chain.mlpipe("gc", "--keep", "2").out.startswith("deleted 9 results, ")
    assert chain.run("--set", "start=5") == dict.fromkeys(("first", "second", "third"), "cached")
    assert chain.run("--set", "start=4") == dict.fromkeys(("first", "second", "third"), "cached")
    assert chain.run("--set", "start=1")["first"] == "done"


def test_schema_and_doctor_and_plugins(project: Any) -> None:
    schema = project.mlpipe("schema").json()
    assert schema["$schema"].endswith("2020-12/schema")
    answer = project.mlpipe("schema", "--output", "s.json")
    assert (answer.out, answer.err) == ("", "wrote s.json\n")
    assert json.loads(project.read("s.json")) == schema
    checks = {each["name"]: each["state"] for each in project.mlpipe("doctor", "--json").json()}
    assert checks["mlpipe"] == "ok"
    assert checks["plugin shell"] == "ok"
    listed = {each["name"]: each for each in project.mlpipe("plugins", "list", "--json").json()}
    assert listed["python"]["quarantined"] is None
    assert "train" in listed["python"]["verbs"]
    shown = project.mlpipe("plugins", "show", "python.train").out
    about = "Call a function of the project, or execute a notebook of it."
    assert shown.startswith(f"python.train: fit a model\n{about}\n")
    assert re.search(r"^  notebook +notebook \| null +default null$", shown, re.MULTILINE)
    assert project.mlpipe("plugins", "show", "pyhton").code == 2


def test_json_is_all_there_is_on_standard_output(chain: Any) -> None:
    events = chain.mlpipe("run", "p", "--json").events()
    assert [each["event"] for each in events] == [
        "run_started",
        *["stage_started", "stage_finished"] * 3,
        "run_finished",
    ]
    assert events[-1]["state"] == "done"


def test_python_m_mlpipe_is_mlpipe(project: Any) -> None:
    import subprocess
    import sys
    from pathlib import Path

    program = Path(sys.executable).with_name("mlpipe")
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout == project.mlpipe("--help").out
