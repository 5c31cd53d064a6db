"""Rolling back: an earlier release goes into service again, and that is recorded."""

import os
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

from mlpipe.engine.jobs import Job
from mlpipe.engine.masking import Masker
from mlpipe.engine.observers import ObserverProcess
from mlpipe.engine.workers import LocalExecutor, once
from mlpipe.errors import UserError
from mlpipe.store import Store
from mlpipe.types import Release


def find_service(store: Store, name: str) -> tuple[str, str]:
    """Give kind and name of what ``[KIND/]NAME`` means.

    Raises:
        UserError: Nothing of that name was released, or more than one kind has it.
    """
    known = sorted({(each.kind, each.name) for each in store.releases.all()})
    kind, slash, what = name.rpartition("/")
    found = [each for each in known if each[1] == what and (not slash or each[0] == kind)]
    if len(found) == 1:
        return found[0]
    names = [f"{each[0]}/{each[1]}" for each in known]
    if found:
        options = ", ".join(f"{each[0]}/{each[1]}" for each in found)
        raise UserError(f'"{name}" is ambiguous', fix=f"Say which: {options}.")
    near = get_close_matches(name, [*names, *(each[1] for each in known)], 1)
    hint = f'Did you mean "{near[0]}"? ' if near else ""
    raise UserError(
        f'nothing named "{name}" was released', fix=f"{hint}Released: {', '.join(names) or 'none'}."
    )


def find_release(store: Store, name: str, label: str | None) -> Release:
    """Give a release by label; what is in service where no label is given.

    Raises:
        UserError: There is none.
    """
    kind, what = find_service(store, name)
    release = store.releases.get(kind, what, label) if label else store.releases.current(kind, what)
    if release is None:
        labels = [
            each.label for each in store.releases.all() if (each.kind, each.name) == (kind, what)
        ]
        raise UserError(
            f'{kind}/{what} has no release "{label}"', fix=f"Its releases: {', '.join(labels)}."
        )
    return release


def choose(store: Store, name: str, label: str | None) -> Release:
    """Give the release to roll back to: the one named, or the one in service before the present.

    Raises:
        UserError: There is none.
    """
    if label is not None:
        return find_release(store, name, label)
    kind, what = find_service(store, name)
    history = store.releases.history(kind, what)
    for each in history[1:]:
        if each.release.label != history[0].release.label:
            return each.release
    raise UserError(
        f"{kind}/{what} has one release only, {history[0].release.label}",
        fix="There is nothing earlier to roll back to.",
    )


def roll_back(
    store: Store, release: Release, observers: Mapping[str, Mapping[str, Any]]
) -> tuple[str, list[str]]:
    """Put a release into service again.

    The plugin that made it does so, reads back and probes what is in service, and raises when
    that is not the release.

    Args:
        store: Where releases are recorded.
        release: What to go back to.
        observers: Who is told, with their settings.

    Returns:
        What the plugin said, and what observers reported.

    Raises:
        StageError: It is not in service.
    """
    current = store.releases.current(release.kind, release.name)
    target, secret_names = store.releases.facts(release)
    secrets = {name: os.environ[name] for name in secret_names if name in os.environ}
    job = Job(
        hook="rollback",
        plugin=release.plugin,
        target=target,
        secrets=secrets,
        release={"release": asdict(release), "current": asdict(current) if current else None},
    )
    plugins = {release.plugin}
    with closing(
        LocalExecutor(store.root, store.folder, plugins, withhold=secret_names)
    ) as workers:
        result, _ = once(workers, job)
    run = f"rollback-{store.runs.new_id()}"
    store.releases.in_service(release, run=run, origin="rollback")
    summary = Masker(secrets.values()).text(result["summary"])
    return summary, _tell(store, run, release, current, observers)


def _tell(
    store: Store,
    run: str,
    release: Release,
    current: Release | None,
    observers: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    store.journal.append(
        run,
        "rolled_back",
        kind=release.kind,
        name=release.name,
        label=release.label,
        previous=current.label if current else None,
        payload=dict(release.payload),
        time=time.time(),
    )
    if not observers:
        return []
    folder = store.run_folder(run)
    folder.mkdir(parents=True, exist_ok=True)
    return ObserverProcess(store.root, run, observers, folder / "observers.log").finish()
