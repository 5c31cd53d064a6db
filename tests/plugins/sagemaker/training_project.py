"""A project folder to train in."""

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlpipe_sagemaker
from mlpipe import Artifact, StageResult, Target
from mlpipe.testing import StageProbe, make_stage
from mlpipe_sagemaker.config import TrainConfig

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
        **settings: Any,
    ) -> Training:
        """Train with a script of this text."""
        self.write({settings.get("script", "train.py"): text})
        config = TrainConfig.model_validate({"script": "train.py", **settings})
        probe = make_stage(self.root, "train", name=name, inputs=inputs, target=target)
        stage = replace(probe.stage, _send=emitted) if emitted else probe.stage
        result = mlpipe_sagemaker.train(config=config, stage=stage)
        return Training(result, probe)
