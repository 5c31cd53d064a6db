"""The search space in Optuna's terms, and back.

Optuna compares categorical values by ``==``, to which ``True`` is ``1``, and knows no reversed
logarithm: values go in as JSON, and one minus the value where the scale is reversed.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mlpipe import Scalar
from mlpipe_sagemaker.space import CategoricalParameter, FloatParameter, Parameter

if TYPE_CHECKING:
    import optuna

Space = Mapping[str, Parameter]


def distribution(parameter: Parameter) -> "optuna.distributions.BaseDistribution":
    """Give a parameter as Optuna's distribution of its encoded values."""
    from optuna import distributions

    if isinstance(parameter, CategoricalParameter):
        return distributions.CategoricalDistribution([json.dumps(v) for v in parameter.values])
    if isinstance(parameter, FloatParameter):
        if parameter.scale == "reverse_log":
            return distributions.FloatDistribution(1 - parameter.high, 1 - parameter.low, log=True)
        log = parameter.scale == "log"
        return distributions.FloatDistribution(
            parameter.low, parameter.high, log=log, step=parameter.step
        )
    log = parameter.scale == "log"
    return distributions.IntDistribution(
        parameter.low, parameter.high, log=log, step=parameter.step or 1
    )


def encode(parameter: Parameter, value: Scalar) -> Any:
    """Give a value as Optuna has it."""
    if isinstance(parameter, CategoricalParameter):
        return json.dumps(value)
    if isinstance(parameter, FloatParameter) and parameter.scale == "reverse_log":
        return 1 - float(value)
    return value


def decode(parameter: Parameter, value: Any) -> Scalar:
    """Give a value as the script has it: of the declared type, within the declared range."""
    if isinstance(parameter, CategoricalParameter):
        decoded: Scalar = json.loads(value)
        return decoded
    if isinstance(parameter, FloatParameter):
        plain = 1 - value if parameter.scale == "reverse_log" else value
        if parameter.step is not None:  # three steps of 0.1 are 0.3, not 0.30000000000000004
            points = _points(parameter)
            return min(points, key=lambda point: abs(float(point) - plain))
        return float(min(max(plain, parameter.low), parameter.high))
    return int(value)


def suggest(trial: "optuna.Trial", space: Space) -> dict[str, Scalar]:
    """Let Optuna choose a value for each parameter whose condition holds."""
    import optuna

    chosen: dict[str, Scalar] = {}
    for name in _parents_first(space):
        parameter = space[name]
        if not holds(parameter, chosen):
            continue
        kind: Any = distribution(parameter)
        if isinstance(kind, optuna.distributions.CategoricalDistribution):
            value: Any = trial.suggest_categorical(name, kind.choices)
        elif isinstance(kind, optuna.distributions.IntDistribution):
            value = trial.suggest_int(name, kind.low, kind.high, step=kind.step, log=kind.log)
        else:
            value = trial.suggest_float(name, kind.low, kind.high, step=kind.step, log=kind.log)
        chosen[name] = decode(parameter, value)
    return {name: chosen[name] for name in space if name in chosen}


def holds(parameter: Parameter, chosen: Mapping[str, Scalar]) -> bool:
    """Tell whether a parameter takes part, given those that others depend on."""
    return all(
        name in chosen and _same(chosen[name], value)
        for name, value in (parameter.when or {}).items()
    )


def contains(space: Space, values: Mapping[str, Scalar]) -> bool:
    """Tell whether values are a point of a space."""
    wanted = {name for name, parameter in space.items() if holds(parameter, values)}
    return wanted == set(values) and all(_within(space[n], v) for n, v in values.items())


def grid(space: Space) -> Iterator[dict[str, Scalar]]:
    """Yield every point of a space whose parameters all have steps or values, each once."""
    names = list(space)
    seen = set()
    for point in itertools.product(*(_points(space[name]) for name in names)):
        values = dict(zip(names, point, strict=True))
        kept = {name: value for name, value in values.items() if holds(space[name], values)}
        key = json.dumps(kept, sort_keys=True)
        if key not in seen:
            seen.add(key)
            yield kept


def _points(parameter: Parameter) -> list[Scalar]:
    if isinstance(parameter, CategoricalParameter):
        return list(parameter.values)
    if isinstance(parameter, FloatParameter):
        low, step = Decimal(repr(parameter.low)), Decimal(repr(parameter.step))
        count = int((Decimal(repr(parameter.high)) - low) / step)
        return [float(low + step * index) for index in range(count + 1)]
    return list(range(parameter.low, parameter.high + 1, parameter.step or 1))


def _within(parameter: Parameter, value: Scalar) -> bool:
    if isinstance(parameter, CategoricalParameter):
        return any(_same(value, each) for each in parameter.values)
    if isinstance(value, str | bool):
        return False
    inside = parameter.low <= value <= parameter.high
    if isinstance(parameter, FloatParameter):
        return inside and (parameter.step is None or float(value) in _points(parameter))
    return (
        inside and value == int(value) and int(value - parameter.low) % (parameter.step or 1) == 0
    )


def _same(one: Scalar, other: Scalar) -> bool:
    return type(one) is type(other) and one == other


def _parents_first(space: Space) -> list[str]:
    return sorted(space, key=lambda name: space[name].when is not None)
