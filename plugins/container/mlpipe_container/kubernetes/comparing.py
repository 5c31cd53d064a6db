"""What applying would change: the server says, by a dry run."""

from collections.abc import Iterator, Mapping
from typing import Any

from mlpipe_container.kubernetes.api import Api
from mlpipe_container.kubernetes.refusals import Refusal
from mlpipe_container.kubernetes.values import Difference, Json, Wanted

_NOTES = ("mlpipe/commit", "mlpipe/run")
_OF_SERVER = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_CONFLICT = 409
_NOT_FOUND = 404
_SHOWN = 3


def differences(api: Api, wanted: Wanted, *, force: bool) -> tuple[Difference, ...]:
    """List the objects that are not as wanted. Read-only.

    Raises:
        Refusal: The server refuses an object.
    """
    made = {body["metadata"]["name"] for body in wanted.objects if body["kind"] == "Namespace"}
    found = (_difference(api, wanted, body, made, force=force) for body in wanted.objects)
    return tuple(each for each in found if each is not None)


def _difference(
    api: Api, wanted: Wanted, body: Json, made: set[str], *, force: bool
) -> Difference | None:
    path = api.path(body, wanted.namespace)
    live = api.find(path)
    taken: tuple[str, ...] = ()
    if live is None and wanted.namespace in made:
        return Difference(body, path, new=True)  # its namespace comes first
    noted = _with_notes_of(body, live)
    try:
        then = api.apply(path, noted, force=force, dry=True)
    except Refusal as error:
        if error.status != _CONFLICT or not error.taken:
            raise _explained(error, wanted) from None
        then = api.apply(path, noted, force=True, dry=True)
        taken = tuple(f"{each.path} of {each.owner}" for each in error.taken)
    if live is None:
        return Difference(body, path, new=True)
    fields = tuple(_changes(_own(live), _own(then)))
    return Difference(body, path, fields=_shortened(fields), taken=taken) if fields else None


def _with_notes_of(body: Json, live: Json | None) -> Json:
    """Say of the run what is said already, so that another run alone is no difference."""
    there = (live or {}).get("metadata", {}).get("annotations") or {}
    notes = {name: there[name] for name in _NOTES if name in there}
    if not notes:
        return body
    annotations = {**(body["metadata"].get("annotations") or {}), **notes}
    return {**body, "metadata": {**body["metadata"], "annotations": annotations}}


def noted(body: Json, commit: str, run: str) -> Json:
    """Give an object with what made it."""
    values = {name: value for name, value in zip(_NOTES, (commit, run), strict=True) if value}
    annotations = {**(body["metadata"].get("annotations") or {}), **values}
    return {**body, "metadata": {**body["metadata"], "annotations": annotations}}


def _explained(error: Refusal, wanted: Wanted) -> Refusal:
    if error.status != _NOT_FOUND or "namespaces" not in error.what:
        return error
    return Refusal(
        f'there is no namespace "{wanted.namespace}"',
        status=error.status,
        where=error.where,
        fix=f"Make it: kubectl create namespace {wanted.namespace}; or add it to the manifests.",
    )


def _own(body: Json) -> Json:
    """Leave out what the server alone writes."""
    meta = {k: v for k, v in body["metadata"].items() if k not in _OF_SERVER}
    return {**{k: v for k, v in body.items() if k != "status"}, "metadata": meta}


def _changes(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}, key=lambda key: (key == "metadata", key)):
            yield from _changes(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list) and _named(old) and _named(new):
        before, after = ({item["name"]: item for item in each} for each in (old, new))
        for name in dict.fromkeys((*before, *after)):
            yield from _changes(before.get(name), after.get(name), f"{path}[{name}]")
    else:
        yield f"{_short(path)}: {_said(old)} → {_said(new)}"


def _named(items: list[Any]) -> bool:
    return all(isinstance(item, Mapping) and "name" in item for item in items)


def _short(path: str) -> str:
    return path.removeprefix("spec.template.spec.").removeprefix("spec.")


def _said(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping | list):
        return "…"
    text = str(value)
    head, at, digest = text.partition("@sha256:")
    return f"{head.rpartition('/')[2]}@{digest[:12]}" if at else text


def _shortened(fields: tuple[str, ...]) -> tuple[str, ...]:
    rest = len(fields) - _SHOWN
    return fields if rest <= 0 else (*fields[:_SHOWN], f"and {rest} more")
