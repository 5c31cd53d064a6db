"""Results, metrics while they come, and every way in which a training fails."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import mlpipe_sagemaker
from mlpipe import Artifact, Declares, Target
from mlpipe.errors import StageError
from mlpipe.testing import make_stage
from mlpipe_sagemaker.config import TrainConfig
from mlpipe_sagemaker.local import LocalTrainer
from mlpipe_sagemaker.training import describe
from tests.plugins.sagemaker.training_project import SAVE, Project, saving

LOSS = {"loss": r"loss=(\S+)"}


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def test_result(project: Project) -> None:
    training = project.train(saving("print('loss=0.5')"), metrics=LOSS)
    assert names(training.output("model")) == ["code/train.py", "mlpipe.json", "model.txt"]
    assert training.result.metrics == {"loss": 0.5}
    assert training.result.summary == "loss 0.5"
    assert set(training.result.outputs) == {"model"}
    assert training.probe.payloads("model") == [
        {"name": "forest", "framework": "scriptmode", "program": "train.py"}
    ]


def test_what_else_the_script_leaves_is_an_output(project: Project) -> None:
    training = project.train("""
        import os
        open(os.environ["SM_MODEL_DIR"] + "/m", "w").close()
        open(os.environ["SM_OUTPUT_DATA_DIR"] + "/report.html", "w").close()
    """)
    assert names(training.output("output")) == ["report.html"]


def test_same_inputs_give_the_same_bytes(project: Project) -> None:
    first = project.train(SAVE, name="first").output("model")
    time.sleep(0.01)
    (project.root / "train.py").touch()
    second = project.train(SAVE, name="second").output("model")
    assert first.read_bytes() == second.read_bytes()


# -- metrics ------------------------------------------------------------------------------------


def test_a_model_says_what_it_was_trained_with(project: Project) -> None:
    project.write({"rows.csv": "1", "parts/a/1.csv": "2", "parts/2.jsonl": "3", "parts/x.png": "4"})
    inputs: dict[str, Path | Artifact] = {
        "train": project.root / "rows.csv",
        "more": Artifact("more", "md5:0123.dir", "parts"),
    }
    training = project.train(saving(""), inputs=inputs)
    with tarfile.open(training.output("model")) as tar:
        manifest = tar.extractfile("mlpipe.json")
        assert manifest is not None
        told = json.load(manifest)["data"]
    digests = {text: f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" for text in "123"}
    assert told == {
        "train": digests["1"],
        "more": "md5:0123.dir",
        "more/a/1.csv": digests["2"],
        "more/2.jsonl": digests["3"],
    }


def test_metrics_are_told_line_by_line(project: Project) -> None:
    script = """
        import sys
        print("loss=3.0 acc=0.1")
        print("nothing here")
        print("loss=2.5e-1 acc=0.9", file=sys.stderr)
        sys.stdout.write("a bar\\rloss=0.125\\r")
        sys.stdout.write("no newline at the end: acc=1")
    """
    training = project.train(saving(script), metrics={**LOSS, "val:acc": r"acc=([\d.]+)"})
    assert [said["metrics"] for said in training.probe.payloads("metrics")] == [
        {"loss": 3.0, "val:acc": 0.1},
        {"loss": 0.25, "val:acc": 0.9},
        {"loss": 0.125},
        {"val:acc": 1.0},
    ]
    assert training.result.metrics == {"loss": 0.125, "val:acc": 1.0}


def test_metrics_come_while_the_script_runs(project: Project) -> None:
    script = """
        import pathlib, time
        print("loss=1.0")
        deadline = time.monotonic() + 20
        while not pathlib.Path(r"{flag}").exists():
            assert time.monotonic() < deadline, "nobody heard"
            time.sleep(0.01)
    """
    flag = project.root / "heard"

    def hear(kind: str, payload: dict[str, Any]) -> None:
        flag.touch()

    text = saving(script.replace("{flag}", str(flag)))
    assert project.train(text, metrics=LOSS, emitted=hear).result.metrics == {"loss": 1.0}


@pytest.mark.parametrize("odd", ["n/a", "nan", "inf", "--"])
def test_what_is_no_number_is_no_metric_and_no_failure(odd: str, project: Project) -> None:
    script = f"print('loss=0.5')\nprint('loss={odd}')\n"
    training = project.train(saving(script), metrics=LOSS)
    assert training.result.metrics == {"loss": 0.5}
    assert [said["metrics"] for said in training.probe.payloads("metrics")] == [{"loss": 0.5}]


def test_metric_that_never_came_is_mentioned(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.train(SAVE, metrics=LOSS).result.metrics == {}
    assert 'metric "loss"' in capsys.readouterr().out


def test_output_is_the_stages_log(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.train(saving("import sys\nprint('one')\nprint('two ü', file=sys.stderr)\n"))
    assert capsys.readouterr().out == "one\ntwo ü\n"


def test_bytes_that_are_no_text_do_no_harm(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.train(saving(r"import sys; sys.stdout.buffer.write(b'a\xffb\n')"))
    assert capsys.readouterr().out == "a\N{REPLACEMENT CHARACTER}b\n"


def test_much_output_is_no_deadlock(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.train(saving("for _ in range(20_000): print('x' * 99)\n"))
    assert len(capsys.readouterr().out) == 20_000 * 100


# -- failures -----------------------------------------------------------------------------------


def failure(project: Project, text: str, **settings: Any) -> str:
    with pytest.raises(StageError) as caught:
        project.train(text, **settings)
    return str(caught.value)


def test_failure_shows_the_last_lines(project: Project) -> None:
    said = failure(project, "print('reading')\nfloat('n/a')\n")
    assert "train.py: the script ended with exit code 1" in said
    assert "reading" in said
    assert "line 2, in <module>" in said
    assert said.endswith("ValueError: could not convert string to float: 'n/a'")


def test_failure_shows_what_the_script_wrote_to_failure(project: Project) -> None:
    said = failure(
        project,
        """
        import os, sys
        with open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w") as file:
            file.write("no rows after filtering" + " " * 5000)
        print("last words")
        sys.exit(7)
        """,
    )
    assert "exit code 7: no rows after filtering\n" in said
    assert "last words" in said
    assert len(said) < 1500


def test_failure_without_a_word(project: Project) -> None:
    assert "printed nothing" in failure(project, "import os; os._exit(3)")


@pytest.mark.parametrize(("name", "said"), [("SIGKILL", "memory"), ("SIGSEGV", "SIGSEGV")])
def test_death_by_signal_is_named(name: str, said: str, project: Project) -> None:
    message = failure(project, f"import os, signal; os.kill(os.getpid(), signal.{name})")
    assert name in message
    assert said in message


def test_failure_file_of_a_script_that_succeeds_is_no_failure(project: Project) -> None:
    script = 'import os; open(os.environ["SM_OUTPUT_DIR"] + "/failure", "w").write("x")\n'
    assert project.train(saving(script)).output("model").is_file()


def test_no_model_is_a_failure(project: Project) -> None:
    said = failure(project, "print('done')")
    assert "train.py: training left no model" in said
    assert "SM_MODEL_DIR" in said


def test_missing_script(project: Project) -> None:
    probe = make_stage(project.root, "train")
    with pytest.raises(StageError, match=r"shop/gone\.py: there is no such script"):
        mlpipe_sagemaker.train(config=TrainConfig(script="shop/gone.py"), stage=probe.stage)


@pytest.mark.parametrize("python", ["python-that-is-not-there", "./nowhere/python"])
def test_missing_interpreter(python: str, project: Project) -> None:
    said = failure(project, SAVE, python=python)
    assert "cannot be started: No such file" in said
    assert "python" in said


def test_a_target_without_a_bucket(project: Project) -> None:
    target = Target("prod", "aws", {"region": "eu-west-1"})
    with pytest.raises(StageError) as caught:
        project.train(SAVE, target=target)
    assert "targets.prod.bucket: is missing" in str(caught.value)


def test_process_left_behind_is_not_waited_for(project: Project) -> None:
    code = "import time; print('tensorboard', flush=True); time.sleep(60)"
    script = f"""
        import os, subprocess, sys
        left = subprocess.Popen([sys.executable, "-c", {code!r}])
        open(os.environ["SM_OUTPUT_DATA_DIR"] + "/pid", "w").write(str(left.pid))
    """
    started = time.monotonic()
    archive = project.train(saving(script)).output("output")
    took = time.monotonic() - started
    with tarfile.open(archive) as tar:
        file = tar.extractfile("pid")
        assert file is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(file.read()), signal.SIGKILL)
    assert took < 20


def test_script_ends_when_following_it_fails(project: Project) -> None:
    class Stop(Exception):
        pass

    def refuse(kind: str, payload: dict[str, Any]) -> None:
        raise Stop

    pid = project.root / "pid"
    script = f"""
        import os, pathlib, time
        pathlib.Path(r"{pid}").write_text(str(os.getpid()))
        print("loss=1.0")
        time.sleep(60)
    """
    with pytest.raises(Stop):
        project.train(script, metrics=LOSS, emitted=refuse)
    left = int(pid.read_text())
    try:
        with pytest.raises(ProcessLookupError):
            os.kill(left, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
            os.waitpid(left, 0)


# -- limits and checkpoints ---------------------------------------------------------------------

#: Counts in its checkpoint how often it was begun; the third time it ends well.
COUNTING = """
    import os, pathlib
    count = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"], "count")
    begun = len(count.read_text()) if count.exists() else 0
    print(f"begun {begun} times before")
    count.write_text("x" * (begun + 1))
    assert begun >= 2
