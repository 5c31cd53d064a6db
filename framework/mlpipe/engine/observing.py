"""The observers' process: reads the journal, calls lifecycle hooks.

Started as ``python -P -m mlpipe.engine.observing``; its standard input carries a description,
then a line each time the journal has grown, and ends when the runner does. What an observer
was told is remembered in the store, so that one that could not keep up, or died, is told the
rest by the next run. An observer that raises is reported, and told the next event.
"""

import contextlib
import json
import os
import select
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpipe.plugins.config import ObserverConfig
from mlpipe.plugins.contexts import ObserverContext
from mlpipe.plugins.inspection import LIFECYCLE
from mlpipe.plugins.manager import PluginManager
from mlpipe.store import Store
from mlpipe.types import Event


@dataclass(frozen=True)
class Observer:
    """One observer, ready to be told.

    Attributes:
        name: The plugin.
        config: Its settings.
        hooks: The lifecycle hooks that it implements, by name.
        context: What it may use.
    """

    name: str
    config: ObserverConfig
    hooks: Mapping[str, Callable[..., Any]]
    context: ObserverContext


def main() -> None:
    """Tell observers until the runner is done and all is told."""
    spec = json.loads(_line(0))
    os.chdir(spec["root"])
    sys.path.insert(0, spec["root"])
    store = Store(Path(spec["root"]))
    reports = Path(spec["reports"])
    observers = [
        _prepare(name, settings, store, reports) for name, settings in spec["observers"].items()
    ]
    for observer in observers:
        _catch_up(store, observer, spec["run"])
    while True:
        going_on = _woken()
        for observer in observers:
            _tell(store, observer, spec["run"])
        if not going_on:
            return


def _prepare(name: str, settings: Mapping[str, Any], store: Store, reports: Path) -> Observer:
    def report(text: str) -> None:
        with reports.open("a") as stream:
            stream.write(json.dumps(f"observer {name}: {text}") + "\n")

    plugin = PluginManager.discover().get(name)
    schema = plugin.observer_config() or ObserverConfig
    manager = plugin.hooks()
    return Observer(
        name,
        schema.model_validate(settings),
        {hook: getattr(manager.hook, hook) for hook in LIFECYCLE if plugin.implements(hook)},
        ObserverContext(root=store.root, state_dir=store.folder, report=report),
    )


def _catch_up(store: Store, observer: Observer, current: str) -> None:
    """Tell what earlier runs left untold."""
    for run in store.journal.runs_unread(observer.name):
        row = store.runs.get(run)
        if run != current and row is not None and observer.name in row.observers and row.finished:
            _tell(store, observer, run)


def _tell(store: Store, observer: Observer, run: str) -> None:
    while events := store.journal.unread(observer.name, run):
        for event in events:
            _call(observer, event)
            store.journal.read(observer.name, event)


def _call(observer: Observer, event: Event) -> None:
    hook = observer.hooks.get(event.kind)
    if hook is None:
        return
    try:
        hook(config=observer.config, event=event, context=observer.context)
    except Exception as error:  # an observer may raise anything; the run goes on
        traceback.print_exc()
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        once = observer.context.memory.setdefault("mlpipe.reported", set())
        if text not in once:
            once.add(text)
            observer.context.report(f"{event.kind}: {text}")


def _woken() -> bool:
    """Wait for the runner to say something; tell whether it is still there."""
    select.select([0], [], [])
    return bool(os.read(0, 1 << 16))


def _line(descriptor: int) -> bytes:
    """Read one line without reading ahead."""
    parts = []
    while (part := os.read(descriptor, 1)) not in (b"\n", b""):
        parts.append(part)
    return b"".join(parts)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
