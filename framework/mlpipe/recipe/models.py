"""The recipe's models: what each key means. The recipe reference is made from this file."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from mlpipe.plugins.durations import Delay, Duration

_NAME = r"^[A-Za-z][A-Za-z0-9_-]*$"
Name = Annotated[str, Field(pattern=_NAME)]

_USES = re.compile(r"[A-Za-z][\w-]*\.[A-Za-z_]\w*")
_REFERENCE = re.compile(r"[A-Za-z][\w-]*\.[A-Za-z_][\w-]*")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


_Listed = BeforeValidator(_listed, json_schema_input_type=list[str] | str)

#: A list, or its one member.
Names = Annotated[list[Name], BeforeValidator(_listed, json_schema_input_type=list[Name] | Name)]
Texts = Annotated[list[str], _Listed]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Retry(_Model):
    """Trying again after a failure.

    Attributes:
        attempts: How often in all.
        delay: Seconds before the second attempt.
        backoff: By how much each later wait is longer.
        max_delay: Seconds that no wait is longer than.
    """

    attempts: int = Field(3, ge=1, le=100)
    delay: Delay = 1.0
    backoff: float = Field(2.0, ge=1, allow_inf_nan=False)
    max_delay: Duration = 300.0

    def pause(self, attempt: int) -> float:
        """Give the seconds to wait after an attempt, the first being 1."""
        return float(min(self.delay * self.backoff ** (attempt - 1), self.max_delay))


def _retry(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"attempts": value}
    return value


class OnGateFailure(_Model):
    """What happens when a gate is missed, besides holding back what depends on it.

    Attributes:
        notify: Channels of ``notify:`` to tell.
        run: A recipe, by name or path, that is run afterwards: a run of its own, on the same
            target, whose own missed gates start no other.
    """

    notify: Names = []
    run: str | None = None


class Budget(_Model):
    """What a run may cost at most; checked before it starts.

    Attributes:
        money: In the price table's currency.
        instance_hours: Of all instances together.
    """

    money: float | None = Field(None, ge=0)
    instance_hours: float | None = Field(None, ge=0)


def _uses(value: str) -> str:
    if not _USES.fullmatch(value):
        raise ValueError("should be PLUGIN.VERB, as sagemaker.train")
    return value


def _env(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _bound(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(  # noqa: TRY004 - pydantic's
            f'{value} is no bound: write a sign and a number, as ">= {value}"'
        )
    return value


def _reference(value: str) -> str:
    if not _REFERENCE.fullmatch(value):
        raise ValueError("should be STAGE.OUTPUT, as data.train")
    return value


_REFERENCE_PATTERN = {"pattern": rf"^{_REFERENCE.pattern}$"}
_BOUND_PATTERN = {"pattern": r"^\s*(>=|<=|==|>|<)\s*\S+\s*$"}

#: ``STAGE.OUTPUT``.
Output = Annotated[str, AfterValidator(_reference), Field(json_schema_extra=_REFERENCE_PATTERN)]
#: A bound on a metric, as ``>= 0.94``.
Bound = Annotated[str, BeforeValidator(_bound), Field(json_schema_extra=_BOUND_PATTERN)]
#: A variable's value; a number or a boolean is written out.
Variable = Annotated[str, BeforeValidator(_env, json_schema_input_type=str | int | float | bool)]


class StageSpec(_Model):
    """A stage: one verb of one plugin, with its settings, inputs and rules.

    Attributes:
        uses: ``PLUGIN.VERB``.
        with_: The plugin's settings (``mlpipe plugins show PLUGIN.VERB``).
        inputs: Outputs of earlier stages, by the name they have in this one.
        needs: Stages that come before this one although no data is taken from them.
        gate: Bounds on metrics, as ``accuracy: ">= 0.94"``.
        on_gate_failure: Whom to tell, and what to run, when a bound is missed.
        retry: Trying again after a failure; a number is that many attempts in all.
        timeout: How long an attempt may take, as ``90``, ``10m`` or ``1h30m``.
        cache: Whether an unchanged stage is skipped.
        when: Whether the stage takes part: ``true``, ``false`` or a comparison.
        env: Environment variables to set.
        secrets: Names of environment variables that hold secrets: the stage gets them, no
            other stage does, and their values are masked everywhere.
        files: Patterns of further project files that the stage reads.
    """

    uses: Annotated[str, AfterValidator(_uses)]
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")
    inputs: dict[Name, Output] = {}
    needs: Names = []
    gate: dict[str, Bound] = {}
    on_gate_failure: OnGateFailure | None = None
    retry: Annotated[
        Retry | None, BeforeValidator(_retry, json_schema_input_type=Retry | int | None)
    ] = None
    timeout: Duration | None = None
    cache: bool = True
    when: bool | str = True
    env: dict[str, Variable] = {}
    secrets: Texts = []
    files: Texts = []


class TargetSpec(BaseModel):
    """Where to run. Keys beyond ``type`` are settings that plugins read, as region and role.

    Attributes:
        type: ``local`` or ``aws``; the target's name where that is one of them.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    type: Literal["local", "aws"] | None = None

    def settings(self) -> dict[str, Any]:
        """Give all keys but ``type``."""
        return dict(self.model_extra or {})


def _settings(value: object) -> object:
    return {} if value is None else value


#: Settings of a plugin or channel; none where nothing is written.
Settings = Annotated[
    dict[str, Any], BeforeValidator(_settings, json_schema_input_type=dict[str, Any] | None)
]


class Recipe(_Model):
    """A pipeline: its stages, and what they share.

    Attributes:
        name: What it is called; the file's name when left out.
        description: For people.
        extends: Another recipe, relative to this one; this one is laid over it, and ``null``
            removes.
        params: Parameters, which ``${params.NAME}`` refers to and ``--set`` overrides.
        targets: Where it can run, by name. ``local`` is always there.
        observers: Plugins that are told what happens, with their settings.
        notify: Channels of notification, by name, with the settings of the plugin that notifies.
        budget: What a run may cost at most.
        executor: Who runs stages; ``local`` when left out. A mapping of one name holds settings.
        preload: Python modules that every stage imports; imported once before the first.
        stages: The stages, by name.
    """

    name: Name
    description: str = ""
    extends: str | None = None
    params: dict[Name, Any] = {}
    targets: dict[
        Name,
        Annotated[TargetSpec, BeforeValidator(_settings, json_schema_input_type=TargetSpec | None)],
    ] = {}
    observers: dict[Name, Settings] = {}
    notify: dict[Name, Settings] = {}
    budget: Budget | None = None
    executor: str | Mapping[str, Any] | None = None
    preload: Texts = []
    stages: dict[Name, StageSpec] = Field(min_length=1)