"""


def clear_scratch(project: Project) -> None:
    shutil.rmtree(project.root / ".mlpipe" / "scratch")


def test_checkpoints_are_found_until_the_job_is_done(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = project.root / ".mlpipe" / "sagemaker" / "checkpoints"
    for _ in range(2):
        failure(project, COUNTING)
        clear_scratch(project)
        assert [path.name for path in kept.rglob("*")] == ["test-forest", "count"]
    project.train(saving(COUNTING))
    assert "begun 2 times before" in capsys.readouterr().out
    assert list(kept.iterdir()) == []


def test_checkpoints_are_the_jobs_own(project: Project) -> None:
    failure(project, COUNTING, name="one")
    assert "begun 0 times before" in failure(project, COUNTING, name="two")


def test_failure_without_checkpoints_leaves_nothing(project: Project) -> None:
    failure(project, "1 / 0")
    assert list((project.root / ".mlpipe" / "sagemaker" / "checkpoints").iterdir()) == []


def test_script_that_takes_too_long_may_end_well(project: Project) -> None:
    script = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (print("saved at the last moment"), sys.exit(0)))
        print("ready")
        time.sleep(120)
    """
    said = failure(project, script, compute={"max_runtime": 4})
    assert said.startswith("train.py: the script was stopped after 4 s\n")
    assert "saved at the last moment" in said
    assert "with.compute.max_runtime" in said


