"""Keys and variants: always the same one, in the weights' shares, moving no more than it must."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlpipe import Action
from mlpipe_experiments.assignment import fingerprint, ranked
from tests.plugins.endpoint.endpoint_project import Project, request

KEYS = [f"user {number}" for number in range(20_000)]
NAMES = st.text("abcxyz", min_size=1, max_size=3)
WEIGHTS = st.dictionaries(NAMES, st.floats(0.01, 1000), min_size=1, max_size=6)


def assigned(weights: dict[str, float], salt: str = "churn") -> list[str]:
    return [ranked(key, weights, salt)[0] for key in KEYS]


@pytest.mark.parametrize("weights", [{"a": 90, "b": 10}, {"a": 0.5, "b": 0.25, "c": 0.25}])
def test_shares_are_those_of_the_weights(weights: dict[str, float]) -> None:
    counts = Counter(assigned(weights))
    total = sum(weights.values())
    expected = [len(KEYS) * weight / total for weight in weights.values()]
    found = stats.chisquare([counts[name] for name in weights], expected)
    assert found.pvalue > 1e-4  # the hash is what it is: this holds always, or never


def test_only_those_move_that_must() -> None:
    before, after = assigned({"a": 90, "b": 10}), assigned({"a": 80, "b": 20})
    moved = Counter(pair for pair in zip(before, after, strict=True) if pair[0] != pair[1])
    assert set(moved) == {("a", "b")}
    assert moved["a", "b"] == pytest.approx(0.1 * len(KEYS), rel=0.1)
    with_third = assigned({"a": 90, "b": 10, "c": 100})
    assert {new for old, new in zip(before, with_third, strict=True) if old != new} == {"c"}


def test_another_salt_assigns_independently() -> None:
    weights = {"a": 1.0, "b": 1.0}
    table = Counter(zip(assigned(weights), assigned(weights, "another"), strict=True))
    cells = [[table[x, y] for y in weights] for x in weights]
    assert stats.chi2_contingency(cells).pvalue > 1e-4


@given(st.text(), WEIGHTS, st.text())
def test_a_rank_has_each_variant_once_and_is_the_same_again(
    key: str, weights: dict[str, float], salt: str
) -> None:
    found = ranked(key, weights, salt)
    assert sorted(found) == sorted(weights)
    assert ranked(key, dict(reversed(weights.items())), salt) == found
    assert ranked(key, {name: 2 * weight for name, weight in weights.items()}, salt) == found
    without = {name: weight for name, weight in weights.items() if name != found[0]}
    assert ranked(key, without, salt) == found[1:]


def test_a_variant_without_a_share_gets_no_key() -> None:
    assert ranked("somebody", {"a": 0.0, "b": 1.0}, "") == ["b"]


def test_texts_do_not_run_into_each_other() -> None:
    assert fingerprint("bc", "a") != fingerprint("c", "ab")
    assert fingerprint("somebody", "churn") != fingerprint("somebody", "other")


# -- over HTTP ------------------------------------------------------------------------------


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
