"""Tests of the service, which the recipe's stage "checks" runs."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from fastapi import HTTPException

from app import Model, Rows, create, load, scored

MODEL = Model(mean=[1.0, 2.0], scale=[1.0, 2.0], weights=[0.5, -0.5], bias=0.0)


def test_probabilities() -> None:
    """A row at the mean is as likely as not."""
    assert scored(MODEL, Rows(instances=[[1.0, 2.0], [3.0, 2.0]])) == [0.5, 0.731059]


def test_a_row_of_another_length_is_refused() -> None:
    """Nothing is guessed about numbers that are missing."""
    with pytest.raises(HTTPException, match="a row has 2 numbers"):
        scored(MODEL, Rows(instances=[[1.0]]))


def test_the_model_is_read_from_its_archive(tmp_path: Path) -> None:
    """As training packs it."""
    data = json.dumps(MODEL.model_dump()).encode()
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("model.json")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    assert load(tmp_path / "model.tar.gz") == MODEL


def test_paths() -> None:
    """What others call."""
    assert {"/health", "/score"} <= set(create(MODEL).openapi()["paths"])
