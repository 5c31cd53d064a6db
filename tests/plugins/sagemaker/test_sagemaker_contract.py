"""What a training script finds: arguments, variables, folders, files."""

import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mlpipe import Artifact, Scalar
from mlpipe_sagemaker.environment import arguments
from tests.plugins.sagemaker.training_project import Project, saving

#: Leaves what it was given in its model.
TELL = """
    import json, os, sys
    from pathlib import Path

    base = Path(os.environ["SM_MODEL_DIR"]).parent
    tree = {
        str(path.relative_to(base)): path.read_text()
        for path in sorted(base.rglob("*")) if path.is_file()
    }
    folders = [str(path.relative_to(base)) for path in sorted(base.rglob("*")) if path.is_dir()]
    told = {
        "argv": sys.argv, "environ": dict(os.environ), "cwd": os.getcwd(), "base": str(base),
        "tree": tree, "folders": folders, "executable": sys.executable, "path": sys.path,
        "stdin": sys.stdin.read(),
    }
    Path(os.environ["SM_MODEL_DIR"], "told.json").write_text(json.dumps(told))
"""
HYPERPARAMETERS: dict[str, Scalar] = {
    "n-estimators": 20,
    "lr": 1e-05,
    "C": 1.5,
    "verbose": True,
    "name": "a b",
    "code": "007",
}


