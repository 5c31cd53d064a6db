"""Every hook is documented and has the shape that dispatch relies on."""

import inspect

import pytest

from mlpipe.plugins import hookspecs
from mlpipe.plugins.inspection import LIFECYCLE
from mlpipe.plugins.verbs import VERBS

SPECS = {name: f for name, f in vars(hookspecs).items() if getattr(f, "mlpipe_spec", None)}


@pytest.mark.parametrize("name", SPECS)
def test_every_hook_says_when_it_is_called(name: str) -> None:
    doc = inspect.getdoc(SPECS[name])
    assert doc
    assert doc.splitlines()[0].endswith(".")


def test_the_ten_verbs_have_one_shape() -> None:
    assert len(VERBS) == 10
    for name in VERBS:
        assert list(inspect.signature(SPECS[name]).parameters) == ["config", "stage"]


def test_lifecycle_hooks_take_config() -> None:
    for name in LIFECYCLE:
        assert next(iter(inspect.signature(SPECS[name]).parameters)) == "config"
