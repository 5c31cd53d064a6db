"""Telling the observers of a run what came after it."""

from collections.abc import Mapping
from typing import Any

from mlpipe.engine.observers import ObserverProcess
from mlpipe.store import Store


def emit(store: Store, run: str, stage: str, kind: str, payload: Mapping[str, Any]) -> list[str]:
    """Tell a run's observers something of one of its stages; give what they reported.

    Nothing is told, and nothing recorded, where the run has no observers.
    """
    row = store.runs.get(run)
    if row is None or not row.observers:
        return []
    store.journal.append(run, "stage_event", stage, kind=kind, payload=dict(payload))
    return tell(store, run, row.observers)


def tell(store: Store, run: str, observers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Let observers read what the journal has of a run; give what they reported."""
    if not observers:
        return []
    folder = store.run_folder(run)
    folder.mkdir(parents=True, exist_ok=True)
    return ObserverProcess(store.root, run, observers, folder / "observers.log").finish()