def told(archive: Path) -> Any:
    with tarfile.open(archive) as tar:
        file = tar.extractfile("told.json")
        assert file is not None
        return json.load(file)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a script saw of a job with a file and a folder as channels."""
    project = Project(tmp_path_factory.mktemp("contract"))
    project.write({"rows.csv": "a,b\n1,2\n", "images/deep/one.txt": "1", "images/two.txt": "2"})
    folder = Artifact("images", "sha256:00", "images")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SM_CHANNEL_STALE", "/of/another/job")
        training = project.train(
            TELL,
            inputs={"train": project.root / "rows.csv", "images": folder},
            hyperparameters=HYPERPARAMETERS,
        )
    return told(training.output("model"))


@pytest.mark.parametrize(
    ("hyperparameters", "argv"),
    [
        ({}, []),
        ({"epochs": 3}, ["--epochs", "3"]),
        ({"n-estimators": 20}, ["--n-estimators", "20"]),
        ({"n_estimators": 20}, ["--n_estimators", "20"]),
        ({"C": 1.5}, ["--C", "1.5"]),
        ({"lr": 1e-05}, ["--lr", "1e-05"]),
        ({"lr": 1.0}, ["--lr", "1.0"]),
        ({"shift": -1}, ["--shift", "-1"]),
        ({"verbose": True}, ["--verbose", "true"]),
        ({"verbose": False}, ["--verbose", "false"]),
        ({"name": ""}, ["--name", ""]),
        ({"name": "a b;$c"}, ["--name", "a b;$c"]),
        ({"code": "007"}, ["--code", "007"]),
        ({"b": 1, "a": 2, "C": 3}, ["--C", "3", "--a", "2", "--b", "1"]),
        ({"beta": 1, "alpha": 2}, ["--alpha", "2", "--beta", "1"]),
    ],
)
def test_hyperparameters_become_arguments(
    hyperparameters: dict[str, Scalar], argv: list[str]
) -> None:
    assert arguments(hyperparameters) == argv


def test_script_is_given_these_arguments(seen: Any) -> None:
    assert seen["argv"] == ["train.py", *arguments(HYPERPARAMETERS)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SM_MODEL_DIR", "{base}/model"),
        ("SM_INPUT_DIR", "{base}/input"),
        ("SM_INPUT_CONFIG_DIR", "{base}/input/config"),
        ("SM_OUTPUT_DIR", "{base}/output"),
        ("SM_OUTPUT_DATA_DIR", "{base}/output/data"),
        ("SM_OUTPUT_INTERMEDIATE_DIR", "{base}/output/intermediate"),
        ("SM_CHECKPOINT_DIR", "{base}/checkpoints"),
        ("SM_CHANNEL_TRAIN", "{base}/input/data/train"),
        ("SM_CHANNEL_IMAGES", "{base}/input/data/images"),
        ("SM_MODULE_DIR", "{base}/code"),
        ("SM_MODULE_NAME", "train"),
        ("SM_USER_ENTRY_POINT", "train.py"),
        ("SM_CHANNELS", '["images","train"]'),
        ("SM_HOSTS", '["algo-1"]'),
        ("SM_CURRENT_HOST", "algo-1"),
        ("SM_CURRENT_INSTANCE_TYPE", "local"),
        ("SM_CURRENT_INSTANCE_GROUP", "homogeneousCluster"),
        ("SM_CURRENT_INSTANCE_GROUP_HOSTS", '["algo-1"]'),
        ("SM_INSTANCE_GROUPS", '["homogeneousCluster"]'),
        ("SM_DISTRIBUTION_INSTANCE_GROUPS", "[]"),
        ("SM_IS_HETERO", "false"),
        ("SM_NETWORK_INTERFACE_NAME", "lo"),
        ("SM_FRAMEWORK_MODULE", ""),
        ("SM_FRAMEWORK_PARAMS", "{}"),
        ("SM_LOG_LEVEL", "20"),
        ("SM_NUM_GPUS", "0"),
        ("SM_HP_N-ESTIMATORS", "20"),
        ("SM_HP_N_ESTIMATORS", "20"),
        ("SM_SOURCE_DIR", "{base}/code"),
        ("SM_ENTRY_SCRIPT", "train.py"),
        ("SM_HOST_COUNT", "1"),
        ("SM_CURRENT_HOST_RANK", "0"),
        ("SM_INPUT_DATA_DIR", "{base}/input/data"),
        ("SM_NUM_NEURONS", "0"),
        ("SM_HP_LR", "1e-05"),
        ("SM_HP_C", "1.5"),
        ("SM_HP_VERBOSE", "true"),
        ("SM_HP_NAME", "a b"),
        ("SM_HP_CODE", "007"),
        ("TRAINING_JOB_NAME", "test-forest"),
    ],
)
def test_variables(name: str, value: str, seen: Any) -> None:
    expected = value.replace("{base}", seen["base"])
    assert seen["environ"][name] == expected


def test_variables_that_hold_json(seen: Any) -> None:
    environ = seen["environ"]
    assert json.loads(environ["SM_HPS"]) == HYPERPARAMETERS
    assert json.loads(environ["SM_USER_ARGS"]) == seen["argv"][1:]
    assert json.loads(environ["SM_NUM_CPUS"]) == os.cpu_count()
    assert json.loads(environ["SM_RESOURCE_CONFIG"])["hosts"] == ["algo-1"]
    assert json.loads(environ["SM_INPUT_DATA_CONFIG"]).keys() == {"train", "images"}
    assert json.loads(environ["SM_INSTANCE_GROUPS_DICT"])["homogeneousCluster"]["hosts"]
    training = json.loads(environ["SM_TRAINING_ENV"])
    assert training["hyperparameters"] == HYPERPARAMETERS
    assert training["channel_input_dirs"] == {
        "images": environ["SM_CHANNEL_IMAGES"],
        "train": environ["SM_CHANNEL_TRAIN"],
    }
    assert training["job_name"] == "test-forest"


def test_variables_of_another_job_are_kept_out(seen: Any) -> None:
    assert "SM_CHANNEL_STALE" not in seen["environ"]


def test_folders_and_files(seen: Any) -> None:
    assert {"model", "output/data", "code", "checkpoints"} <= set(seen["folders"])
    tree = seen["tree"]
    assert tree["input/data/train/rows.csv"] == "a,b\n1,2\n"
    assert tree["input/data/images/deep/one.txt"] == "1"
    assert tree["input/data/images/two.txt"] == "2"
    assert "code/train.py" in tree


def test_config_files(seen: Any) -> None:
    files = {
        name.removeprefix("input/config/"): json.loads(text)
        for name, text in seen["tree"].items()
        if name.startswith("input/config/")
    }
    written = files["hyperparameters.json"]
    assert all(isinstance(value, str) for value in written.values())
    assert {name: json.loads(value) for name, value in written.items()} == HYPERPARAMETERS
    assert files["resourceconfig.json"]["current_host"] == "algo-1"
    assert files["inputdataconfig.json"]["train"]["TrainingInputMode"] == "File"


def test_process(seen: Any) -> None:
    assert seen["cwd"] == f"{seen['base']}/code"
    assert seen["path"][0] == seen["cwd"]
    assert seen["executable"] == sys.executable
    assert seen["stdin"] == ""


def test_input_without_extension_is_named_after_its_channel(project: Project) -> None:
    (project.root / "0a1b2c").write_text("1")
    training = project.train(TELL, inputs={"train": project.root / "0a1b2c"})
    assert told(training.output("model"))["tree"]["input/data/train/train"] == "1"


def test_script_that_changes_its_data_changes_no_artifact(project: Project) -> None:
    project.write({"rows.csv": "1\n", "many/rows.csv": "1\n"})
    script = """
        import os
        for channel in ("ONE", "MANY"):
            with open(os.environ[f"SM_CHANNEL_{channel}"] + "/rows.csv", "a") as file:
                file.write("spoilt")
    """
    many = Artifact("many", "sha256:00", "many")
    project.train(saving(script), inputs={"one": project.root / "rows.csv", "many": many})
    assert (project.root / "rows.csv").read_text() == "1\n"
    assert (project.root / "many" / "rows.csv").read_text() == "1\n"


@pytest.mark.parametrize("place", ["bin/python-of-mine", "{root}/bin/python-of-mine"])
def test_another_interpreter(place: str, project: Project) -> None:
    project.write({"bin/python-of-mine": f'#!/bin/sh\nMINE=1 exec {sys.executable} "$@"\n'})
    (project.root / "bin" / "python-of-mine").chmod(0o755)
    python = place.replace("{root}", str(project.root))
    assert told(project.train(TELL, python=python).output("model"))["environ"]["MINE"] == "1"
