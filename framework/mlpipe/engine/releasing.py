"""Putting releases into service by a command: earlier ones by a rollback, new ones by a promotion.

A command may be killed at any moment. So what it is going to do is recorded first; the plugin does
it, reads back and probes what is in service; then that is recorded, and observers are told. The
next command that changes anything completes what was left undone.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from mlpipe.engine.jobs import Job
from mlpipe.engine.masking import Masker
from mlpipe.engine.telling import tell
from mlpipe.engine.workers import LocalExecutor, once
from mlpipe.errors import MlpipeError, UserError
from mlpipe.store import Store
from mlpipe.store.releases import Change
from mlpipe.types import Release


@dataclass(frozen=True, slots=True)
class Serving:
    """What a command put into service.

    Attributes:
        release: The release.
        previous: What was in service before, or ``None``.
        summary: What the plugin said.
        reports: What observers reported.
    """

    release: Release
    previous: Release | None
    summary: str
    reports: tuple[str, ...]


def roll_back(store: Store, release: Release) -> Serving:
    """Put an earlier release into service again.

    Raises:
        StageError: It is not in service.
    """
    with _alone(store):
        store.releases.begin(release, "rollback")
        return _carry_out(store, release, "rollback")


def promote(store: Store, release: Release) -> Serving:
    """Put a new release of something that was released before into service.

    Args:
        store: Where releases are recorded.
        release: What is to be in service; the ledger labels it.

    Raises:
        UserError: Nothing of that name was released yet.
        StageError: It is not in service.
    """
    with _alone(store):
        current = store.releases.current(release.kind, release.name)
        if current is None:
            raise UserError(
                f"{release.kind}/{release.name} was not released by a recipe here",
                fix="Run its recipe first.",
            )
        return _carry_out(store, store.releases.begin_next(release, current), "promote")


def complete(store: Store) -> list[str]:
    """Complete what commands were putting into service when they died; say so, a line each.

    What cannot be completed is said as well, and stays to be: a rollback or a deploy of something
    else takes its place.
    """
    if not store.releases.all_unfinished():
        return []
    with _alone(store):
        return [_complete(store, each) for each in store.releases.all_unfinished()]


def _complete(store: Store, change: Change) -> str:
    release = change.release
    what = f"{change.origin} of {release.kind}/{release.name} to {release.label}, which was killed"
    try:
        _carry_out(store, release, change.origin)
    except MlpipeError as error:
        return f"{what}, cannot be completed: {error}"
    return f"{what}, is complete now"


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Wait until no other command changes what is in service. The lock dies with its holder."""
    with (store.folder / "changes.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _carry_out(store: Store, release: Release, origin: str) -> Serving:
    current = store.releases.current(release.kind, release.name)
    summary = _have_it_served(store, release, current)
    reports = _record(store, release, current, origin)
    return Serving(release, current, summary, tuple(reports))


def _have_it_served(store: Store, release: Release, current: Release | None) -> str:
    target, secret_names = store.releases.facts(release)
    secrets = {name: os.environ[name] for name in secret_names if name in os.environ}
    job = Job(
        hook="rollback",
        plugin=release.plugin,
        target=target,
        secrets=secrets,
        release={"release": asdict(release), "current": asdict(current) if current else None},
    )
    with closing(
        LocalExecutor(store.root, store.folder, {release.plugin}, withhold=secret_names)
    ) as workers:
        result, _ = once(workers, job)
    return Masker(secrets.values()).text(result["summary"])


def _record(store: Store, release: Release, current: Release | None, origin: str) -> list[str]:
    """Record what is in service, and tell the observers of the run that made the release."""
    run = release.run if origin == "promote" else f"rollback-{store.runs.new_id()}"
    event: dict[str, Any] = {
        "kind": release.kind,
        "name": release.name,
        "label": release.label,
        "payload": dict(release.payload),
    }
    with store.transaction():
        store.releases.in_service(release, run=run, origin=origin)
        if origin == "promote":
            store.journal.append(run, "released", **event)
        else:
            previous = current.label if current else None
            store.journal.append(run, "rolled_back", previous=previous, time=time.time(), **event)
    made_by = store.runs.get(release.run)
    return tell(store, run, made_by.observers if made_by else {})
