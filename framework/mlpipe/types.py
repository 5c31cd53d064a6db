"""Values that every layer shares. Frozen, standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

#: What JSON can say.
Json = dict[str, Any] | list[Any] | str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A named, digested output of a stage.

    Attributes:
        name: The output's name within its stage.
        digest: ``sha256:<hex>`` or ``md5:<hex>`` of the bytes. A folder's digest is that
            of its sorted listing of relative paths and file digests; with MD5 it is DVC's,
            ``md5:<hex>.dir``.
        location: A path relative to the project root, an absolute path, or a URI.
        size: In bytes, where it is known.
    """

    name: str
    digest: str
    location: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One change to the outside world, described before it is made.

    Attributes:
        operation: ``create``, ``update``, ``delete``, ``start``, ``stop``…
        subject: What it acts on, as ``endpoint churn``.
        detail: What a reader wants to know beside that, as ``champion 90, challenger 10``.
    """

    operation: str
    subject: str
    detail: str = ""

    @property
    def summary(self) -> str:
        """The action as one line."""
        tail = f"  ({self.detail})" if self.detail else ""
        return f"{self.operation:<8}{self.subject}{tail}"


@dataclass(frozen=True, slots=True)
class Release:
    """What a deploy put where. Immutable; a rollback re-deploys an earlier one.

    Attributes:
        kind: ``endpoint``, ``container``, ``lambda``…; with ``name`` it says what was released.
        name: The endpoint, service or function.
        payload: JSON; all that the plugin needs to deploy this again.
        label: The version people use, unique within kind and name. Where a plugin gives
            none, the ledger names it ``<name>-<n>``.
        plugin: Who deployed it, and so who rolls back. Filled in by the ledger.
        run: The run that made it. Filled in by the ledger.
        created: Unix time in seconds. Filled in by the ledger.
        version: Of what was released, where several releases may be of one, as a service whose
            settings changed. Without a label, the ledger names the first one by it, the others
            ``<version>+<n>``. It is not kept.
    """

    kind: str
    name: str
    payload: Mapping[str, Any]
    label: str = ""
    plugin: str = ""
    run: str = ""
    created: float = 0.0
    version: str = ""


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage made.

    Attributes:
        outputs: By name, either a path that ``stage.output()`` gave out (it is digested and
            moved into the store) or an ``Artifact`` (a reference, never copied).
        metrics: Numbers; gates and comparisons read these.
        values: Other JSON values that ``${stages.<stage>.<value>}`` may refer to.
        releases: What was put where, by deploy verbs.
        summary: A few words for the terminal, as ``4,881 rows, 3 splits``.
    """

    outputs: Mapping[str, Path | Artifact] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    releases: tuple[Release, ...] = ()
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a recipe runs: a named profile of a type.

    Attributes:
        name: The name in the recipe's ``targets:``.
        type: ``local`` or ``aws``.
        settings: The profile's other keys, as region, bucket and role.
    """

    name: str = "local"
    type: str = "local"
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a stage may use, at most, of what is paid by the hour.

    Attributes:
        resource: What it is, as ``ml.m5.large``.
        hours: Of all of them together, as instance-hours.
        price: Of one hour; ``None`` where it is not known.
        currency: Of the price, by its code, as ``EUR``.
    """

    resource: str
    hours: float
    price: float | None = None
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Permission:
    """What a stage may do at a cloud provider, as a statement of an IAM policy.

    Attributes:
        actions: As ``s3:GetObject``.
        resources: ARNs, or ``*`` where an action knows no resource.
        holder: Who does it: ``caller``, who runs mlpipe, or ``job``, the role that jobs assume.
        condition: The statement's ``Condition``.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    holder: Literal["caller", "job"] = "caller"
    condition: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verb:
    """A stage hook.

    Attributes:
        name: An identifier; ``uses: PLUGIN.<name>``.
        cached: Whether an unchanged stage is skipped.
        effects: Whether it changes the world outside the project. Such a verb is never
            cached: it is `in place` when its plugin's ``preview`` finds nothing to do.
        summary: One line for people.
    """

    name: str
    cached: bool = True
    effects: bool = False
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run, as observers are told it.

    Attributes:
        sequence: Grows by at least one from event to event within a project.
        run: The run's identifier.
        time: Unix time in seconds.
        kind: The lifecycle hook's name, as ``stage_finished``.
        stage: The stage concerned, or an empty string.
        data: JSON; what it holds is said with each lifecycle hook.
    """

    sequence: int
    run: str
    time: float
    kind: str
    stage: str
    data: Mapping[str, Any]


class CheckState(StrEnum):
    """The answer of one ``mlpipe doctor`` check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of ``mlpipe doctor``.

    Attributes:
        name: What was looked at.
        state: Whether it is well.
        detail: What was found, and when it is not well, what to do.
    """

    name: str
    state: CheckState
    detail: str = ""
