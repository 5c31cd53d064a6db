"""Experiments in folders of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpipe_experiments import keeping
from mlpipe_experiments.keeping import Experiment
from tests.plugins.experiments.experiments_plans import plan


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., Experiment]:
    def begin(salt: str = "churn", **more: Any) -> Experiment:
        return keeping.begin(
            tmp_path, "churn", salt, plan(**more), Path("invocations.jsonl"), "promote it"
        )

    return begin
