"""The search space in SageMaker's terms, and back: exactly, or not at all.

SageMaker knows ranges of numbers with a scale, and categories; it has no conditions and no steps,
and its grid search knows categories only. All values are texts there. The drivers of its SDK, as
its framework images, read a text as JSON: a category goes in as JSON and reaches the script with
its type. What they would not hand on as a local training does is refused.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from mlpipe import Scalar, StageError
from mlpipe_sagemaker.environment import arguments
from mlpipe_sagemaker.optunaspace import grid
from mlpipe_sagemaker.space import CategoricalParameter, FloatParameter, IntParameter, Parameter

#: The service's own limits: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
_RANGES, _VALUES, _LONGEST_VALUE, _HYPERPARAMETERS = 30, 30, 256, 100
_LONGEST_EPOCHS = 20_000
_SCALES = {"linear": "Linear", "log": "Logarithmic", "reverse_log": "ReverseLogarithmic"}
#: The script's variables are called SM_HP_<NAME>, so that a shell must take the name.
_NAME = re.compile(r"[A-Za-z0-9_-]+")
#: What the images' toolkit and the service keep for themselves.
_TAKEN = ("sagemaker_", "_tuning_objective_metric")
#: Where SageMaker looks for the resource that Hyperband shares out.
_EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")

Space = Mapping[str, Parameter]


def ranges(space: Space, strategy: str, *, scripted: bool = True) -> dict[str, Any]:
    """Give a space as ``ParameterRanges``.

    Args:
        space: What is searched, by hyperparameter.
        strategy: ``random``, ``grid``, ``bayesian`` or ``hyperband``.
        scripted: Whether a script is trained, not with what an image brings.

    Raises:
        StageError: SageMaker cannot search this space; says which parameter is in the way.
    """
    if len(space) > _RANGES:
        raise StageError(
            f"SageMaker searches {_RANGES} hyperparameters at most, not {len(space)}",
            where="with.space",
            fix="Keep some of them as they are: with.hyperparameters.",
        )
    lowered: dict[str, Any] = {}
    for name, parameter in space.items():
        if scripted:
            check_name(name, f"with.space.{name}")
        kind, found = _range(name, parameter, strategy, scripted)
        lowered.setdefault(f"{kind}ParameterRanges", []).append({"Name": name, **found})
    return lowered


def _range(
    name: str, parameter: Parameter, strategy: str, scripted: bool
) -> tuple[str, dict[str, Any]]:
    """Give a parameter as the kind of its range, and the range."""
    where = f"with.space.{name}"
    if parameter.when is not None:
        raise StageError(
            "SageMaker knows no parameters that depend on others",
            where=f"{where}.when",
            fix="Tune each case in a stage of its own, or tune on the target local.",
        )
    if strategy == "grid" or isinstance(parameter, CategoricalParameter):
        return "Categorical", {"Values": _texts(_values(name, parameter), where, scripted)}
    kind = "Integer" if isinstance(parameter, IntParameter) else "Continuous"
    if parameter.step is not None and not (kind == "Integer" and parameter.step == 1):
        raise StageError(
            f"SageMaker searches numbers without steps, not in steps of {parameter.step:g}",
            where=f"{where}.step",
            fix="Leave step out; or say type: categorical and write the values, whose order "
            "SageMaker then does not know; or say strategy: grid.",
        )
    low, high = encode(parameter.low), encode(parameter.high)
    return kind, {"MinValue": low, "MaxValue": high, "ScalingType": _SCALES[parameter.scale]}


def _values(name: str, parameter: Parameter) -> list[Scalar]:
    """Give a parameter's values one by one: a grid tries them all, in whatever order."""
    if isinstance(parameter, CategoricalParameter):
        return list(parameter.values)
    steps = (parameter.high - parameter.low) / (parameter.step or 1)
    if steps >= _VALUES:
        raise StageError(
            f"SageMaker's grid takes {_VALUES} values of each, not {int(steps) + 1}",
            where=f"with.space.{name}",
            fix="Make the steps longer, or choose another strategy.",
        )
    return [point[name] for point in grid({name: parameter})]


def _texts(values: list[Scalar], where: str, scripted: bool) -> list[str]:
    texts = [encode(value, scripted=scripted) for value in values]
    for value, text in zip(values, texts, strict=True):
        if scripted:
            check_value(value, where)
        if len(text) > _LONGEST_VALUE or "\n" in text:
            raise StageError(
                f"SageMaker's categories are one line of at most {_LONGEST_VALUE} characters, as "
                f"JSON; {text[:20]}… is not",
                where=where,
                fix="Give the script a short name, and look the long value up there.",
            )
    if len(set(texts)) < len(texts):
        raise StageError(
            "two values are the same text, and images' own programs know texts only",
            where=where,
            fix="Keep one of them.",
        )
    return texts


