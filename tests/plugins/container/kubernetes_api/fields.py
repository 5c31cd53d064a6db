"""Who owns which field: sets of paths as in ``managedFields``, merging, and taking away.

A path is a tuple of the steps that ``fieldsV1`` writes: ``f:NAME`` into a map, ``k:{…}`` to the
item of a list that is keyed, and ``.`` for such an item itself.
"""

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

Path = tuple[str, ...]

_KEYS: Mapping[str, tuple[str, ...]] = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
#: Maps that are replaced as a whole.
_ATOMIC = {"selector", "nodeSelector", "secretKeyRef", "configMapKeyRef", "fieldRef"}
_SERVERS = {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"}
_NOBODYS = {("f:apiVersion",), ("f:kind",)} | {("f:metadata", f"f:{name}") for name in _SERVERS}


def leaves(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Give the value at each path that can have an owner."""
    name = path[-1].removeprefix("f:") if path else ""
    if isinstance(value, dict) and value and name not in _ATOMIC:
        found = {}
        for key, each in value.items():
            found.update(leaves(each, (*path, f"f:{key}")))
        return {at: each for at, each in found.items() if not _is_nobodys(at)}
    keys = _keys(path)
    if isinstance(value, list) and value and keys:
        found = {}
        for item in value:
            at = (*path, _key(keys, item))
            found.update({(*at, "."): None, **leaves(item, at)})
        return found
    return {path: value}


def merged(live: Any, config: Any, path: Path = ()) -> Any:
    """Give a live value with what a configuration says laid over it."""
    name = path[-1].removeprefix("f:") if path else ""
    if isinstance(live, dict) and isinstance(config, dict) and name not in _ATOMIC:
        both = dict(live)
        for key, each in config.items():
            at = (*path, f"f:{key}")
            both[key] = merged(live[key], each, at) if key in live else each
        return both
    keys = _keys(path)
    if isinstance(live, list) and isinstance(config, list) and keys:
        given = {_key(keys, item): item for item in config}
        result = []
        for item in live:
            key = _key(keys, item)
            given_item = given.pop(key, None)
            result.append(item if given_item is None else merged(item, given_item, (*path, key)))
        return [*result, *given.values()]
    return config


def without(value: Any, gone: Iterable[Path], kept: set[Path]) -> Any:
    """Give a value without what is at some paths; items in which others own something stay."""
    result = copy.deepcopy(value)
    for path in sorted(gone, key=lambda path: (path[-1] != ".", -len(path))):  # items first
        at = path[:-1] if path[-1] == "." else path
        if path[-1] != "." or not any(each[: len(at)] == at for each in kept):
            _remove(result, at)
    return result


def said(path: Path) -> str:
    """Write a path as people read it, as ``.spec.containers[name="a"].image``."""
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        elif step.startswith("k:"):
            pairs = json.loads(step[2:]).items()
            text += "[" + ",".join(f"{k}={json.dumps(v)}" for k, v in pairs) + "]"
    return text


def nested(paths: Iterable[Path]) -> dict[str, Any]:
    """Write paths as ``fieldsV1``."""
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    return tree


def flat(tree: Mapping[str, Any], path: Path = ()) -> set[Path]:
    """Read ``fieldsV1``."""
    if not tree:
        return {path} if path else set()
    return {each for step, inner in tree.items() for each in flat(inner, (*path, step))}


def _is_nobodys(path: Path) -> bool:
    return path in _NOBODYS or path[:2] == ("f:metadata", "f:managedFields")


def _keys(path: Path) -> tuple[str, ...]:
    name = path[-1].removeprefix("f:") if path else ""
    if name == "ports":
        within = "f:containers" in path or "f:initContainers" in path
        return ("containerPort" if within else "port", "protocol")
    return _KEYS.get(name, ())


def _key(keys: tuple[str, ...], item: Mapping[str, Any]) -> str:
    defaults = {"protocol": "TCP"}
    return "k:" + json.dumps({k: item.get(k, defaults.get(k)) for k in keys})


def _remove(value: Any, path: Path) -> None:
    if not path:
        return
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and step.startswith("f:") and step[2:] in value:
        key = step[2:]
        if not rest:
            del value[key]
            return
        _remove(value[key], rest)
        if value[key] in ({}, []):
            del value[key]
    elif isinstance(value, list) and step.startswith("k:"):
        wanted = json.loads(step[2:])
        for item in [i for i in value if _key(tuple(wanted), i) == step]:
            if rest:
                _remove(item, rest)
            else:
                value.remove(item)
