"""Schemas of what recipes say to plugins: the base classes and the field types.

A field's type says what its value is, and so what the core does with it: ``Script``,
``Function`` and ``Notebook`` are traced through the project's imports, an ``InputFile`` is
digested, an ``OutputPath`` is checked for clashes. A plain ``str`` or ``Path`` is only a value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Final, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

from mlpipe.types import Permission, Target, Usage


class Role(StrEnum):
    """What a field's value is to the core."""

    SCRIPT = "script"
    FUNCTION = "function"
    NOTEBOOK = "notebook"
    INPUT_FILE = "input-file"
    OUTPUT_PATH = "output-path"
    SECRET_NAME = "secret-name"


def _field(role: Role, **extra: Any) -> Any:
    return Field(json_schema_extra={"x-mlpipe": role.value}, **extra)


_FUNCTION_PATTERN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"

#: A Python file of the project. It and what it imports from the project are fingerprinted.
Script = Annotated[str, _field(Role.SCRIPT), Role.SCRIPT]
#: ``module:function``, importable from the project root. Fingerprinted like a script.
Function = Annotated[str, _field(Role.FUNCTION, pattern=_FUNCTION_PATTERN), Role.FUNCTION]
#: A Jupyter notebook of the project. Its code cells, and what they import from the project, are
#: fingerprinted; outputs, execution counts and text are not.
Notebook = Annotated[str, _field(Role.NOTEBOOK, pattern=r"\.ipynb$"), Role.NOTEBOOK]
#: A file or folder of the project that the stage reads. Its bytes are fingerprinted.
InputFile = Annotated[str, _field(Role.INPUT_FILE), Role.INPUT_FILE]
#: Where an output is placed, relative to the project root.
OutputPath = Annotated[str, _field(Role.OUTPUT_PATH), Role.OUTPUT_PATH]
#: The name of a secret that the stage's ``secrets:`` lists.
SecretName = Annotated[str, _field(Role.SECRET_NAME), Role.SECRET_NAME]

#: What a hyperparameter or parameter may be.
Scalar = bool | int | float | str


class Open:
    """The type of ``OPEN``."""

    def __repr__(self) -> str:
        return "OPEN"


#: In ``Declares``: not known before the stage has run.
OPEN: Final = Open()


@dataclass(frozen=True, slots=True)
class Declares:
    """What a stage will produce, as far as its configuration tells.

    Attributes:
        outputs: Names of its artifacts, or ``OPEN``.
        metrics: Names of its metrics, or ``OPEN``.
        values: Names of its other values, or ``OPEN``.
    """

    outputs: tuple[str, ...] | Open = OPEN
    metrics: tuple[str, ...] | Open = OPEN
    values: tuple[str, ...] | Open = OPEN


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    def roles(self) -> Iterator[tuple[tuple[str | int, ...], Role, str]]:
        """Yield (path of the field, role, value) for each value that has a role."""
        return iter(self._roles)

    @cached_property
    def _roles(self) -> tuple[tuple[tuple[str | int, ...], Role, str], ...]:
        return tuple(_walk(self, type(self), ()))


class ObserverConfig(_Config):
    """The base of an observer's settings, the block under ``observers:``.

    A ``SecretName`` in it names a variable of the environment that no stage gets unless it lists
    it too, and whose value is masked everywhere.

    Attributes:
        notifies: Whether the observer serves the channels of the recipe's ``notify:``, which it is
            given as ``channels``. It then acts in every recipe that has some.
    """

    notifies: ClassVar[bool] = False


