"""Requests that are answered together get what they would have got alone."""

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from mlpipe_scriptmode import BadPayload, Batcher, Model, Request, UnsupportedContentType, load

JSON = "application/json"

#: A classifier of scikit-learn's, with what it was called with in ``calls``.
ESTIMATOR = """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    calls = []

    class Watched(LogisticRegression):
        def predict(self, rows):
            calls.append(len(rows))
            return super().predict(rows)

    def model_fn(folder):
        return Watched().fit(np.array([[0.0, 0], [1, 1], [2, 2], [3, 3]]), [0, 0, 1, 1])
"""
SUM = "import numpy as np\ndef model_fn(folder): return []\n"


@pytest.fixture
def load_script(tmp_path: Path) -> Callable[[str], Model]:
    def load_script(script: str) -> Model:
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "train.py").write_text(dedent(script))
        return load(tmp_path)

    return load_script


def requests(*bodies: str) -> list[Request]:
    return [Request(body.encode(), JSON, "*/*") for body in bodies]


def test_an_estimators_requests_are_predicted_by_one_call(
    load_script: Callable[[str], Model],
) -> None:
    model = load_script(ESTIMATOR)
    batcher = Batcher(model)
    asked = requests("[[0, 0]]", "[[3, 3], [0, 0]]", "[2.5, 3]")
    for _ in range(30):
        answers = batcher.answers(asked)
        assert answers == [model.invoke(each.body, JSON, JSON) for each in asked]
    # Those of whole numbers together and the other one; then each, to compare with.
    assert model.script.calls[-5:] == [3, 1, 1, 2, 1]
    assert [json.loads(body) for body, _ in answers] == [[0], [1, 0], [1]]  # type: ignore[misc]


def test_a_bad_request_fails_alone(load_script: Callable[[str], Model]) -> None:
    model = load_script(ESTIMATOR)
    batcher = Batcher(model)
    asked = [
        *requests("[[3, 3]]", "[[NaN, 1]]", "[[1, 2, 3]]", "nonsense", "[[0, 0]]", "[[1, 2, 3]]"),
        Request(b"[[3, 3]]", "image/png", JSON),
        Request(b"[[3, 3]]", JSON, "text/html"),
    ]
    for _ in range(12):
        answers = batcher.answers(asked)
        assert [answers[0], answers[4]] == [(b"[1]", JSON), (b"[0]", JSON)]
        for number, said in ((1, "row 1, column 1"), (2, "3 features"), (3, "no JSON")):
            assert isinstance(answers[number], BadPayload)
            assert said in str(answers[number])
        assert isinstance(answers[5], BadPayload)
        assert isinstance(answers[6], UnsupportedContentType)
        assert isinstance(answers[7], UnsupportedContentType)


@pytest.mark.parametrize(
    ("head", "calls"),
    [("", [1, 1]), ("MLPIPE_BATCH = False", [1, 1]), ("MLPIPE_BATCH = True", [2])],
)
def test_a_scripts_own_function_is_given_one_request_unless_it_says_otherwise(
    head: str, calls: list[int], load_script: Callable[[str], Model]
) -> None:
    script = (
        "\ndef predict_fn(rows, model):\n    model.append(len(rows))\n    return rows.sum(axis=1)"
    )
    model = load_script(f"{SUM}{head}{script}\n")
    batcher = Batcher(model)
    for _ in range(20):
        model.model.clear()
        assert batcher.answers(requests("[[1, 2]]", "[[3, 4]]")) == [(b"[3]", JSON), (b"[7]", JSON)]
    assert model.model == calls


def test_an_estimator_can_be_kept_from_batches(load_script: Callable[[str], Model]) -> None:
    model = load_script(ESTIMATOR + "\n    MLPIPE_BATCH = False\n")
    Batcher(model).answers(requests("[[0, 0]]", "[[0, 0]]"))
    assert model.script.calls == [1, 1]


def test_a_model_that_looks_at_its_rows_together_is_found_out(
    load_script: Callable[[str], Model], capfd: pytest.CaptureFixture[str]
) -> None:
    script = "MLPIPE_BATCH = True\ndef predict_fn(rows, model): return rows - rows.mean()\n"
    batcher = Batcher(load_script(SUM + script))
    for _ in range(3):
        answers = batcher.answers(requests("[[1, 3]]", "[[10, 30]]"))
        assert answers == [(b"[[-1.0, 1.0]]", JSON), (b"[[-10.0, 10.0]]", JSON)]
    assert capfd.readouterr().err.count("requests are kept apart") == 1


def test_what_is_no_array_with_a_row_each_is_asked_for_apart(
    load_script: Callable[[str], Model],
) -> None:
    script = "MLPIPE_BATCH = True\ndef predict_fn(rows, model): return {'rows': len(rows)}\n"
    batcher = Batcher(load_script(SUM + script))
    for _ in range(12):
        answers = batcher.answers(requests("[[1]]", "[[2], [3]]"))
        assert answers == [(b'{"rows": 1}', JSON), (b'{"rows": 2}', JSON)]


def test_a_request_that_makes_a_batch_fail_fails_alone(
    load_script: Callable[[str], Model],
) -> None:
    script = (
        "MLPIPE_BATCH = True\ndef predict_fn(rows, model):\n"
        "    if (rows < 0).any(): raise ValueError('negative')\n    return rows[:, 0]\n"
    )
    batcher = Batcher(load_script(SUM + script))
    for _ in range(12):
        first, failed, last = batcher.answers(requests("[[1]]", "[[-2]]", "[[3]]"))
        assert (first, last) == ((b"[1]", JSON), (b"[3]", JSON))
        assert "ValueError: negative" in str(failed)
