"""The search space at SageMaker: lowered exactly, or refused with the reason."""

import importlib.util
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mlpipe import Scalar, StageError
from mlpipe_sagemaker import awsspace, starter
from mlpipe_sagemaker.environment import arguments
from mlpipe_sagemaker.space import (
    CategoricalParameter,
    FloatParameter,
    Parameter,
    check_space,
)

_DRIVERS = Path("train", "container_drivers")
_PARAMETER: TypeAdapter[Parameter] = TypeAdapter(Parameter)


def parameter(**facts: Any) -> Parameter:
    return _PARAMETER.validate_python(facts)


def _module(name: str) -> ModuleType:
    """Load a driver as a container does, by its path: importing the SDK takes long."""
    found = importlib.util.find_spec("sagemaker")
    assert found is not None
    assert found.submodule_search_locations is not None
    path = Path(found.submodule_search_locations[0]) / _DRIVERS / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"driver_{Path(name).name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def drivers() -> ModuleType:
    """The SDK's own code that makes arguments of hyperparameters, in containers."""
    return _module("common/utils")


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,12}", fullmatch=True).filter(
    lambda name: not name.startswith("sagemaker_")
)
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
    st.sampled_from(["1", "1e3", "true", "null", "[1,2]", '"a"', "it's", "NaN", "a b", "ü", ""]),
)


@st.composite
def floats(draw: st.DrawFn) -> Parameter:
    scale = draw(st.sampled_from(["linear", "log", "reverse_log"]))
    bounds = {
        "linear": NUMBERS,
        "log": st.floats(1e-12, 1e6),
        "reverse_log": st.floats(0, 1, exclude_max=True),
    }
    low, high = sorted(draw(st.lists(bounds[scale], min_size=2, max_size=2, unique=True)))
    return parameter(type="float", low=low, high=high, scale=scale)


@st.composite
def integers(draw: st.DrawFn) -> Parameter:
    scale = draw(st.sampled_from(["linear", "log"]))
    least = 1 if scale == "log" else -(10**15)
    ends = st.integers(least, 10**15)
    low, high = sorted(draw(st.lists(ends, min_size=2, max_size=2, unique=True)))
    return parameter(type="int", low=low, high=high, scale=scale)


@st.composite
def categories(draw: st.DrawFn) -> Parameter:
    values = draw(
        st.lists(SCALARS, min_size=2, max_size=6, unique_by=lambda value: (type(value), value))
    )
    return parameter(type="categorical", values=values)


SPACES = st.dictionaries(
    NAMES, st.one_of(floats(), integers(), categories()), min_size=1, max_size=4
)


def chosen(draw: Any, lowered: Mapping[str, Any]) -> dict[str, str]:
    """Choose as SageMaker does: within the ranges, as texts."""
    texts = {}
    for each in lowered.get("ContinuousParameterRanges", ()):
        value = draw(st.floats(float(each["MinValue"]), float(each["MaxValue"])))
        texts[each["Name"]] = repr(value)
    for each in lowered.get("IntegerParameterRanges", ()):
        texts[each["Name"]] = str(draw(st.integers(int(each["MinValue"]), int(each["MaxValue"]))))
    for each in lowered.get("CategoricalParameterRanges", ()):
        texts[each["Name"]] = draw(st.sampled_from(each["Values"]))
    return texts


def argv(drivers: ModuleType, texts: Mapping[str, str]) -> list[str]:
    """Give the script's arguments in a container: of the starter, then of the SDK's driver."""
    told = {"sagemaker_program": '"x.py"', "_tuning_objective_metric": "loss", **texts}
    lines = starter.script("source /opt/ml/input/sm_training.env\n", told).splitlines()
    (exported,) = (line for line in lines if line.startswith("export SM_HPS="))
    (hps,) = shlex.split(exported.removeprefix("export SM_HPS="))
    found: list[str] = drivers.hyperparameters_to_cli_args(json.loads(hps))
    return found


def lowered_or_refused(space: Mapping[str, Parameter]) -> dict[str, Any] | StageError:
    try:
        return awsspace.ranges(space, "bayesian")
    except StageError as error:
        return error


@settings(max_examples=100, deadline=None)
@given(data=st.data(), space=SPACES)
def test_a_trial_is_the_same_at_sagemaker_or_the_space_is_refused(
    drivers: ModuleType, data: st.DataObject, space: dict[str, Parameter]
) -> None:
    lowered = lowered_or_refused(space)
    if isinstance(lowered, StageError):
        assert str(lowered.where).startswith("with.space.")
        assert lowered.fix
        assert refusable(drivers, space)
        return
    texts = chosen(data.draw, lowered)
    values = awsspace.decode(space, texts)
    assert list(values) == list(space)
    for name, each in space.items():
        assert within(each, values[name])
    assert argv(drivers, texts) == arguments(values)


