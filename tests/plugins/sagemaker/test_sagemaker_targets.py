"""What is true of a training wherever it runs: here, and at the emulated SageMaker."""

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mlpipe import Artifact, Scalar, StageError, Target
from mlpipe.testing import make_stage
from mlpipe_sagemaker import build
from mlpipe_sagemaker.config import BuildConfig
from mlpipe_sagemaker.environment import arguments
from tests.plugins.sagemaker.training_project import Project, saving

TELL = """
    import argparse, json, os, sys
    from pathlib import Path
    import helper

    sm = {k: v for k, v in os.environ.items() if k.startswith("SM_")}
    channels = {
        name: sorted(p.relative_to(sm[f"SM_CHANNEL_{name.upper()}"]).as_posix()
                     for p in Path(sm[f"SM_CHANNEL_{name.upper()}"]).rglob("*") if p.is_file())
        for name in json.loads(sm["SM_CHANNELS"]) if name not in ("code", "sm_drivers")
    }
    print("validation accuracy: 0.25")
    print("validation accuracy: 0.75")
    Path(sm["SM_OUTPUT_DATA_DIR"], "notes.txt").write_text("noted")
    told = {
        "argv": sys.argv[1:], "hps": json.loads(sm["SM_HPS"]), "channels": channels,
        "helper": helper.ANSWER, "depth": os.environ.get("DEPTH"),
        "hosts": [sm["SM_CURRENT_HOST"], json.loads(sm["SM_HOSTS"])],
        "data": Path(sm["SM_CHANNEL_TRAIN"], "rows.csv").read_text(),
    }
    Path(sm["SM_MODEL_DIR"], "told.json").write_text(json.dumps(told))
"""
HYPERPARAMETERS: dict[str, Scalar] = {
    "depth": 4,
    "lr": 1e-05,
    "name": "a b",
    "C": 2,
    "verbose": True,
    "code": "007",
}


def member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_a_script_finds_the_same(project: Project, target: Target) -> None:
    project.write(
        {"rows.csv": "a,b\n1,2\n", "images/deep/1.txt": "1", "helper.py": "ANSWER = 42\n"}
    )
    training = project.train(
        TELL,
        inputs={
            "train": project.root / "rows.csv",
            "images": Artifact("images", "sha256:" + "0" * 64, "images"),
        },
        hyperparameters=HYPERPARAMETERS,
        metrics={"validation:accuracy": "validation accuracy: ([0-9.]+)"},
        env={"DEPTH": "deep"} if target.type == "aws" else None,
        target=target,
    )
    told = json.loads(member(training.output("model"), "told.json"))
    assert sorted(told["argv"]) == sorted(arguments(HYPERPARAMETERS))
    assert told["hps"] == HYPERPARAMETERS
    assert told["channels"] == {"train": ["rows.csv"], "images": ["deep/1.txt"]}
    assert told["data"] == "a,b\n1,2\n"
    assert told["helper"] == 42
    assert told["hosts"] == ["algo-1", ["algo-1"]]
    if target.type == "aws":  # here the stage's own process has them
        assert told["depth"] == "deep"
    assert training.result.metrics == {"validation:accuracy": 0.75}
    seen = [each["metrics"]["validation:accuracy"] for each in training.probe.payloads("metrics")]
    assert seen == [0.25, 0.75]
    assert member(training.output("output"), "notes.txt") == b"noted"
    manifest = json.loads(member(training.output("model"), "mlpipe.json"))
    assert manifest["program"] == "train.py"
    assert set(manifest["data"]) == {"train", "images"}
    assert member(training.output("model"), "code/helper.py") == b"ANSWER = 42\n"


def test_a_script_fails_the_same(project: Project, target: Target) -> None:
    script = """
        import sys
        print("about to fail")
        raise ValueError("could not convert string to float: 'n/a'")
    """
    with pytest.raises(StageError) as caught:
        project.train(script, target=target)
    assert "ValueError: could not convert string to float: 'n/a'" in str(caught.value)
    assert "about to fail" in str(caught.value)


def package(project: Project, target: Target) -> Any:
    """Package two scripts with ``sagemaker.build``; give the output as an input."""
    project.write(
        {
            "jobs/one.py": saving("import shared"),
            "jobs/two.py": saving("import shared; print('two', shared.X)"),
            "jobs/shared.py": "X = 1\n",
        }
    )
    config = BuildConfig.model_validate({"scripts": ["jobs/one.py", "jobs/two.py"]})
    probe = make_stage(project.root, "build", name="code", target=target)
    result = build(config=config, stage=probe.stage)
    assert result.values["programs"] == ["one.py", "two.py"]
    return result.outputs["code"]


def test_a_package_trains(project: Project, target: Target) -> None:
    code = package(project, target)
    training = project.train(
        "", script=None, inputs={"code": code}, program="two.py", target=target
    )
    with tarfile.open(training.output("model")) as tar:
        names = tar.getnames()
    assert {"code/two.py", "code/shared.py", "mlpipe.json", "model.txt"} <= set(names)


def test_a_package_has_no_such_script(project: Project, target: Target) -> None:
    code = package(project, target)
    for program, said in ((None, "several scripts"), ("three.py", 'no script "three.py"')):
        with pytest.raises(StageError, match=said) as caught:
            project.train("", script=None, inputs={"code": code}, program=program, target=target)
        assert "one.py, two.py" in str(caught.value)


def test_the_model_is_the_same_wherever_it_was_trained(project: Project, cloud: Any) -> None:
    from tests.plugins.sagemaker.training_project import aws_target

    script = saving("print('no more than that')")
    here = project.train(script, name="here").output("model").read_bytes()
    there = project.train(script, name="there", target=aws_target()).output("model").read_bytes()
    assert here == there
    assert os.environ["AWS_ENDPOINT_URL"] == cloud.url
