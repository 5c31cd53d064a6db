"""Search spaces: what they may say, and how Optuna and SageMaker get exactly that."""

import json
import math
import random
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mlpipe import Scalar, StageError
from mlpipe_awstest.tuning import _sample
from mlpipe_sagemaker import awsspace, optunaspace
from mlpipe_sagemaker.config import TuneConfig
from mlpipe_sagemaker.environment import arguments
from mlpipe_sagemaker.space import FloatParameter, Parameter

PARAMETER: TypeAdapter[Parameter] = TypeAdapter(Parameter)
SETTINGS = settings(max_examples=150, deadline=None)

scalars = st.one_of(
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), max_size=12),
)


def parameter(**said: Any) -> Parameter:
    return PARAMETER.validate_python(said)


@st.composite
def floats(draw: st.DrawFn) -> Parameter:
    scale = draw(st.sampled_from(["linear", "log", "reverse_log"]))
    bounds = {"linear": (-1e3, 1e3), "log": (1e-6, 1e3), "reverse_log": (0.0, 0.999)}[scale]
    low, high = sorted(draw(st.lists(st.floats(*bounds), min_size=2, max_size=2, unique=True)))
    return parameter(type="float", low=low, high=high, scale=scale)


@st.composite
def steps(draw: st.DrawFn) -> Parameter:
    low, step = draw(st.integers(-100, 100)), draw(st.integers(1, 9))
    count, part = draw(st.integers(1, 20)), draw(st.sampled_from([1, 10, 100]))
    if part == 1:
        return parameter(type="int", low=low, high=low + count * step, step=step)
    high = (low + count * step) / part
    return parameter(type="float", low=low / part, high=high, step=step / part)


@st.composite
def ints(draw: st.DrawFn) -> Parameter:
    low = draw(st.integers(1, 100))
    scale = draw(st.sampled_from(["linear", "log"]))
    return parameter(type="int", low=low, high=low + draw(st.integers(1, 1000)), scale=scale)


@st.composite
def categories(draw: st.DrawFn) -> Parameter:
    key = lambda value: (type(value), value)  # noqa: E731 - hypothesis wants a function here
    values = draw(st.lists(scalars, min_size=2, max_size=8, unique_by=key))
    return parameter(type="categorical", values=values)


def point(space: dict[str, Parameter], seed: int) -> dict[str, Scalar]:
    """Give a point that Optuna chooses."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    return optunaspace.suggest(study.ask(), space)


@SETTINGS
@given(st.one_of(floats(), ints(), categories(), steps()), st.integers(0, 2**31))
def test_optuna_chooses_within_the_space_with_the_declared_type(one: Parameter, seed: int) -> None:
    chosen = point({"p": one}, seed)
    assert optunaspace.contains({"p": one}, chosen)
    if one.type != "categorical":
        assert type(chosen["p"]) is {"float": float, "int": int}[one.type]


@SETTINGS
@given(st.one_of(floats(), ints(), categories()), st.integers(0, 2**31))
def test_encoding_for_optuna_loses_nothing(one: Parameter, seed: int) -> None:
    value = point({"p": one}, seed)["p"]
    again = optunaspace.decode(one, optunaspace.encode(one, value))
    assert type(again) is type(value)
    if isinstance(one, FloatParameter):
        assert math.isclose(float(again), float(value), rel_tol=1e-9, abs_tol=1e-12)
    else:
        assert again == value


def config(space: dict[str, Any], **more: Any) -> TuneConfig:
    return TuneConfig.model_validate(
        {
            "script": "train.py",
            "metrics": {"loss": "([0-9.]+)"},
            "objective": "loss",
            "direction": "minimize",
            "space": space,
            **more,
        }
    )


@SETTINGS
@given(
    st.dictionaries(
        st.sampled_from(["C", "lr", "n-estimators", "max_depth"]),
        st.one_of(floats(), ints(), categories()),
        min_size=1,
    ),
    st.integers(0, 2**31),
)
def test_sagemaker_gives_the_script_the_same_as_a_local_run(
    space: dict[str, Parameter], seed: int
) -> None:
    said = {name: one.model_dump() for name, one in space.items()}
    try:
        ranges = awsspace.ranges(config(said).space, "random")
    except StageError:  # a value that the drivers would change
        return
    tuned = _sample(ranges, random.Random(seed))
    values = awsspace.decode(space, tuned)
    assert set(values) == set(space)
    for name, value in values.items():
        if space[name].type != "categorical":
            assert type(value) is {"float": float, "int": int}[space[name].type]
        assert optunaspace.contains({name: space[name]}, {name: value})
    assert as_driven(tuned) == arguments(values)


def as_driven(tuned: dict[str, str]) -> list[str]:
    """Give the arguments that the drivers of SageMaker's SDK make of hyperparameters."""
    import importlib.util
    from pathlib import Path

    from sagemaker.train.constants import SM_DRIVERS_LOCAL_PATH

    path = Path(SM_DRIVERS_LOCAL_PATH, "common", "utils.py")
    spec = importlib.util.spec_from_file_location("sm_utils", path)
    assert spec is not None
    assert spec.loader is not None
    utils = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(utils)
    read = {name: utils.safe_deserialize(tuned[name]) for name in sorted(tuned)}
    written: list[str] = utils.hyperparameters_to_cli_args(read)
    return written


