"""The shipped data recipe, in a project of its own, as a user runs it."""

import json
import re
from pathlib import Path

import pandas
import pytest

from tests.shipped import Shipped


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """The recipe in a fresh Git repository, run once."""
    project = Shipped(tmp_path_factory.mktemp("wine"))
    project.take("recipes", "recipes")
    project.git("init", "-q")
    assert project.run("wine") == {"data": "done"}
    return project


def test_it_makes_a_data_set_that_is_tracked_described_and_split(wine: Shipped) -> None:
    assert wine.succeed("dvc", "status") == "Data and pipelines are up to date.\n"
    parts = {
        name: pandas.read_parquet(wine.root / f"data/{name}.parquet") for name in ("train", "test")
    }
    assert {name: len(part) for name, part in parts.items()} == {"train": 125, "test": 53}
    shares = [part["cultivar"].value_counts(normalize=True).sort_index() for part in parts.values()]
    assert abs(shares[0] - shares[1]).max() < 0.02
    listed = json.loads(wine.mlpipe("data", "list", "--json"))
    assert [
        (version["dataset"], version["rows"], version["current"])
        for each in listed
        for version in each["versions"]
    ] == [("data/test.parquet", 53, True), ("data/train.parquet", 125, True)]


def test_unchanged_it_does_nothing(wine: Shipped) -> None:
    assert wine.run("wine") == {"data": "cached"}


def test_bad_data_stops_it_and_names_the_column(wine: Shipped, tmp_path: Path) -> None:
    broken = Shipped(tmp_path)
    broken.take("recipes", "recipes")
    broken.git("init", "-q")
    schema = tmp_path / "recipes" / "wine" / "schema.yaml"
    schema.write_text(schema.read_text().replace("max_value: 16", "max_value: 14.5"))
    done = broken.command("mlpipe", "run", "wine")
    assert done.returncode == 3
    assert re.search(r"alcohol: in_range\(10, 14\.5\), \d+ rows of 178, as row ", done.stderr)
    assert not (tmp_path / "data").exists()
