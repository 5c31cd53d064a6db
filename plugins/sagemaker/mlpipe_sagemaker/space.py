"""The search space: one form, lowered to Optuna and to SageMaker exactly or not at all."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlpipe import Scalar


class _Parameter(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    when: dict[str, Scalar] | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="Only where another, categorical parameter has this value.",
    )


class FloatParameter(_Parameter):
    """A real number, both ends included."""

    type: Literal["float"] = Field(description="A real number.")
    low: float = Field(description="The least value.")
    high: float = Field(description="The greatest value.")
    scale: Literal["linear", "log", "reverse_log"] = Field(
        default="linear", description="How values are spread; reverse_log is dense towards 1."
    )
    step: float | None = Field(
        default=None, gt=0, description="Between two values; it leads from low to high exactly."
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _check_range(self.low, self.high, self.scale, self.step)
        if self.scale == "reverse_log" and not 0 <= self.low < self.high < 1:
            raise ValueError("scale: reverse_log is for ranges within 0 ≤ low < high < 1")
        return self


class IntParameter(_Parameter):
    """A whole number, both ends included."""

    type: Literal["int"] = Field(description="A whole number.")
    low: int = Field(description="The least value.")
    high: int = Field(description="The greatest value.")
    scale: Literal["linear", "log"] = Field(default="linear", description="How values are spread.")
    step: int | None = Field(
        default=None, ge=1, description="Between two values; it leads from low to high exactly."
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _check_range(self.low, self.high, self.scale, self.step)
        return self


class CategoricalParameter(_Parameter):
    """One of some values, whose types are kept."""

    type: Literal["categorical"] = Field(description="One of some values.")
    values: list[Scalar] = Field(
        min_length=2, max_length=30, description="The values; their types are kept."
    )

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len({(type(value), value) for value in self.values}) < len(self.values):
            raise ValueError("values: one is there twice")
        return self


Parameter = Annotated[
    FloatParameter | IntParameter | CategoricalParameter, Field(discriminator="type")
]


def _check_range(low: float, high: float, scale: str, step: float | None) -> None:
    if not low < high:
        raise ValueError(f"low {low:g} must be less than high {high:g}")
    if scale == "log" and low <= 0:
        raise ValueError(f"scale: log needs low > 0, not {low:g}")
    if step is not None and scale != "linear":
        raise ValueError(f"step goes with scale: linear, not {scale}")
    if step is None:
        return
    steps = (Decimal(repr(high)) - Decimal(repr(low))) / Decimal(repr(step))
    if steps < 1 or steps != steps.to_integral_value():
        raise ValueError(
            f"steps of {step:g} do not lead from low {low:g} to high {high:g}: the last one before "
            f"it is {low + int(steps) * step:g}"
        )


def check_space(space: Mapping[str, Parameter], strategy: str) -> None:
    """Look whether a space's parameters go together, and with the strategy.

    Raises:
        ValueError: They do not.
    """
    for name, parameter in space.items():
        for other, value in (parameter.when or {}).items():
            parent = space.get(other)
            if not isinstance(parent, CategoricalParameter) or value not in parent.values:
                raise ValueError(
                    f'{name}: when names "{other}: {value}", which is no value of a categorical '
                    "parameter of this space"
                )
            if parent.when is not None:
                raise ValueError(f'{name}: when names "{other}", which has a when itself')
        if strategy == "grid" and isinstance(parameter, FloatParameter) and parameter.step is None:
            raise ValueError(f"{name}: strategy: grid needs a step")
