"""From events to the registry: trained models become versions, releases move aliases."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlpipe import Event, UserError
from mlpipe_mlflow import pyfunc
from mlpipe_mlflow.registry import can_be_alias, version_tags
from mlpipe_mlflow.tracker import Tracker

#: How a model is packed that this plugin can load.
_SCRIPT_MODE = "scriptmode"


def register(tracker: Tracker, event: Event, run: str, payload: Mapping[str, Any]) -> None:
    """Make a version of a trained model, unless there is one with its digest."""
    if payload.get("framework", _SCRIPT_MODE) != _SCRIPT_MODE:
        return
    tags = version_tags(event.run, event.stage, str(payload.get("program") or ""))
    _ensure(tracker, _name(tracker, event), run, payload, tags)


def released(tracker: Tracker, event: Event) -> None:
    """Point aliases at a release's models; what was never registered is registered now."""
    variants = _variants(event)
    if not variants:
        return
    model = _name(tracker, event)
    parent = tracker.family(event.run).parent
    tags = version_tags(event.run, "")
    versions = {
        variant: _ensure(tracker, model, parent, facts, tags) for variant, facts in variants.items()
    }
    _point(tracker, model, event, versions)


def rolled_back(tracker: Tracker, event: Event) -> None:
    """Point aliases back, in each registered model that has all of the release's models."""
    variants = _variants(event)
    if not variants:
        return
    own = tracker.config.model
    for model in [own] if own else tracker.registry.served_by(_service(event)):
        found = {
            variant: tracker.registry.version(model, facts["digest"])
            for variant, facts in variants.items()
        }
        versions = {variant: str(each.version) for variant, each in found.items() if each}
        if len(versions) == len(variants):
            _point(tracker, model, event, versions)


def _point(tracker: Tracker, model: str, event: Event, found: Mapping[str, str]) -> None:
    replaced = (event.data.get("payload") or {}).get("replaced") or {}
    versions = {**found, **{old: found[new] for old, new in replaced.items() if new in found}}
    usable = {variant: version for variant, version in versions.items() if can_be_alias(variant)}
    for variant in versions.keys() - usable.keys():
        tracker.context.report(f'MLflow keeps the name "{variant}" for itself: no alias for it')
    tracker.registry.point(model, _service(event), usable)


def _ensure(
    tracker: Tracker, model: str, run: str, facts: Mapping[str, Any], tags: Mapping[str, str]
) -> str:
    """Give the number of the version with a digest; make it where there is none."""
    digest = str(facts["digest"])
    version = tracker.registry.version(model, digest)
    if version is None:
        archive = _archive(tracker.context.root, str(facts.get("location") or ""))
        with tempfile.TemporaryDirectory(prefix="mlpipe-") as scratch:
            folder = pyfunc.save(archive, Path(scratch))
            version = tracker.registry.register(model, folder, run, digest, tags)
    return str(version.version)


def _archive(root: Path, location: str) -> Path:
    path = root / location
    if len(urlsplit(location).scheme) > 1 or not path.is_file():
        raise UserError(f"the model at {location or '(nowhere)'} is not here to be registered")
    return path


def _name(tracker: Tracker, event: Event) -> str:
    """Name the registered model: slashes and colons have a meaning in MLflow's model URIs."""
    recipe = tracker.family(event.run).recipe
    return tracker.config.model or recipe.replace("/", "-").replace(":", "-")


def _service(event: Event) -> str:
    return f"{event.data['kind']}/{event.data['name']}"


def _variants(event: Event) -> dict[str, Mapping[str, Any]]:
    """Give a release's models by variant; none where it is of another shape."""
    variants = (event.data.get("payload") or {}).get("variants")
    if not isinstance(variants, Mapping):
        return {}
    return {
        str(name): facts
        for name, facts in variants.items()
        if isinstance(facts, Mapping) and facts.get("digest")
    }
