"""Where projects lie, and what happens to them while they are run."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

RECIPE = """
name: p
stages:
  a:
    uses: shell.prepare
    with: {command: "echo hé > {outputs.o}", outputs: {o: "dätä dir/ö x.txt"}}
  b:
    uses: python.train
    inputs: {quelle: a.o}
    with: {function: "code_of_p:copy", outputs: {out: "mödel/m $x '.txt"}}
"""

CODE = """
def copy(quelle, out):
    out.write_text(quelle.read_text())
    return {"größe": 1}
"""

SLOW = """
name: p
stages:
  a: {uses: shell.train, with: {command: "touch begun && sleep 1.5"}}
  b: {uses: shell.check, needs: [a], with: {command: "echo before"}}
"""


def in_folder(project: Any, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in some folder."""
    return subprocess.run(
        [sys.executable, "-m", "mlpipe", *arguments],
        cwd=folder,
        env=project.environment({"PWD": str(folder)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def begun(project: Any) -> subprocess.Popen[str]:
    """Start a slow run; give it once its first stage runs."""
    project.write("p.yaml", SLOW)
    process: subprocess.Popen[str] = project.start("run", "p")
    deadline = time.monotonic() + 20
    while not (project.root / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.fixture
def odd(project: Any) -> Any:
    """A project whose path, recipe and outputs have spaces, quotes and accents."""
    inner = type(project)(project.root / "pröject 'with' $pace")
    (inner.root / ".mlpipe").mkdir(parents=True)
    inner.write("rézept.yaml", RECIPE)
    inner.write("code_of_p.py", CODE)
    return inner


def test_paths_of_any_characters(odd: Any) -> None:
    first = odd.mlpipe("run", "rézept")
    assert first.code == 0, first.err
    assert "größe 1" in first.err
    assert odd.read("mödel/m $x '.txt") == "hé\n"
    again = odd.mlpipe("run", "rézept.yaml")
    assert again.out.endswith("nothing to do: everything is cached or in place\n")


def test_a_project_is_one_from_wherever_it_is_looked_at(odd: Any) -> None:
    assert odd.mlpipe("run", "rézept").code == 0
    below = odd.root / "sub dir"
    below.mkdir()
    link = odd.root.parent / "link"
    link.symlink_to(odd.root, target_is_directory=True)
    outside = odd.root.parent
    for folder, recipe in (
        (below, "../rézept.yaml"),
        (below, "rézept"),
        (link, "rézept"),
        (outside, "link/rézept.yaml"),
    ):
        answer = in_folder(odd, folder, "plan", recipe)
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.count("  cached  ") == 2, (folder, recipe, answer.stdout)
    assert in_folder(odd, below, "runs", "list").stdout.count("  done  ") == 1


def test_a_recipe_edited_while_it_runs_counts_the_next_time(project: Any) -> None:
    process = begun(project)
    project.write("p.yaml", SLOW.replace("before", "after"))
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert project.mlpipe("logs", "last", "b").out == "before\n"
    assert project.verdicts() == {"a": "cached", "b": "run"}
    assert project.reasons()["b"] == "command echo before → echo after"


def test_state_deleted_while_it_is_used_is_found_again(project: Any) -> None:
    process = begun(project)
    shutil.rmtree(project.root / ".mlpipe")
    _, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    assert project.mlpipe("run", "p").code == 0
    assert project.mlpipe("run", "p").out.endswith("cached or in place\n")


def test_two_recipes_of_one_name_share_results(chain: Any) -> None:
    chain.run()
    chain.write("q.yaml", chain.read("p.yaml").replace("code_of_p:third", "code_of_p:second"))
    answer = chain.mlpipe("plan", "q", "--json")
    assert [each["verdict"] for each in answer.json()] == ["cached", "cached", "run"]
    assert chain.mlpipe("run", "q").code == 0
    assert chain.run() == dict.fromkeys(("first", "second", "third"), "cached")


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("start", "--set start: is no assignment\n   Write --set params.NAME=VALUE.\n"),
        ("=3", "--set =3: is no assignment\n   Write --set params.NAME=VALUE.\n"),
        ("params.=3", "--set params.=3: is no assignment\n   Write --set params.NAME=VALUE.\n"),
    ],
)
def test_assignments_that_are_none(chain: Any, assignment: str, said: str) -> None:
    answer = chain.mlpipe("run", "p", "--set", assignment)
    assert (answer.code, answer.out, answer.err) == (2, "", said)


def test_parameters_that_are_not_there_are_named(chain: Any) -> None:
    answer = chain.mlpipe("plan", "p", "--set", "strat=2")
    assert answer.code == 2
    assert 'there is no parameter "strat"' in answer.err
    assert "start" in answer.err.splitlines()[-2]
    answer = chain.mlpipe("plan", "p", "--params", "missing.yaml")
    assert answer.err.startswith("missing.yaml: there is no such file\n")


@pytest.mark.parametrize("option", ["--only", "--from", "--until"])
def test_stages_that_are_not_there_are_named(chain: Any, option: str) -> None:
    answer = chain.mlpipe("run", "p", option, "frist")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == 'there is no stage "frist"\n   Stages: first, second, third.\n'


def test_a_secret_is_kept_out_of_parameters_and_state(project: Any) -> None:
    env = {"API_KEY": "topsecretvalue123"}
    recipe = """
        name: p
        params: {{token: {token}}}
        stages:
          a:
            uses: shell.check
            secrets: [API_KEY]
            with: {{command: 'echo "$API_KEY" ${{params.token}}'}}
        """
    project.write("p.yaml", recipe.format(token='"${env.API_KEY}"'))
    answer = project.mlpipe("run", "p", env=env)
    assert answer.code == 2
    assert "API_KEY is a secret, and this would write it" in answer.err
    project.write("p.yaml", recipe.format(token="none"))
    answer = project.mlpipe("run", "p", "--set", "token=topsecretvalue123", env=env)
    assert "topsecretvalue123" not in answer.out + answer.err
    shown = project.mlpipe("runs", "show", "last").out
    assert "topsecretvalue123" not in shown
    for folder, _, names in os.walk(project.root):
        for name in names:
            assert b"topsecretvalue123" not in (Path(folder) / name).read_bytes(), name
