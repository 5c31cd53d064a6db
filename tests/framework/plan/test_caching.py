"""What runs, what does not, and the reason that is given."""

import json
import os
import shutil
import sys
import time
from typing import Any


def test_nothing_changed_nothing_runs(chain: Any) -> None:
    assert set(chain.verdicts().values()) == {"run"}
    assert chain.run() == {"first": "done", "second": "done", "third": "done"}
    assert set(chain.verdicts().values()) == {"cached"}
    assert chain.run() == {"first": "cached", "second": "cached", "third": "cached"}
    assert chain.calls() == ["first", "second", "third"]


def test_a_changed_parameter_runs_the_dependent_stages_and_is_named(chain: Any) -> None:
    chain.run()
    assert chain.reasons("--set", "params.start=5") == {
        "first": "args.start 1 → 5",
        "second": "input source changes (first)",
        "third": "input source changes (second)",
    }
    chain.run("--set", "params.start=5")
    assert chain.calls() == ["first", "second", "third"] * 2
    assert json.loads(chain.read("data/third.json")) == 10
    chain.run()
    assert chain.calls() == ["first", "second", "third"] * 2
    assert json.loads(chain.read("data/third.json")) == 2


def test_an_edited_helper_invalidates_and_is_named(chain: Any) -> None:
    chain.run()
    chain.write("helpers.py", "def double(x):\n    return x + x\n")
    answer = chain.mlpipe("why", "p", "second")
    assert answer.out == (
        "second runs because\n  code_of_p.py → helpers.py:double() changed (line 1)\n"
    )


def test_an_edited_comment_or_an_unrelated_file_does_not_invalidate(chain: Any) -> None:
    chain.run()
    chain.write("helpers.py", "# why\ndef double(x):\n    # because\n    return 2 * x\n")
    chain.write("unrelated.py", "x = 1\n")
    assert set(chain.verdicts().values()) == {"cached"}


def test_early_cutoff(chain: Any) -> None:
    """A stage that ran again and made the same bytes does not make later stages run."""
    chain.run()
    chain.write("helpers.py", "def double(x):\n    return x + x\n")
    assert chain.verdicts() == {"first": "cached", "second": "run", "third": "run"}
    assert chain.run() == {"first": "cached", "second": "done", "third": "cached"}


def test_why_names_the_run_of_a_hit(chain: Any) -> None:
    chain.run()
    (run,) = chain.mlpipe("runs", "list", "--json").json()
    answer = chain.mlpipe("why", "p", "first")
    assert answer.out == f"first is cached: nothing changed since run {run['run']}\n"


def test_a_missing_output_is_restored_without_running(chain: Any) -> None:
    chain.run()
    (chain.root / "data" / "second.json").unlink()
    assert chain.run() == {"first": "cached", "second": "cached", "third": "cached"}
    assert chain.read("data/second.json") == "2"


def test_a_file_edited_by_hand_is_left_alone_and_told(chain: Any) -> None:
    chain.run()
    path = chain.root / "data" / "second.json"
    path.unlink()
    path.write_text("77")
    answer = chain.mlpipe("run", "p")
    assert answer.code == 0
    assert "second: data/second.json is not what run" in answer.err
    assert path.read_text() == "77"
    assert chain.calls() == ["first", "second", "third"]


def test_a_damaged_object_is_told_and_made_again(chain: Any) -> None:
    chain.run()
    for path in (chain.root / ".mlpipe" / "artifacts").rglob("second.json"):
        path.chmod(0o644)
        path.write_text("99")
    (chain.root / "data" / "second.json").unlink(missing_ok=True)
    answer = chain.mlpipe("run", "p")
    assert answer.code == 0
    assert "is damaged" in answer.err
    assert chain.read("data/second.json") == "2"
    assert chain.calls() == ["first", "second", "third", "second"]


def test_a_deleted_store_is_found_again_through_the_lock(chain: Any) -> None:
    chain.run()
    shutil.rmtree(chain.root / ".mlpipe")
    (chain.root / ".mlpipe").mkdir()
    assert chain.run() == {"first": "cached", "second": "cached", "third": "cached"}
    assert chain.calls() == ["first", "second", "third"]


def test_what_a_clone_found_whole_once_is_not_read_again(chain: Any, tmp_path_factory: Any) -> None:
    chain.run()
    clone = tmp_path_factory.mktemp("clone") / "clone"
    shutil.copytree(chain.root, clone, ignore=shutil.ignore_patterns(".mlpipe"))
    other = type(chain)(clone)
    (clone / ".mlpipe").mkdir()
    data = clone / "data" / "second.json"
    long_ago = time.time_ns() - 10_000_000_000
    os.utime(data, ns=(long_ago, long_ago))
    assert set(other.run().values()) == {"cached"}
    now = data.stat()
    data.write_text("9")  # what only reading would show
    os.utime(data, ns=(now.st_atime_ns, now.st_mtime_ns))
    assert "is not what run" not in other.mlpipe("plan", "p").err
    assert "is not what run" in other.mlpipe("plan", "p", "--verify").err


def test_a_clone_elsewhere_has_hits(chain: Any, tmp_path_factory: Any) -> None:
    chain.run()
    clone = tmp_path_factory.mktemp("clone") / "somewhere" / "else"
    shutil.copytree(chain.root, clone, ignore=shutil.ignore_patterns(".mlpipe"))
    (clone / ".mlpipe").mkdir()
    other = type(chain)(clone)
    assert set(other.verdicts().values()) == {"cached"}


