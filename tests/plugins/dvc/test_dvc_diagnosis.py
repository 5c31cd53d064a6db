"""The data half of the shipped recipe ``diagnosis``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas
import pytest
import yaml

from mlpipe_dvc import prepare
from mlpipe_dvc.config import PrepareConfig

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project


REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY)
    for name in [name for name in sys.modules if name.split(".")[0] == "recipes"]:
        monkeypatch.delitem(sys.modules, name)


def settings() -> dict[str, object]:
    recipe = yaml.safe_load((REPOSITORY / "recipes/diagnosis.yaml").read_text())
    assert recipe["params"]["seed"] == 7
    found: dict[str, object] = recipe["stages"]["data"]["with"]
    found["split"] = {**recipe["stages"]["data"]["with"]["split"], "seed": 7}
    return found


def test_the_data_stage_runs_as_shipped(project: Project) -> None:
    result = prepare(PrepareConfig.model_validate(settings()), project.stage().stage)
    assert result.summary.startswith("569 rows, 3 splits, version ")
    names = [name for name in result.outputs if name != "profile"]
    parts = {name: pandas.read_csv(f"data/{name}.csv") for name in names}
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 341,
        "validation": 114,
        "test": 114,
    }
    for part in parts.values():
        assert list(part.columns)[-1] == "malignant"
        assert len(part.columns) == 31
        assert all(name.isidentifier() for name in part.columns)
        assert part["malignant"].mean() == pytest.approx(212 / 569, abs=0.01)


def test_the_row_is_one_of_the_data_set_that_was_not_trained_on(project: Project) -> None:
    prepare(PrepareConfig.model_validate(settings()), project.stage().stage)
    (row,) = json.loads((REPOSITORY / "recipes/diagnosis/row.json").read_text())["instances"]
    test = pandas.read_csv("data/test.csv")
    assert row in test.drop(columns="malignant").to_numpy().tolist()


def test_impossible_and_repeated_rows_are_dropped() -> None:
    from recipes.diagnosis.clean import clean
    from recipes.diagnosis.extract import extract

    good = extract()
    bad = good.iloc[:3].copy()
    bad.loc[0, "mean_radius"] = 0.0
    bad.loc[1, "worst_area"] = 1.0
    assert clean(pandas.concat([good, bad])).equals(good)


def test_each_check_finds_what_it_is_for() -> None:
    from recipes.diagnosis.checks import check
    from recipes.diagnosis.extract import extract

    good = extract()
    assert check(good) == []
    bad = good.iloc[:400].copy()
    bad.loc[:1, "mean_texture"] = None
    bad.loc[2, "mean_radius"] = 400.0
    bad["malignant"] = 1
    assert check(bad.drop(columns="worst_area")) == [
        "mean_texture: 2 values are missing",
        "mean_radius: 1 values are not between 5 and 40",
        "400 rows, expected at least 500",
        "29 features, expected 30",
        "malignant: expected both 0 and 1, and nothing else",
    ]
    assert check(good.drop(columns="malignant")) == ["no column malignant"]
