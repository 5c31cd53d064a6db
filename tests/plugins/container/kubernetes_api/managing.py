"""What an object says of its managers: ``managedFields``, read, written and compared."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.plugins.container.kubernetes_api import fields
from tests.plugins.container.kubernetes_api.schemas import Kind

Json = dict[str, Any]


def now() -> str:
    """Give the time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def differing(live: Json | None, owned: Mapping[fields.Path, Any]) -> set[fields.Path]:
    there = fields.leaves(live) if live else {}
    return {path for path, value in owned.items() if path in there and there[path] != value}


def held(who: tuple[str, str, str], live: Json) -> str:
    manager, operation, subresource = who
    inner = f' with subresource "{subresource}"' if subresource else ""
    at = f" at {live['metadata']['creationTimestamp']}" if operation == "Update" else ""
    return f'conflict with "{manager}"{inner} using {live["apiVersion"]}{at}'


def entries(live: Json | None) -> dict[tuple[str, str, str], set[fields.Path]]:
    found = live["metadata"].get("managedFields", ()) if live else ()
    return {
        (e["manager"], e["operation"], e.get("subresource", "")): fields.flat(e["fieldsV1"])
        for e in found
    }


def written(
    kind: Kind, entries: Mapping[tuple[str, str, str], set[fields.Path]], before: Any
) -> list[Json]:
    """Write who owns what; an entry that stays as it was keeps its time."""
    result = []
    for (manager, operation, _), paths in entries.items():
        if not paths:
            continue
        entry = {
            "manager": manager,
            "operation": operation,
            "apiVersion": kind.group,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields.nested(paths),
        }
        old = [e for e in before if {k: v for k, v in e.items() if k != "time"} == entry]
        result.append(old[0] if old else {**entry, "time": now()})
    return result


def stripped(body: Json) -> Json:
    """Give an object without what only the server writes."""
    result = {key: copy.deepcopy(value) for key, value in body.items() if key != "status"}
    for name in ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"):
        result["metadata"].pop(name, None)
    return result


def comparable(body: Json) -> Json:
    meta = {k: v for k, v in body["metadata"].items() if k != "resourceVersion"}
    return {**body, "metadata": meta}
