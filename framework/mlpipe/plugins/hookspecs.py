"""All hooks, one file: the signature, and when it is called.

A plugin is a module whose functions, marked with ``@mlpipe.hookimpl``, carry these names.
It may leave out arguments that it does not need. The annotation of ``config`` is the schema
of the recipe's block that the hook serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe.plugins.markers import hookspec

if TYPE_CHECKING:
    from mlpipe.plugins.contexts import ObserverContext, RollbackContext
    from mlpipe.plugins.stage import Stage
    from mlpipe.types import Action, Check, Event, Release, StageResult, Verb

# -- verbs: called once for an attempt of a stage, in that stage's own process ------------


@hookspec
def checkout(config: object, stage: Stage) -> StageResult:  # type: ignore[empty-body]
    """Bring the sources of one exact commit into the run."""


@hookspec
def prepare(config: object, stage: Stage) -> StageResult:  # type: ignore[empty-body]
    """Make inputs ready: extract, clean, validate, split and version data."""


@hookspec
def check(config: object, stage: Stage) -> StageResult:  # type: ignore[empty-body]
    """Test the sources: unit tests, quality, security. Findings become metrics."""


@hookspec
def build(config: object, stage: Stage) -> StageResult:  # type: ignore[empty-body]
    """Package sources into something that can be shipped: an archive, an image, a zip."""


@hookspec
def push(config: object, stage: Stage) -> StageResult:  # type: ignore[empty-body]
    """Store a package under a version, once. Never cached."""


@hookspec
def train(config: object, stage: Stage) -> StageResult:  # type: ignore[empty-body]
    """Fit a model to data."""


@hookspec
def tune(config: object, stage: Stage) -> StageResult:  # type: ignore[empty-body]
    """Search hyperparameters; the best model is an output."""


@hookspec
def evaluate(config: object, stage: Stage) -> StageResult:  # type: ignore[empty-body]
    """Measure a model on data it has not seen. Its metrics are what gates usually bound."""


@hookspec
def deploy(config: object, stage: Stage) -> StageResult:  # type: ignore[empty-body]
    """Put a version into service, read it back and probe it. Never cached."""


@hookspec
def monitor(config: object, stage: Stage) -> StageResult:  # type: ignore[empty-body]
    """Look at what is in service. Always runs."""


@hookspec
def call(verb: str, config: object, stage: Stage) -> StageResult:  # type: ignore[empty-body]
    """Serve every verb that the plugin does not implement by name, as ``python`` does."""


# -- around verbs -----------------------------------------------------------------------


@hookspec
def resolve(verb: str, config: object, stage: Stage) -> Mapping[str, str]:  # type: ignore[empty-body]
    """Say what an outside input is right now, read-only, for the fingerprint.

    Called in a worker while planning, where the configuration's ``outside()`` says that there is
    such an input. Returns an identity by name: a branch's commit, an
    object's ETag, a table's digest. A source that cannot be resolved raises; the stage then
    runs. ``stage.inputs`` is empty while they are not all known: a hook that needs one raises, and
    is called again once they are.
    """


@hookspec
def preview(verb: str, config: object, stage: Stage) -> Sequence[Action]:  # type: ignore[empty-body]
    """List the actions that a verb with effects would take, from read-only calls.

    Called in a worker while planning, when all inputs of the stage are known. No actions
    mean that all is in place, and the verb is not called.
    """


@hookspec
def rollback(release: Release, context: RollbackContext) -> StageResult:  # type: ignore[empty-body]
    """Put a release into service, an earlier one or one that follows; read it back and probe it.

    Called in a worker by ``mlpipe rollback`` and ``mlpipe.promote`` for the plugin that made the
    releases; again by the next command where one was killed, so that twice must be the same as
    once. Raises when what is in service afterwards is not that release.
    """


# -- lifecycle: called in the observers' own process, in the journal's order ---------------
#
# Delivery is at least once: after a crash an observer may be told again what it knew.


@hookspec
def run_started(config: object, event: Event, context: ObserverContext) -> None:
    """A run has begun.

    Data: ``recipe`` (its name), ``path``, ``target``, ``params``, ``version`` (of mlpipe),
    ``stages`` {name: uses}, ``command``.
    """


@hookspec
def stage_started(config: object, event: Event, context: ObserverContext) -> None:
    """An attempt of a stage has begun.

    Data: ``attempt``, ``uses``, ``config`` (the ``with:`` block), ``reason``, ``inputs``
    {name: {digest, location}}, ``log`` (path of the log, which grows).
    """


@hookspec
def stage_event(config: object, event: Event, context: ObserverContext) -> None:
    """A stage said something. Data: ``kind`` and ``payload``.

    Kinds: ``metrics`` (payload ``metrics`` {name: number}, ``step``, ``time``), ``dataset``
    (``name``, ``digest``, ``location``, ``size``, facts), ``model``, ``artifact``, and any kind
    of a plugin's own. A payload that names an ``output`` is delivered once that output is
    stored, with its ``digest`` and ``location``; for ``model`` the output ``model`` is meant.
    """


@hookspec
def stage_finished(config: object, event: Event, context: ObserverContext) -> None:
    """A stage has ended, or was a cache hit.

    Data: ``state`` (``done``, ``cached``, ``in place``, ``failed``, ``gate failed``,
    ``skipped``, ``waiting``), ``attempt``, ``seconds``, ``metrics``, ``values``, ``outputs``
    {name: {digest, location}}, ``error``, ``log`` (path of the log), ``summary``.
    """


@hookspec
def run_finished(config: object, event: Event, context: ObserverContext) -> None:
    """A run has ended.

    Data: ``state`` (``done``, ``failed``, ``gate failed``, ``interrupted``, ``killed``),
    ``seconds``, ``error``. That a run was killed is told by the run after it.
    """


@hookspec
def gate_failed(config: object, event: Event, context: ObserverContext) -> None:
    """A metric missed its bound: a gate of the recipe's, or one that the stage holds itself to.

    Data: ``metric``, ``bound`` (as ``>= 0.94``), ``value``, ``shortfall``, ``notify`` (names),
    ``run`` (the recipe that is started, or null).
    """


@hookspec
def released(config: object, event: Event, context: ObserverContext) -> None:
    """A deploy or push made a release. Data: ``kind``, ``name``, ``label``, ``payload``."""


@hookspec
def rolled_back(config: object, event: Event, context: ObserverContext) -> None:
    """A rollback put an earlier release into service.

    Data: ``kind``, ``name``, ``label``, ``previous`` (label), ``payload``.
    """


@hookspec
def stage_environment(  # type: ignore[empty-body]
    config: object, recipe: str, run: str, stage: str, root: Path
) -> Mapping[str, str]:
    """Give variables for a stage's environment, so that its own code can report to the observer.

    Called in the runner's process before each attempt, and with an empty ``run`` before
    ``resolve`` and ``preview``: fast, without importing an SDK, and without changing anything then.
    """


# -- registrations ----------------------------------------------------------------------


@hookspec
def register_verbs() -> Sequence[Verb]:  # type: ignore[empty-body]
    """Add verbs of the plugin's own.

    Called when the plugin is loaded; each becomes a hook with the same shape as the ten above.
    """


@hookspec
def register_executors() -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Add executors by name, for a recipe's ``executor:``.

    Called when a recipe names one that the core does not have. A factory is called with the
    keyword arguments of ``mlpipe.engine.workers.LocalExecutor`` and the settings that stand
    below the executor's name in the recipe, and gives an ``Executor``.
    """


@hookspec
def explain_error(error: BaseException) -> str | None:
    """Turn an exception of the plugin's SDK into what to do about it, or ``None``.

    Called in the stage's process when the plugin's verb has raised.
    """


@hookspec
def doctor() -> Sequence[Check]:  # type: ignore[empty-body]
    """Look whether what the plugin needs is there. Called by ``mlpipe doctor``."""
