"""The objects of a cluster, and what may become of them: as etcd and the API server keep them."""

import copy
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.plugins.container.kubernetes_api import fields, managing
from tests.plugins.container.kubernetes_api.errors import Refused, invalid
from tests.plugins.container.kubernetes_api.managing import Json
from tests.plugins.container.kubernetes_api.schemas import KINDS, Kind, check, filled

_BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass
class Objects:
    """All objects, by kind, namespace and name.

    Attributes:
        lock: Held for every change.
        changes: Of those that clients made, ``apply deployments/churn``.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    changes: list[str] = field(default_factory=list)
    _objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    _version: int = 100

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        """Give an object.

        Raises:
            Refused: There is none.
        """
        found = self.find(kind.name, namespace, name)
        if found is None:
            raise Refused(404, f'{_resource(kind)} "{name}" not found')
        return copy.deepcopy(found)

    def find(self, kind: str, namespace: str, name: str) -> Json | None:
        """Give an object itself, or ``None``."""
        return self._objects.get((kind, namespace, name))

    def all(self, kind: str, namespace: str = "") -> Iterator[Json]:
        """Give the objects of a kind themselves."""
        for (each, inside, _), found in list(self._objects.items()):
            if each == kind and namespace in ("", inside):
                yield found

    # -- what clients do --------------------------------------------------------------------------

    def apply(
        self, kind: Kind, namespace: str, body: Json, manager: str, *, force: bool, dry: bool
    ) -> tuple[Json, bool]:
        """Apply a configuration; give the object, and whether it is new.

        Raises:
            Refused: It is not valid, or others own what it says otherwise.
        """
        self._check_place(kind, namespace, body)
        check(kind, body)
        live = self.find(kind.name, namespace, body["metadata"]["name"])
        owned = fields.leaves(body)
        entries = managing.entries(live)
        mine = (manager, "Apply", "")
        self._check_conflicts(live, owned, entries, mine, force=force)
        before = entries.get(mine, set())
        others = set().union(*(paths for who, paths in entries.items() if who != mine))
        base = managing.stripped(live) if live else {}
        result = fields.without(
            fields.merged(base, body), before - owned.keys() - others, others | owned.keys()
        )
        if force:
            lost = managing.differing(live, owned) if live else set()
            for who in entries:
                entries[who] -= lost if who != mine else set()
        entries[mine] = set(owned)
        changed = self._put(kind, namespace, result, entries, live, dry=dry)
        return changed, live is None

    def create(self, kind: Kind, namespace: str, body: Json, manager: str) -> Json:
        """Make an object.

        Raises:
            Refused: It is there already, or not valid.
        """
        self._check_place(kind, namespace, body)
        check(kind, body)
        name = body["metadata"]["name"]
        if self.find(kind.name, namespace, name):
            raise Refused(409, f'{_resource(kind)} "{name}" already exists', reason="AlreadyExists")
        owned = {(manager, "Update", ""): set(fields.leaves(body))}
        return self._put(kind, namespace, body, owned, None)

    def replace(self, kind: Kind, namespace: str, body: Json, manager: str) -> Json:
        """Write an object as a whole; what is changed thereby has a new owner.

        Raises:
            Refused: It is not there, or was changed since it was read.
        """
        check(kind, body)
        live = self.get(kind, namespace, body["metadata"]["name"])
        read = body["metadata"].get("resourceVersion")
        if read not in (None, live["metadata"]["resourceVersion"]):
            raise Refused(
                409,
                f'Operation cannot be fulfilled on {_resource(kind)} "{body["metadata"]["name"]}": '
                "the object has been modified; please apply your changes to the latest version "
                "and try again",
            )
        old, new = fields.leaves(managing.stripped(live)), fields.leaves(managing.stripped(body))
        changed = {path for path, value in new.items() if path not in old or old[path] != value}
        entries = {
            w: p - changed - (old.keys() - new.keys()) for w, p in managing.entries(live).items()
        }
        mine = (manager, "Update", "")
        entries[mine] = entries.get(mine, set()) | changed
        return self._put(kind, namespace, managing.stripped(body), entries, live)

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Take an object away, and what it owns.

        Raises:
            Refused: It is not there.
        """
        self.get(kind, namespace, name)
        self.changes.append(f"delete {kind.plural}/{name}")
        self.remove(kind.name, namespace, name)

    # -- what the cluster's own controllers do ----------------------------------------------------

    def put(self, kind: str, namespace: str, body: Json) -> Json:
        """Write an object without asking; its version moves where something changes."""
        key = (kind, namespace, body["metadata"]["name"])
        live = self._objects.get(key)
        meta = body["metadata"]
        meta["namespace"] = namespace
        meta.setdefault("uid", str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", managing.now())
        if live is None or managing.comparable(live) != managing.comparable(body):
            self._version += 1
            meta["resourceVersion"] = str(self._version)
            self._objects[key] = body
        return self._objects[key]

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Take an object away, and what it owns."""
        gone = self._objects.pop((kind, namespace, name), None)
        if gone is None:
            return
        uid = gone["metadata"]["uid"]
        for (each, inside, called), found in list(self._objects.items()):
            owners = found["metadata"].get("ownerReferences", ())
            if any(owner["uid"] == uid for owner in owners):
                self.remove(each, inside, called)

    # ---------------------------------------------------------------------------------------------

    def _put(
        self,
        kind: Kind,
        namespace: str,
        body: Json,
        entries: Mapping[tuple[str, str, str], set[fields.Path]],
        live: Json | None,
        *,
        dry: bool = False,
    ) -> Json:
        result = filled(kind, copy.deepcopy(body))
        check(kind, result)
        result.update({"apiVersion": kind.group, "kind": kind.name})
        meta = result["metadata"]
        if kind.namespaced:
            meta["namespace"] = namespace
        was = live["metadata"] if live else {}
        meta["uid"] = was.get("uid") or str(uuid.uuid4())
        meta["creationTimestamp"] = was.get("creationTimestamp") or managing.now()
        meta["generation"] = was.get("generation", 1)
        if live:
            self._check_fixed(kind, live, result)
            if "status" in live:
                result["status"] = copy.deepcopy(live["status"])
            meta["generation"] += live.get("spec") != result.get("spec")
        meta["managedFields"] = managing.written(kind, entries, was.get("managedFields", ()))
        if live and managing.comparable(live) == managing.comparable(result):
            return copy.deepcopy(live)  # nothing changes, not even the version
        if dry:
            meta["resourceVersion"] = was.get("resourceVersion", "0")
            return result
        self._version += 1
        meta["resourceVersion"] = str(self._version)
        self._objects[(kind.name, namespace, meta["name"])] = result
        self.changes.append(f"{'update' if live else 'create'} {kind.plural}/{meta['name']}")
        return copy.deepcopy(result)

    def _check_place(self, kind: Kind, namespace: str, body: Json) -> None:
        said = body.setdefault("metadata", {}).get("namespace", namespace)
        if kind.namespaced and said != namespace:
            raise Refused(
                400,
                f"the namespace of the provided object does not match the namespace sent on the "
                f"request ({said} != {namespace})",
            )
        if kind.namespaced and self.find("Namespace", "", namespace) is None:
            raise Refused(404, f'namespaces "{namespace}" not found')

    def _check_conflicts(
        self,
        live: Json | None,
        owned: Mapping[fields.Path, Any],
        entries: Mapping[tuple[str, str, str], set[fields.Path]],
        mine: tuple[str, str, str],
        *,
        force: bool,
    ) -> None:
        if live is None or force:
            return
        differing = managing.differing(live, owned)
        causes = [
            {"reason": "FieldManagerConflict", "message": managing.held(who, live), "field": said}
            for who, paths in entries.items()
            if who != mine
            for said in sorted(map(fields.said, differing & paths))
        ]
        if causes:
            plural = "s" if len(causes) > 1 else ""
            each = "; ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
            raise Refused(409, f"Apply failed with {len(causes)} conflict{plural}: {each}", causes)

    def _check_fixed(self, kind: Kind, live: Json, result: Json) -> None:
        if kind.name == "Deployment" and live["spec"]["selector"] != result["spec"]["selector"]:
            raise invalid(
                kind.name,
                result["metadata"]["name"],
                "spec.selector",
                f"Invalid value: {result['spec']['selector']}: field is immutable",
                "FieldValueInvalid",
            )


def _resource(kind: Kind) -> str:
    group, _, version = kind.group.rpartition("/")
    return f"{kind.plural}.{group}" if version and group else kind.plural
