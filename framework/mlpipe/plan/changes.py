"""What changed between what went into a result and what would go in now, in words."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mlpipe.plan.notebooks import compare_cells
from mlpipe.plan.tracing import NOTEBOOK
from mlpipe.plan.values import Change
from mlpipe.store.database import Database

_LONGEST = 60
Definitions = Mapping[str, tuple[int, str]]


def compare(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    producers: Mapping[str, str],
    chains: Mapping[str, str],
    definitions: "DefinitionsOf",
) -> tuple[Change, ...]:
    """Name each difference, what people change most often first.

    Args:
        old: Components of the result.
        new: Components now.
        producers: The stage that makes each input, by the input's name.
        chains: For a module's path, the way the script imports it, as ``train.py → a.py``.
        definitions: Gives a module's definitions by digest.
    """
    changes: list[tuple[int, Change]] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before != after:
            kind, _, name = key.partition(".")
            changes.extend(
                (_ORDER.get(kind, len(_ORDER)), change)
                for change in _describe(kind, name, before, after, producers, chains, definitions)
            )
    return tuple(change for _, change in sorted(changes, key=lambda item: item[0]))


_ORDER = {
    kind: place
    for place, kind in enumerate(
        ("module", "with", "parameter", "file", "input", "env", "outside", "package", "target")
    )
}


def _describe(
    kind: str,
    name: str,
    before: Any,
    after: Any,
    producers: Mapping[str, str],
    chains: Mapping[str, str],
    definitions: "DefinitionsOf",
) -> Iterator[Change]:
    if kind == "module":
        yield from _module(chains.get(name, name), before, after, definitions)
    elif kind == "input":
        yield Change(f"input {name}", f"changed ({producers.get(name, 'gone')})")
    elif kind == "file":
        yield Change(name, _presence(before, after) or "changed")
    elif kind == "env":
        yield Change(f"environment {name}", _presence(before, after) or "changed")
    elif kind in ("with", "parameter"):
        yield Change(name, f"{_show(before)} → {_show(after)}")
    else:
        label = f"{kind} {name}" if name else kind
        yield Change(label, f"{_show(before)} → {_show(after)}")


def _module(chain: str, before: Any, after: Any, definitions: "DefinitionsOf") -> Iterator[Change]:
    if (presence := _presence(before, after)) is not None:
        yield Change(chain, presence)
        return
    old, new = definitions(str(before)), definitions(str(after))
    of_notebook = chain.endswith(NOTEBOOK)
    if not old or not new or (of_notebook and "" in {*old, *new}):
        yield Change(chain, "changed")
    elif of_notebook:
        for cell, detail in compare_cells(old.values(), new.values()):
            yield Change(f"{chain} {cell}", detail)
    else:
        yield from _definitions(chain, old, new)


def _definitions(chain: str, old: Definitions, new: Definitions) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        subject = f"{chain}:{name}" if name else chain
        if name not in new:
            yield Change(subject, "is gone")
        elif name not in old:
            yield Change(subject, f"is new (line {new[name][0]})")
        elif old[name][1] != new[name][1]:
            line = f" (line {new[name][0]})" if name else " (outside of functions)"
            yield Change(subject, f"changed{line}")


def _presence(before: Any, after: Any) -> str | None:
    if before is None:
        return "is new"
    return "is gone" if after is None else None


def _show(value: Any) -> str:
    if value is None:
        return "(none)"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


class DefinitionsOf:
    """Gives a module's definitions by the module's digest.

    Args:
        database: Holds those of modules that went into results.
        fresh: Those of modules as they are now.
    """

    def __init__(self, database: Database, fresh: Mapping[str, Definitions]) -> None:
        self._database = database
        self._fresh = fresh

    def __call__(self, digest: str) -> Definitions:
        """Give the definitions of a module; none where they are not known."""
        if digest in self._fresh:
            return self._fresh[digest]
        row = self._database.row("SELECT definitions FROM modules WHERE digest = ?", digest)
        return json.loads(str(row[0])) if row else {}
