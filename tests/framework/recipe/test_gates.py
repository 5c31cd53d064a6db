"""Gates: reading a bound, telling a miss, saying by how much."""

import math

import pytest

from mlpipe.recipe.gates import Gate, parse_gate


@pytest.mark.parametrize(
    ("text", "sign", "bound"),
    [
        (">= 0.94", ">=", 0.94),
        ("<=1", "<=", 1.0),
        (" > -2.5e-3 ", ">", -0.0025),
        ("<  10", "<", 10.0),
        ("== 0", "==", 0.0),
    ],
)
def test_bounds_are_read(text: str, sign: str, bound: float) -> None:
    assert parse_gate("m", text) == Gate("m", sign, bound)


@pytest.mark.parametrize("text", ["0.94", "=> 1", ">=", ">= high", ">= nan", "< inf", "1 < 2", ""])
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r'is no bound: write a sign and a number, as ">= 0\.94"'):
        parse_gate("m", text)


@pytest.mark.parametrize(
    ("bound", "value", "shortfall"),
    [
        (">= 0.5", 0.5, None),
        (">= 0.5", 0.25, 0.25),
        ("> 0.5", 0.5, 0.0),
        ("<= 2", 2.0, None),
        ("< 2", 3.5, 1.5),
        ("== 0", 0.0, None),
        ("== 0", -2.0, 2.0),
        (">= 0", math.inf, None),
    ],
)
def test_misses(bound: str, value: float, shortfall: float | None) -> None:
    assert parse_gate("m", bound).missed(value) == shortfall


@pytest.mark.parametrize("sign", [">=", "<=", ">", "<", "=="])
def test_no_number_misses_every_bound(sign: str) -> None:
    gate = Gate("m", sign, 0.0)
    shortfall = gate.missed(math.nan)
    assert shortfall is not None
    assert math.isnan(shortfall)
    assert "wanted" in gate.text(math.nan)


@pytest.mark.parametrize(
    ("bound", "value", "text"),
    [
        (">= 0.94", 0.931, "accuracy 0.931, wanted ≥ 0.94 (0.009 short)"),
        ("< 10", 12.5, "accuracy 12.5, wanted < 10 (2.5 over)"),
        ("== 0", 3.0, "accuracy 3, wanted = 0 (3 off)"),
        (">= 0.94", 0.965, "accuracy 0.965 ≥ 0.94"),
        (">= 0.94", math.nan, "accuracy nan, wanted ≥ 0.94"),
    ],
)
def test_texts(bound: str, value: float, text: str) -> None:
    assert parse_gate("accuracy", bound).text(value) == text