def test_script_that_takes_too_long_and_will_not_end(project: Project) -> None:
    project.write(
        {
            "stubborn.py": """
                import signal, time
                signal.signal(signal.SIGTERM, lambda *_: print("no"))
                deadline = time.monotonic() + 120
                while time.monotonic() < deadline:
                    time.sleep(0.1)
            """
        }
    )
    config = TrainConfig.model_validate({"script": "stubborn.py", "compute": {"max_runtime": 4}})
    job = describe(config, make_stage(project.root, "train").stage)
    with pytest.raises(StageError, match=r"was stopped after 4 s\n   no"):
        LocalTrainer(grace=0.5).train(job, lambda found: None)


@pytest.mark.parametrize("place", ["SM_OUTPUT_FAILURE", "SM_MODEL_DIR"])
def test_places_of_the_failure_file(place: str, project: Project) -> None:
    """The toolkit names one; /opt/ml/failure is written by some scripts too."""
    script = f"""
        import os, pathlib, sys
        path = pathlib.Path(os.environ["{place}"])
        path = path if path.name == "failure" else path.parent / "failure"
        path.write_text("no rows")
        sys.exit(1)
    """
    assert "exit code 1: no rows" in failure(project, script)


def test_algorithm_of_sagemakers_is_not_here(project: Project) -> None:
    said = failure(project, "", script=None, image=None, algorithm="xgboost:1.7-1")
    assert said.startswith('with.algorithm: the algorithm "xgboost:1.7-1" is SageMaker\'s own')
    assert "--target aws" in said


# -- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"metrics": {"loss": "loss=("}}, "no regular expression"),
        ({"metrics": {"loss": "loss"}}, "0 groups"),
        ({"metrics": {"loss": "(loss)=(.*)"}}, "2 groups"),
        ({"hyperparameters": {"layers": [1, 2]}}, "hyperparameters.layers"),
        ({"hyperparameters": {"": 1}}, "hyperparameters"),
        ({"source_dir": "src"}, 'not directly in source_dir "src"'),
        ({"script": "src/deep/train.py", "source_dir": "src"}, 'not directly in source_dir "src"'),
        ({"scirpt": "train.py"}, "scirpt"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainConfig.model_validate({"script": "train.py", **settings})
    assert said in str(caught.value)


def test_types_of_hyperparameters_are_kept() -> None:
    given = {"a": True, "b": 1, "c": 1.0, "d": "1"}
    config = TrainConfig.model_validate({"script": "train.py", "hyperparameters": given})
    assert [(type(v), v) for v in config.hyperparameters.values()] == [
        (bool, True),
        (int, 1),
        (float, 1.0),
        (str, "1"),
    ]


def test_declared_results_are_closed() -> None:
    declared = TrainConfig(script="train.py", metrics=LOSS).declares({})
    assert declared == Declares(
        outputs=("model", "output"), metrics=("loss",), values=("job", "model_uri")
    )


def test_importing_the_plugin_is_light() -> None:
    code = "import sys, mlpipe_sagemaker, mlpipe_scriptmode; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"numpy", "pandas", "sklearn", "boto3"} & set(done.stdout.split())
