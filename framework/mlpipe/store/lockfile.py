"""``mlpipe.lock``: the results of the last run of each recipe, as a file to commit.

One line a stage, sorted, so that diffs and merges are by stage. A clone that has the bytes
finds its cache hits here.
"""

import json
import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mlpipe.store.results import Output, Record

_VERSION = 1
_NAME = "mlpipe.lock"


class LockFile:
    """The project's ``mlpipe.lock``. A damaged one counts as empty.

    Args:
        root: The project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / _NAME

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        try:
            data = json.loads(self._path.read_text("utf-8"))
            return dict(data["stages"]) if data["version"] == _VERSION else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def get(self, recipe: str, stage: str, target: str, fingerprint: str) -> Record | None:
        """Give a stage's result, if it has this fingerprint."""
        entry = self._entries.get(_key(recipe, stage, target))
        if entry is None or entry.get("fingerprint") != fingerprint:
            return None
        return self.latest(recipe, stage, target)

    def latest(self, recipe: str, stage: str, target: str) -> Record | None:
        """Give a stage's result, whatever its fingerprint."""
        try:
            return Record.from_json(self._entries[_key(recipe, stage, target)])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def update(self, recipe: str, target: str, records: Mapping[str, Record]) -> None:
        """Write the results of a recipe's stages; its stages that are not named are dropped.

        The file is written only when something changed, atomically.
        """
        own = _key(recipe, "", target).partition("@")
        kept = {
            key: entry
            for key, entry in self._entries.items()
            if not (key.startswith(own[0]) and key.endswith(f"@{target}"))
        }
        fresh = {_key(recipe, name, target): _portable(record) for name, record in records.items()}
        entries = {**kept, **fresh}
        if entries == self._entries:
            return
        lines = [
            f"{json.dumps(k)}: {json.dumps(entries[k], sort_keys=True)}" for k in sorted(entries)
        ]
        body = ",\n".join(lines)
        text = f'{{"version": {_VERSION}, "stages": {{\n{body}\n}}}}\n'
        temporary = self._path.with_name(f".{_NAME}.{secrets.token_hex(4)}")
        temporary.write_text(text, "utf-8")
        os.replace(temporary, self._path)
        self.__dict__["_entries"] = entries


def _key(recipe: str, stage: str, target: str) -> str:
    return f"{recipe}/{stage}@{target}"


def _portable(record: Record) -> dict[str, Any]:
    """Leave out what is true on this machine only."""
    outputs = {name: _anywhere(output) for name, output in record.outputs.items()}
    facts = replace(record, outputs=outputs, created=0.0).to_json()
    # JSON has no number for these; ``float`` reads their names back.
    metrics = {k: v if math.isfinite(v) else str(v) for k, v in record.metrics.items()}
    return {**facts, "metrics": metrics}


def _anywhere(output: Output) -> Output:
    return replace(output, status="", place_status="")