class StageConfig(_Config):
    """The base of a verb's settings, the block under ``with:``.

    Attributes:
        backends: Types of target that the verb has a backend of its own for. A verb that has
            none runs on this machine under any target.
    """

    backends: ClassVar[tuple[str, ...]] = ()

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """Say what the stage will produce. Pure: reads nothing but itself.

        Args:
            inputs: The stage's inputs, each name with its ``stage.output``.

        Raises:
            ValueError: The configuration does not go with these inputs; the message is shown
                as a problem of the recipe, at the stage's ``with:``.
        """
        return Declares()

    def sources(self) -> tuple[str, ...]:
        """Paths and glob patterns of further project files that enter the fingerprint.

        For what no field type can say, as the files that a command line mentions; what does
        not exist is left out. A Python file among them is traced.
        """
        return ()

    def outside(self) -> bool:
        """Whether the stage reads what is outside the project, so that ``resolve`` must be asked.

        Asking takes a process, and under ``--offline`` the stage counts as changed.
        """
        return True

    def unkept(self, root: Path, place: str, digest: str) -> str:
        """Say why an output that is whole cannot be taken from the cache, or ``""``.

        For what a stage leaves beside its outputs, as the file that has DVC track one. Asked of
        outputs that are referred to, not stored. As quick as a look at a file.

        Args:
            root: The project's folder.
            place: Where the output is, relative to the root.
            digest: Of its bytes.
        """
        return ""

    def worst_case(self, target: Target, root: Path) -> tuple[Usage, ...]:
        """Say what one attempt may use, at most, of what is paid by the hour.

        Asked while planning, for stages that will run. It may read files of the project.

        Args:
            target: Where the stage runs.
            root: The project's folder.

        Raises:
            UserError: The target's settings are wrong.
        """
        return ()

    def permissions(self, target: Target, inputs: Mapping[str, str]) -> tuple[Permission, ...]:
        """Say what the stage may do at a cloud provider: no more than it needs.

        Args:
            target: Where the stage runs.
            inputs: The stage's inputs, each name with its ``stage.output``.

        Raises:
            UserError: The target's settings are wrong.
        """
        return ()

    def parameters(self) -> tuple[str, ...]:
        """Dotted names of recipe parameters that the stage's code reads at run time.

        ``stage.params`` holds these and no others, so that what a stage can read is in its
        fingerprint. Parameters that the recipe substitutes need not be listed.
        """
        return ()


def _walk(
    value: Any, annotation: Any, path: tuple[str | int, ...], role: Role | None = None
) -> Iterator[tuple[tuple[str | int, ...], Role, str]]:
    if isinstance(value, BaseModel):
        for name, field_annotation in _annotations(type(value)).items():
            yield from _walk(getattr(value, name), field_annotation, (*path, name))
        return
    if role is None and not _carries_roles(annotation):
        return
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extras = get_args(annotation)
        found = next((extra for extra in extras if isinstance(extra, Role)), role)
        yield from _walk(value, inner, path, found)
    elif origin in (Union, UnionType):
        for option in get_args(annotation):
            if _fits(value, option):
                yield from _walk(value, option, path, role)
                return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, get_args(annotation)[1], (*path, key), role)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _walk(item, get_args(annotation)[0], (*path, index), role)
    elif role is not None and isinstance(value, str):
        yield path, role, value


@cache
def _annotations(model: type[BaseModel]) -> dict[str, Any]:
    """Annotations of the fields that may hold a value with a role, markers included."""
    found = {}
    for name, info in model.model_fields.items():
        markers = [m for m in info.metadata if isinstance(m, Role)]
        annotation: Any = Annotated[info.annotation, *markers] if markers else info.annotation
        if _carries_roles(annotation):
            found[name] = annotation
    return found


@cache
def _carries_roles(annotation: Any) -> bool:
    if isinstance(annotation, Role):
        return True
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return issubclass(annotation, BaseModel) and bool(_annotations(annotation))
    return any(_carries_roles(part) for part in get_args(annotation))


def _fits(value: Any, option: Any) -> bool:
    if get_origin(option) is Annotated:
        option = get_args(option)[0]
    kind = get_origin(option) or option
    return isinstance(kind, type) and isinstance(value, kind)
