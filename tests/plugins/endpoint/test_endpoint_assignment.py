"""Requests that say whom they are for, over HTTP: always by the same variant."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mlpipe import Action
from mlpipe_experiments.assignment import fingerprint, ranked
from tests.plugins.endpoint.endpoint_project import Project, request

KEYS = [f"user {number}" for number in range(20)]


def answer_to(port: int, key: str) -> str | None:
    return request(port, headers={"X-Mlpipe-Key": key}).variant


def test_a_key_is_answered_by_its_own_variant(project: Project, pair: dict[str, Path]) -> None:
    project.deploy(pair, traffic={"champion": 50, "challenger": 50})
    weights = {"champion": 50.0, "challenger": 50.0}
    for key in KEYS[:12]:
        answers = {answer_to(project.port(), key) for _ in range(4)}
        assert answers == {ranked(key, weights, "churn")[0]}
    recorded = project.records()[-48:]
    assert {record["key"] for record in recorded} == {fingerprint(k, "churn") for k in KEYS[:12]}
    assert not any(record["targeted"] for record in recorded)
    assert not any(key in str(recorded) for key in KEYS[:12])


def test_without_a_key_it_is_left_to_chance(project: Project, pair: dict[str, Path]) -> None:
    project.deploy(pair, traffic={"champion": 50, "challenger": 50})
    answers = Counter(request(project.port()).variant for _ in range(60))
    assert set(answers) == {"champion", "challenger"}  # else: once in 10**17
    assert {record["key"] for record in project.records()} == {None}


def test_a_variant_that_was_named_wins_over_the_key(
    project: Project, pair: dict[str, Path]
) -> None:
    project.deploy(pair, traffic={"champion": 50, "challenger": 50})
    for variant in pair:
        headers = {"X-Mlpipe-Key": "me", "X-Amzn-SageMaker-Target-Variant": variant}
        assert request(project.port(), headers=headers).variant == variant
    assert all(record["targeted"] for record in project.records())


def test_another_salt_is_a_change_of_its_own(project: Project, pair: dict[str, Path]) -> None:
    traffic = {"champion": 50, "challenger": 50}
    first = project.deploy(pair, traffic=traffic)
    assert project.preview(pair, traffic=traffic) == []
    assert project.preview(pair, traffic=traffic, salt="spring") == [
        Action("update", "salt of churn", "keys are assigned anew")
    ]
    second = project.deploy(pair, traffic=traffic, salt="spring")
    moved = [
        key
        for key in KEYS[:20]
        if ranked(key, traffic, "churn")[0] != ranked(key, traffic, "spring")[0]
    ]
    for key in moved[:5]:
        assert answer_to(project.port(), key) == ranked(key, traffic, "spring")[0]
    assert [result.releases[0].payload["salt"] for result in (first, second)] == ["", "spring"]


def test_the_command_line_may_name_a_key(
    project: Project, pair: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic = {"champion": 50, "challenger": 50}
    project.deploy(pair, traffic=traffic)
    monkeypatch.chdir(project.root)
    Path("row.json").write_text("[[1, 2]]")
    for key in KEYS[:3]:
        command = ["endpoint", "invoke", "churn", "--file", "row.json", "--key", key]
        done = subprocess.run(
            [sys.executable, "-m", "mlpipe", *command], capture_output=True, text=True, check=True
        )
        assert done.stderr == f"variant {ranked(key, traffic, 'churn')[0]}\n"
