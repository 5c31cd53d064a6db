"""Calling the verb ``evaluate`` without a run around it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlpipe_mlflow
from mlpipe import Artifact, StageResult
from mlpipe.testing import StageProbe, make_stage
from mlpipe_mlflow.config import EvaluateConfig


def table(root: Path, rows: Any, labels: Any, name: str = "test.csv") -> Path:
    frame = pd.DataFrame(np.asarray(rows)).add_prefix("f").assign(label=labels)
    path = root / name
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def evaluate(
    root: Path, inputs: Mapping[str, Path | Artifact], **settings: Any
) -> tuple[StageResult, StageProbe, dict[str, Any]]:
    config = EvaluateConfig.model_validate({"label": "label", "task": "classification", **settings})
    probe = make_stage(root, "evaluate", name="quality", inputs=inputs)
    result = mlpipe_mlflow.evaluate(config=config, stage=probe.stage)
    report = result.outputs["report"]
    assert isinstance(report, Path)
    return result, probe, json.loads(report.read_text())
