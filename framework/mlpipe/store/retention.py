"""Deleting what nothing needs any more."""

import json
import shutil
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from mlpipe.errors import UserError
from mlpipe.store.digests import size_of
from mlpipe.store.runs import RunState
from mlpipe.store.store import Store


@dataclass(frozen=True, slots=True)
class Garbage:
    """What was, or would be, deleted.

    Attributes:
        results: Rows of results.
        objects: Artifacts.
        logs: Runs whose logs go.
        bytes: Of artifacts and logs.
    """

    results: int = 0
    objects: int = 0
    logs: int = 0
    bytes: int = 0


def collect(store: Store, *, keep: int, dry_run: bool) -> Garbage:
    """Delete results beyond the newest of each stage, and what only they need.

    Kept are the newest ``keep`` results of each stage of each recipe and target, every
    artifact that these or a release refer to, and the logs of the runs that made them.

    Raises:
        UserError: A run is going on, whose artifacts are not recorded yet.
    """
    if store.runs.in_state(RunState.RUNNING) and not dry_run:
        raise UserError("a run is going on", fix="Wait until it has ended.")
    rows = store.database.rows(
        "SELECT recipe, stage, target, fingerprint, run, record FROM results"
        " ORDER BY recipe, stage, target, created DESC"
    )
    kept, dropped = [], []
    for _, group in groupby(rows, key=lambda row: row[:3]):
        newest_first = list(group)
        kept.extend(newest_first[:keep])
        dropped.extend(newest_first[keep:])
    needed = "".join(str(row[5]) for row in kept)
    needed += "".join(json.dumps(dict(release.payload)) for release in store.releases.all())
    objects = [path for path in _objects(store.folder / "artifacts") if _digest(path) not in needed]
    runs = {str(row[4]) for row in kept} | {each.id for each in store.runs.newest(keep)}
    logs = [path for path in _folders(store.folder / "runs") if path.name not in runs]
    size = sum(size_of(path) for path in (*objects, *logs))
    if not dry_run:
        store.results.drop([str(row[3]) for row in dropped])
        for path in (*objects, *logs):
            shutil.rmtree(path)
    return Garbage(len(dropped), len(objects), len(logs), size)


def _objects(folder: Path) -> list[Path]:
    """Give the folders of objects: ``<algorithm>/<two digits>/<the rest of the digest>``."""
    return sorted(folder.glob("*/??/*"))


def _digest(path: Path) -> str:
    return f"{path.parent.name}{path.name}"


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir())