def test_a_grid_has_every_point_once() -> None:
    space = {
        "kind": parameter(type="categorical", values=["a", "b", True, 1]),
        "n": parameter(type="int", low=1, high=5, step=2),
        "x": parameter(type="float", low=0.1, high=0.3, step=0.1),
        "only": parameter(type="int", low=0, high=1, when={"kind": "a"}),
    }
    points = list(optunaspace.grid(space))
    assert len(points) == (2 + 3) * 3 * 3
    assert len({json.dumps(each, sort_keys=True) for each in points}) == len(points)
    assert all(optunaspace.contains(space, each) for each in points)
    assert {each["x"] for each in points} == {0.1, 0.2, 0.3}
    assert all(("only" in each) == (each["kind"] == "a") for each in points)


def test_a_condition_holds_for_every_choice() -> None:
    space = {
        "depth": parameter(type="int", low=1, high=3, when={"kind": "tree"}),
        "kind": parameter(type="categorical", values=["tree", "line"]),
    }
    kinds = set()
    for seed in range(20):
        chosen = point(space, seed)
        kinds.add(chosen["kind"])
        assert ("depth" in chosen) == (chosen["kind"] == "tree")
    assert kinds == {"tree", "line"}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"type": "float", "low": 1, "high": 1}, "must be less than high"),
        ({"type": "float", "low": 0, "high": 1, "scale": "log"}, "needs low > 0"),
        ({"type": "float", "low": 0, "high": 1, "scale": "reverse_log"}, "reverse_log"),
        ({"type": "float", "low": 0, "high": 1, "step": 0.3}, "do not lead from low 0 to high 1"),
        ({"type": "int", "low": 1, "high": 10, "step": 2}, "the last one before it is 9"),
        ({"type": "int", "low": 1, "high": 9, "step": 2, "scale": "log"}, "step goes with scale"),
        ({"type": "int", "low": 0.5, "high": 9}, "valid integer"),
        ({"type": "float", "low": 0, "high": math.inf}, "finite"),
        ({"type": "categorical", "values": ["a"]}, "at least 2"),
        ({"type": "categorical", "values": ["a", "a"]}, "twice"),
        ({"type": "choice", "values": ["a", "b"]}, "categorical"),
    ],
)
def test_parameters_that_cannot_be(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        PARAMETER.validate_python(said)


KINDS = {"type": "categorical", "values": ["a", "b"]}
NUMBER = {"type": "float", "low": 0, "high": 1}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"space": {"x": {**NUMBER, "when": {"kind": "a"}}}}, "no value of a categorical"),
        ({"space": {"x": {**NUMBER, "when": {"k": "c"}}, "k": KINDS}}, "no value"),
        ({"space": {"x": NUMBER}, "strategy": "grid"}, "grid needs a step"),
        ({"space": {"x": NUMBER}, "hyperparameters": {"x": 1}}, "in space and in hyperparameters"),
        ({"space": {"x": NUMBER}, "objective": "los"}, "is not among metrics"),
    ],
)
def test_tunings_that_cannot_be(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        config(**{"space": {}, **said})


@pytest.mark.parametrize(
    ("space", "more", "problem"),
    [
        ({"x": {**NUMBER, "when": {"k": "a"}}, "k": KINDS}, {}, "no parameters that depend"),
        ({"x": {**NUMBER, "step": 0.5}}, {}, "without steps"),
        ({"x": {"type": "int", "low": 0, "high": 4, "step": 2}}, {}, "without steps"),
        ({"x": {"type": "int", "low": 0, "high": 40}}, {"strategy": "grid"}, "30 values of each"),
        ({"a name": NUMBER}, {}, "which the shell refuses"),
        ({"k": {"type": "categorical", "values": ["1e3", "b"]}}, {}, "would reach the script as"),
    ],
)
def test_what_sagemaker_cannot_search_is_refused(
    space: dict[str, Any], more: dict[str, Any], problem: str
) -> None:
    made = config(space, **more)
    with pytest.raises(StageError, match=problem) as caught:
        awsspace.ranges(made.space, made.strategy)
    assert caught.value.fix