def test_in_a_clone_bytes_are_asked_for_only_when_needed(
    project: Any, tmp_path_factory: Any
) -> None:
    project.write(
        "p.yaml",
        """
        name: p
        params: {word: hello}
        stages:
          a:
            uses: shell.prepare
            with: {command: "echo a >> calls.txt; echo x > {outputs.o}", outputs: {o: data/o}}
          b:
            uses: python.train
            inputs: {o: a.o}
            with: {function: "stages:anonymous"}
          c:
            uses: shell.build
            inputs: {m: a.o}
            needs: [b]
            with:
              command: "echo c >> calls.txt; echo ${params.word} > {outputs.r}"
              outputs: {r: data/r}
        """,
    )
    project.write(
        "stages.py",
        "def anonymous(o):\n    open('calls.txt', 'a').write('b\\n')\n    return {'n': 1}\n",
    )
    project.run()
    clone = tmp_path_factory.mktemp("clone")
    shutil.copytree(
        project.root, clone, ignore=shutil.ignore_patterns(".mlpipe"), dirs_exist_ok=True
    )
    (clone / ".mlpipe").mkdir()
    other = type(project)(clone)
    assert other.run() == {"a": "cached", "b": "cached", "c": "cached"}
    assert other.run("--set", "params.word=bye") == {"a": "cached", "b": "cached", "c": "done"}


def test_verify_reads_every_byte(chain: Any) -> None:
    import os

    chain.run()
    for path in (chain.root / ".mlpipe" / "artifacts").rglob("second.json"):
        before = path.stat()
        path.chmod(0o644)
        with path.open("r+") as stream:
            stream.write("9")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert chain.verdicts()["second"] == "cached"
    assert chain.verdicts("--verify")["second"] == "run"


def test_plan_changes_nothing(chain: Any) -> None:
    chain.run()
    chain.write("helpers.py", "def double(x):\n    return x + x\n")

    def listing() -> dict[str, tuple[int, int]]:
        skipped = ("-wal", "-shm", ".pyc")
        files = [f for f in chain.root.rglob("*") if f.is_file() and not f.name.endswith(skipped)]
        return {str(f): (f.stat().st_mtime_ns, f.stat().st_size) for f in files}

    before = listing()
    chain.plan()
    chain.mlpipe("why", "p", "third")
    assert listing() == before


def test_selections(chain: Any) -> None:
    answer = chain.mlpipe("run", "p", "--only", "third")
    assert answer.code == 2
    assert answer.err == (
        'stage "first" was not asked for, is needed, and has no result yet\n'
        "   Run it first: mlpipe run p --until first\n"
    )
    assert chain.run("--until", "second") == {"first": "done", "second": "done"}
    assert chain.run("--only", "third") == {"third": "done"}
    chain.run("--from", "second", "--force")
    assert chain.calls() == ["first", "second", "third", "second", "third"]
    answer = chain.mlpipe("run", "p", "--until", "secnod")
    assert (answer.code, answer.err) == (
        2,
        'there is no stage "secnod"\n   Stages: first, second, third.\n',
    )


def test_an_out_of_date_result_is_used_with_a_warning(chain: Any) -> None:
    chain.run()
    chain.write("helpers.py", "def double(x):\n    return x * 4\n")
    answer = chain.mlpipe("run", "p", "--only", "third")
    assert answer.code == 0
    assert "second: the result of run" in answer.err
    assert "it is out of date" in answer.err


def test_cache_false_and_monitor_always_run(project: Any) -> None:
    project.write(
        "p.yaml",
        """
        name: p
        stages:
          a: {uses: shell.prepare, cache: false, with: {command: "echo a >> calls.txt"}}
          b: {uses: shell.monitor, with: {command: "echo b >> calls.txt"}}
          c: {uses: shell.check, with: {command: "echo c >> calls.txt"}}
        """,
    )
    project.run()
    project.run()
    assert sorted(project.calls()) == ["a", "a", "b", "b", "c"]


def test_files_env_and_scripts_in_commands_enter_the_fingerprint(project: Any) -> None:
    project.write(
        "p.yaml",
        """
        name: p
        stages:
          a:
            uses: shell.prepare
            files: ["conf/*.ini"]
            env: {MODE: "${env.MODE}"}
            with: {command: "PYTHON tool.py > {outputs.o}", outputs: {o: data/o}}
        """.replace("PYTHON", sys.executable),
    )
    project.write("tool.py", "import lib\nprint(lib.x)\n")
    project.write("lib.py", "x = 1\n")
    project.write("conf/a.ini", "a")
    env = {"MODE": "one"}
    assert project.run(env=env) == {"a": "done"}
    assert project.run(env=env) == {"a": "cached"}
    assert project.run(env={"MODE": "two"}) == {"a": "done"}
    project.write("lib.py", "x = 2\n")
    assert project.run(env=env) == {"a": "done"}
    assert project.read("data/o") == "2\n"
    project.write("conf/a.ini", "b")
    assert project.run(env=env) == {"a": "done"}
    project.write("conf/b.ini", "new")
    assert project.run(env=env) == {"a": "done"}


def test_when(project: Any) -> None:
    project.write(
        "p.yaml",
        """
        name: p
        params: {full: false}
        stages:
          a: {uses: python.prepare, with: {function: "stages:rows"}}
          b:
            uses: shell.train
            when: ${params.full}
            with: {command: "true"}
          c:
            uses: shell.evaluate
            needs: [b]
            with: {command: "true"}
          d:
            uses: shell.check
            when: ${stages.a.rows} > 100
            with: {command: "true"}
          e:
            uses: shell.check
            when: ${stages.a.rows} == 7
            with: {command: "true"}
        """,
    )
    project.write("stages.py", "def rows():\n    return {'rows': 7}\n")
    expected = {"b": "skipped", "c": "skipped", "d": "skipped"}
    assert project.run() == {"a": "done", "e": "done", **expected}
    assert project.run("--set", "full=true")["c"] == "done"