def within(each: Parameter, value: Scalar) -> bool:
    if isinstance(each, CategoricalParameter):
        return any(type(value) is type(known) and value == known for known in each.values)
    assert not isinstance(value, str)
    wanted = float if isinstance(each, FloatParameter) else int
    return type(value) is wanted and each.low <= value <= each.high


def refusable(drivers: ModuleType, space: Mapping[str, Parameter]) -> bool:
    """Tell whether some value would not reach the script as it does here, in truth."""
    values = [
        (name, value)
        for name, each in space.items()
        if isinstance(each, CategoricalParameter)
        for value in each.values
    ]
    return any(
        argv(drivers, {name: json.dumps(value)}) != arguments({name: value})
        or "'" in str(value)
        or "\0" in str(value)
        or len(json.dumps(value)) > 256
        for name, value in values
    )


@settings(max_examples=50, deadline=None)
@given(space=SPACES)
def test_scales_and_bounds_are_kept(space: dict[str, Parameter]) -> None:
    numbers = {n: p for n, p in space.items() if not isinstance(p, CategoricalParameter)}
    if not numbers:
        return
    lowered = awsspace.ranges(numbers, "random")
    found = {each["Name"]: each for kind in lowered.values() for each in kind}
    scales = {"linear": "Linear", "log": "Logarithmic", "reverse_log": "ReverseLogarithmic"}
    assert found.keys() == numbers.keys()
    for name, each in numbers.items():
        assert type(each.low)(found[name]["MinValue"]) == each.low
        assert type(each.high)(found[name]["MaxValue"]) == each.high
        assert found[name]["ScalingType"] == scales[each.scale]


@given(
    low=st.integers(-50, 50), steps=st.integers(1, 29), step=st.sampled_from([0.1, 0.25, 1.0, 2.0])
)
def test_a_grid_is_its_points(low: int, steps: int, step: float) -> None:
    high = round(low + steps * step, 10)
    space = {"x": parameter(type="float", low=low, high=high, step=step)}
    check_space(space, "grid")
    lowered = awsspace.ranges(space, "grid")
    (found,) = lowered["CategoricalParameterRanges"]
    values = [json.loads(text) for text in found["Values"]]
    assert len(values) == steps + 1
    assert all(math.isclose(v, low + i * step, abs_tol=1e-9) for i, v in enumerate(values))
    assert all(isinstance(value, float) for value in values)
    assert [awsspace.decode(space, {"x": text})["x"] for text in found["Values"]] == values
    assert awsspace.trials(space, "grid", 30) == steps + 1


@pytest.mark.parametrize(
    ("space", "strategy", "where", "said"),
    [
        (
            {
                "kind": {"type": "categorical", "values": ["a", "b"]},
                "x": {"type": "int", "low": 1, "high": 2, "when": {"kind": "a"}},
            },
            "bayesian",
            "with.space.x.when",
            "no parameters that depend on others",
        ),
        (
            {"x": {"type": "float", "low": 0, "high": 1, "step": 0.25}},
            "random",
            "with.space.x.step",
            r"not in steps of 0\.25",
        ),
        (
            {"x": {"type": "int", "low": 0, "high": 8, "step": 2}},
            "hyperband",
            "with.space.x.step",
            "write the values",
        ),
        (
            {"x": {"type": "int", "low": 0, "high": 1000}},
            "grid",
            "with.space.x",
            "30 values of each, not 1001",
        ),
        ({"a.b": {"type": "int", "low": 0, "high": 8}}, "random", "with.space.a.b", "the shell"),
        (
            {"sagemaker_x": {"type": "int", "low": 0, "high": 8}},
            "random",
            "with.space.sagemaker_x",
            "for itself",
        ),
        (
            {"x": {"type": "categorical", "values": ["a", "1e3"]}},
            "random",
            "with.space.x",
            r"would reach the script as 1000\.0",
        ),
        (
            {"x": {"type": "categorical", "values": ["a", "it's"]}},
            "random",
            "with.space.x",
            "single quotes",
        ),
        (
            {"x": {"type": "categorical", "values": ["a", "b" * 300]}},
            "random",
            "with.space.x",
            "at most 256 characters",
        ),
        (
            {f"x{n}": {"type": "int", "low": 0, "high": 8} for n in range(31)},
            "random",
            "with.space",
            "30 hyperparameters at most, not 31",
        ),
    ],
)
def test_what_sagemaker_cannot_search_is_refused(
    space: dict[str, Any], strategy: str, where: str, said: str
) -> None:
    parameters = {name: parameter(**facts) for name, facts in space.items()}
    with pytest.raises(StageError, match=said) as caught:
        awsspace.ranges(parameters, strategy)
    assert caught.value.where == where


def test_a_step_of_one_is_what_a_whole_number_has() -> None:
    plain = {"x": parameter(type="int", low=0, high=8)}
    stepped = {"x": parameter(type="int", low=0, high=8, step=1)}
    assert awsspace.ranges(plain, "random") == awsspace.ranges(stepped, "random")


