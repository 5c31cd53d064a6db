"""Lengths of time, as recipes write them."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd]\s*)+")


def _seconds(value: object) -> object:
    if isinstance(value, str) and _DURATION.fullmatch(value.strip()):
        parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", value)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    if isinstance(value, str):
        raise ValueError("should be seconds, or a text like 10m or 1h30m")  # noqa: TRY004 - pydantic's
    return value


_DurationText = Annotated[str, Field(pattern=rf"^\s*{_DURATION.pattern}$")]
_AnySeconds = Annotated[float, Field(ge=0)] | _DurationText
_Seconds = BeforeValidator(_seconds, json_schema_input_type=_AnySeconds)

#: Seconds as a number, or a text like ``10m`` or ``1h30m``.
Duration = Annotated[float, Field(gt=0, allow_inf_nan=False), _Seconds]
#: The same, and zero.
Delay = Annotated[float, Field(ge=0, allow_inf_nan=False), _Seconds]
