"""A project folder to train in."""

import hashlib
import textwrap
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlpipe_sagemaker
from mlpipe import Artifact, StageResult, Target
from mlpipe.testing import StageProbe, make_stage
from mlpipe_awstest import REGION, ROLE
from mlpipe_sagemaker.config import TrainConfig, TuneConfig
from tests.plugins.emulated_aws import BUCKET

#: An image whose Python is the emulator's.
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/training:1"


def aws_target(**more: Any) -> Target:
    """Give a target at the emulated AWS."""
    return Target("aws", "aws", {"region": REGION, "bucket": BUCKET, "role": ROLE, **more})


#: A script that leaves a model, and no more.
SAVE = """
if __name__ == "__main__":
    import os
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w") as file:
        file.write("model")
"""


def saving(text: str) -> str:
    """Give a script that does something, then leaves a model."""
    return textwrap.dedent(text) + SAVE


@dataclass(frozen=True)
class Training:
    """What a training gave, and what it said meanwhile."""

    result: StageResult
    probe: StageProbe

    def output(self, name: str) -> Path:
        found = self.result.outputs[name]
        assert isinstance(found, Path)
        return found


@dataclass(frozen=True)
class Project:
    """A project folder."""

    root: Path

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def train(
        self,
        text: str,
        /,
        *,
        inputs: Mapping[str, Path | Artifact] | None = None,
        emitted: Callable[[str, dict[str, Any]], None] | None = None,
        target: Target | None = None,
        name: str = "forest",
        env: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Training:
        """Train with a script of this text."""
        if settings.get("script", "") is not None:
            self.write({settings.get("script", "train.py"): text})
        config = TrainConfig.model_validate({"script": "train.py", "image": IMAGE, **settings})
        probe = make_stage(self.root, "train", name=name, inputs=inputs, target=target, env=env)
        stage = replace(probe.stage, _send=emitted) if emitted else probe.stage
        result = mlpipe_sagemaker.train(config=config, stage=stage)
        return Training(result, probe)

    def tune(
        self,
        text: str,
        /,
        *,
        space: Mapping[str, Any],
        inputs: Mapping[str, Path | Artifact] | None = None,
        target: Target | None = None,
        name: str = "search",
        emitted: Callable[[str, dict[str, Any]], None] | None = None,
        **settings: Any,
    ) -> Training:
        """Tune a script of this text; its objective is the number after ``loss: ``."""
        self.write({"train.py": text})
        given = {
            "script": "train.py",
            "image": IMAGE,
            "metrics": {"loss": r"loss: ([-0-9.e]+)"},
            "objective": "loss",
            "direction": "minimize",
            "space": space,
            "seed": 7,
            **settings,
        }
        config = TuneConfig.model_validate(given)
        probe = make_stage(self.root, "tune", name=name, inputs=inputs, target=target)
        stage = replace(probe.stage, _send=emitted) if emitted else probe.stage
        result = mlpipe_sagemaker.tune(config=config, stage=stage)
        return Training(result, probe)


def labelled_tables(folder: Path) -> dict[str, Path]:
    """Write a data set as SageMaker's examples have it: the label first, no header.

    Returns:
        The files by channel: ``train`` and ``validation``.
    """
    import numpy as np
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    features, labels = load_breast_cancer(return_X_y=True)
    table = np.column_stack([labels, features])
    parts = train_test_split(table, test_size=0.3, random_state=7, stratify=labels)
    paths = {name: folder / f"{name}.csv" for name in ("train", "validation")}
    for path, part in zip(paths.values(), parts, strict=True):
        np.savetxt(path, part, delimiter=",", fmt="%.8g")
    return paths


def wheel(folder: Path, words: str) -> Path:
    """Make a wheel of a module ``greeting``."""
    files = {
        "greeting.py": f"WORDS = {words!r}\n",
        "greeting-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
        "greeting-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={hashlib.sha256(text.encode()).hexdigest()},{len(text)}\n"
        for name, text in files.items()
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "greeting-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, "greeting-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    return path