def test_a_grid_is_tried_as_a_whole() -> None:
    space = {
        "depth": parameter(type="int", low=1, high=3),
        "kind": parameter(type="categorical", values=["a", "b"]),
    }
    assert awsspace.trials(space, "grid", 10) == 6
    assert awsspace.trials(space, "random", 10) == 10
    with pytest.raises(StageError, match="the grid has 6 points"):
        awsspace.trials(space, "grid", 5)


def test_hyperband_must_know_the_epochs() -> None:
    found = awsspace.strategy_config("hyperband", {"rate": 0.1, "n_epochs": 27})
    assert found == {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 27}}
    for given_ in ({}, {"epochs": "27"}, {"epochs": 0}, {"epochs": True}, {"epochs": 20_001}):
        with pytest.raises(StageError, match="how many epochs"):
            awsspace.strategy_config("hyperband", given_)
    assert awsspace.strategy_config("bayesian", {}) == {}


def test_algorithms_get_plain_texts() -> None:
    space = {"booster": parameter(type="categorical", values=["gbtree", "dart", 3])}
    lowered = awsspace.ranges(space, "random", scripted=False)
    (found,) = lowered["CategoricalParameterRanges"]
    assert found["Values"] == ["gbtree", "dart", "3"]
    assert awsspace.decode(space, {"booster": "3"}, scripted=False) == {"booster": 3}
    twice = {"x": parameter(type="categorical", values=["1", 1])}
    with pytest.raises(StageError, match="two values are the same text"):
        awsspace.ranges(twice, "random", scripted=False)
    assert awsspace.ranges(twice, "random")["CategoricalParameterRanges"][0]["Values"] == [
        '"1"',
        "1",
    ]


@pytest.mark.parametrize(
    ("facts", "text", "value"),
    [
        ({"type": "int", "low": 1, "high": 9}, "7", 7),
        ({"type": "int", "low": 1, "high": 9}, "7.0", 7),
        ({"type": "int", "low": 1, "high": 2**60}, str(2**53 + 1), 2**53 + 1),
        ({"type": "float", "low": 0, "high": 9}, "7", 7.0),
        ({"type": "float", "low": 0, "high": 9}, "1.0E-4", 0.0001),
        ({"type": "categorical", "values": [True, 1, "1", 1.0]}, "true", True),
        ({"type": "categorical", "values": [True, 1, "1", 1.0]}, "1", 1),
        ({"type": "categorical", "values": [True, 1, "1", 1.0]}, '"1"', "1"),
        ({"type": "categorical", "values": [True, 1, "1", 1.0]}, "1.0", 1.0),
    ],
)
def test_values_come_back_with_their_types(facts: Any, text: str, value: Scalar) -> None:
    found = awsspace.decode({"x": parameter(**facts)}, {"x": text})["x"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"type": "int", "low": 1, "high": 9}, "7.5"),
        ({"type": "float", "low": 0, "high": 9}, "much"),
        ({"type": "categorical", "values": ["a", "b"]}, '"c"'),
    ],
)
def test_what_was_never_asked_for_is_said(facts: Any, text: str) -> None:
    with pytest.raises(StageError, match="which is no value of this parameter"):
        awsspace.decode({"x": parameter(**facts)}, {"x": text})


def test_the_limits_are_those_of_the_services_model() -> None:
    import botocore.session

    model = botocore.session.get_session().get_service_model("sagemaker")
    limits = {
        "CategoricalParameterRanges": awsspace._RANGES,
        "IntegerParameterRanges": awsspace._RANGES,
        "ContinuousParameterRanges": awsspace._RANGES,
        "ParameterValues": awsspace._VALUES,
        "ParameterValue": awsspace._LONGEST_VALUE,
        "HyperParameters": awsspace._HYPERPARAMETERS,
    }
    assert {name: model.shape_for(name).metadata["max"] for name in limits} == limits


def test_the_starter_hands_on_what_is_the_scripts_own(tmp_path: Path) -> None:
    text = 'set -e\nsource /opt/ml/input/sm_training.env\necho "$SM_HPS"\n'
    told = {"b": "true", "a": '"it is $HOME"', "sagemaker_program": '"mlpipe_start.py"'}
    script = starter.script(text, told).replace("source /opt/ml/input/sm_training.env", "")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"a": "it is $HOME", "b": True}
    with pytest.raises(SystemExit, match="not as expected"):
        starter.script("echo", told)


def test_the_starter_goes_with_the_sdks_script() -> None:
    code = (
        "from sagemaker.train.templates import TRAIN_SCRIPT_TEMPLATE as t\n"
        "from mlpipe_sagemaker.starter import script\n"
        "print(script(t, {'x': '1'}).count('export SM_HPS='))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