def check_name(name: str, where: str) -> None:
    """Look whether a hyperparameter reaches the script.

    Raises:
        StageError: It does not.
    """
    if not _NAME.fullmatch(name):
        raise StageError(
            f'SageMaker\'s drivers make a variable of the name "{name}", which the shell refuses',
            where=where,
            fix="Use letters, digits, _ and -.",
        )
    if name.startswith(_TAKEN):
        raise StageError(
            f'SageMaker keeps names that begin with "sagemaker_" and {_TAKEN[1]} for itself',
            where=where,
            fix="Call it something else.",
        )


def check_value(value: Scalar, where: str) -> None:
    """Look whether a value reaches the script as it does here.

    The drivers read a text as JSON twice, and put it between single quotes for a shell.

    Raises:
        StageError: It does not.
    """
    (_, here) = arguments({"value": value})
    there = _handed_on(encode(value))
    if there != here:
        raise StageError(
            f'the text "{here}" would reach the script as {there}: SageMaker\'s drivers read texts '
            "as JSON where they can",
            where=where,
            fix=f"Write {there}.",
        )
    if "'" in here or "\0" in here:
        raise StageError(
            f'"{here}" cannot be handed on: SageMaker\'s drivers put it between single quotes',
            where=where,
            fix="Do without the character.",
        )


def _handed_on(text: str) -> str:
    """Give the argument that the drivers make of a hyperparameter's text."""
    value = _read(_read(text))
    return value if isinstance(value, str) else json.dumps(value)


def _read(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def encode(value: Scalar, *, scripted: bool = True) -> str:
    """Give a value as SageMaker has it: as JSON; a text for an image's own program as it is."""
    return value if isinstance(value, str) and not scripted else json.dumps(value)


def decode(space: Space, tuned: Mapping[str, str], *, scripted: bool = True) -> dict[str, Scalar]:
    """Give what SageMaker chose, with the declared types.

    Args:
        space: What was searched.
        tuned: ``TunedHyperParameters`` of a training job.
        scripted: As with ``ranges``.

    Raises:
        StageError: A value is none of the space's.
    """
    return {name: _decoded(name, space[name], tuned[name], scripted) for name in space}


def _decoded(name: str, parameter: Parameter, text: str, scripted: bool) -> Scalar:
    try:
        if isinstance(parameter, CategoricalParameter):
            known = {encode(value, scripted=scripted): value for value in parameter.values}
            return known[text]
        number = float(_read(text))
        if isinstance(parameter, FloatParameter):
            return number
        return _whole(text, number)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise StageError(
            f"SageMaker says it tried {text!r}, which is no value of this parameter",
            where=f"with.space.{name}",
        ) from None


def _whole(text: str, number: float) -> int:
    """Give a whole number that is written as ``7`` or ``7.0``; a long one is no float."""
    if re.fullmatch(r"-?\d+", text.strip()):
        return int(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def trials(space: Space, strategy: str, budget: int) -> int:
    """Give how many trials there will be.

    Raises:
        StageError: A grid has more points than the budget allows: SageMaker tries all of them.
    """
    if strategy != "grid":
        return budget
    points = math.prod(len(_values(name, parameter)) for name, parameter in space.items())
    if points > budget:
        raise StageError(
            f"the grid has {points} points, all of which SageMaker tries, and the budget is for "
            f"{budget} trials",
            where="with.budget.trials",
            fix=f"Say trials: {points}, or make the grid smaller.",
        )
    return points


def strategy_config(strategy: str, hyperparameters: Mapping[str, Scalar]) -> dict[str, Any]:
    """Give what a strategy needs beside its name.

    Raises:
        StageError: Hyperband does not know how long a training can become.
    """
    if strategy != "hyperband":
        return {}
    found = next((hyperparameters[name] for name in _EPOCHS if name in hyperparameters), None)
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= _LONGEST_EPOCHS:
        raise StageError(
            "SageMaker's Hyperband must know how many epochs a whole training has",
            where="with.hyperparameters",
            fix=f"Add epochs: N (or {', '.join(_EPOCHS[1:])}), from 1 to {_LONGEST_EPOCHS}, and "
            "print the objective after each.",
        )
    return {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": found}}


def check_count(space: Space, hyperparameters: Mapping[str, str]) -> None:
    """Look whether a training job can have all these hyperparameters.

    Raises:
        StageError: They are too many.
    """
    # The service adds one, the objective's name.
    if (count := len(space) + len(hyperparameters) + 1) > _HYPERPARAMETERS:
        raise StageError(
            f"SageMaker's training jobs have {_HYPERPARAMETERS} hyperparameters at most, not "
            f"{count}",
            where="with.hyperparameters",
            fix="Give the script some of them in a file, through an input.",
        )
