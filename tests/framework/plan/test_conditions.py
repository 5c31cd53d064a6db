"""``when:``: comparisons are typed as the recipe itself is."""

import pytest

from mlpipe.errors import UserError
from mlpipe.plan.conditions import holds
from mlpipe.recipe.substitute import Unresolvable

VALUES = {"data": {"rows": 7, "rate": 0.001, "kind": "on", "ready": True}}


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (True, True),
        (False, False),
        ("${stages.data.ready}", True),
        ("${stages.data.rows} > 3", True),
        ("${stages.data.rows} <= 6", False),
        ("${stages.data.rate} == 1e-3", True),
        ("${stages.data.kind} == on", True),
        ("${stages.data.kind} != off", True),
        ("1e-3 < 0.01", True),
    ],
)
def test_conditions(when: bool | str, expected: bool) -> None:
    assert holds(when, VALUES) is expected


@pytest.mark.parametrize("when", ["maybe", "7 ~ 3", "${stages.data.kind} > 3", "{ < 3"])
def test_what_is_no_condition_is_a_clear_error(when: str) -> None:
    with pytest.raises(UserError, match=r"^when: "):
        holds(when, VALUES)


def test_a_value_that_is_not_known_yet() -> None:
    with pytest.raises(Unresolvable):
        holds("${stages.model.loss} < 1", VALUES)
