"""Manifests of a project: YAML files, or what kustomize makes of a folder."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlpipe.errors import StageError
from mlpipe_container.kubernetes.values import Json

_KUSTOMIZATION = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_SUFFIXES = {".yaml", ".yml"}
_LONGEST = 120.0


def read(root: Path, place: str) -> tuple[Json, ...]:
    """Read the objects of a file or folder.

    Args:
        root: The project's folder.
        place: The file or folder in it.

    Raises:
        StageError: There are none, they cannot be read, or are none of Kubernetes'.
    """
    path = root / place
    if not path.exists():
        raise StageError("is not there", where=f"kubernetes.manifests: {place}")
    objects = [body for text, where in _texts(path) for body in _parsed(text, where)]
    if not objects:
        raise StageError("holds no object of Kubernetes", where=place)
    return tuple(objects)


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_file():
        yield path.read_text("utf-8"), path.name
    elif any((path / name).is_file() for name in _KUSTOMIZATION):
        yield _kustomized(path), path.name
    else:
        for file in sorted(path.iterdir()):
            if file.suffix in _SUFFIXES:
                yield file.read_text("utf-8"), f"{path.name}/{file.name}"


def _kustomized(folder: Path) -> str:
    program = shutil.which("kubectl")
    if program is None:
        raise StageError(
            "a folder with a kustomization needs kubectl, which is not installed",
            where=f"kubernetes.manifests: {folder.name}",
            fix="Install kubectl; or name a folder of plain manifests.",
        )
    try:
        done = subprocess.run(
            [program, "kustomize", str(folder)],
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StageError(
            f"kubectl kustomize did not end within {_LONGEST:g} s", where=folder.name
        ) from None
    if done.returncode:
        said = done.stderr.strip().removeprefix("error: ")
        raise StageError(f"kubectl kustomize fails: {said}", where=folder.name)
    return done.stdout


def _parsed(text: str, where: str) -> Iterator[Json]:
    import yaml

    try:
        documents = list(yaml.load_all(text, Loader=_loader()))
    except yaml.YAMLError as error:
        raise StageError(f"is no YAML: {error}", where=where) from error
    for number, document in enumerate(documents, 1):
        if document is not None:
            place = f"{where}, document {number}"
            yield from _objects(_as_json(document, place), place)


def _as_json(document: Any, where: str) -> Any:
    """Give what the API gets of a document: keys are texts there."""
    try:
        return json.loads(json.dumps(document, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise StageError(f"says what JSON cannot: {error}", where=where) from error


def _loader() -> Any:
    """Give a safe loader that leaves dates as texts, as Kubernetes does: JSON has none."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in forms if not tag.endswith(":timestamp")]
        for first, forms in Loader.yaml_implicit_resolvers.items()
    }
    return Loader


def _objects(document: Any, where: str) -> Iterator[Json]:
    texts = [document.get(k) for k in ("apiVersion", "kind")] if isinstance(document, dict) else ()
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise StageError(
            "is no object of Kubernetes", where=where, fix="It needs apiVersion and kind."
        )
    if document["kind"] == "List":
        items = document.get("items")
        for item in items if isinstance(items, list) else ():
            yield from _objects(item, where)
        return
    meta = document.get("metadata")
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str):
        raise StageError("has no name", where=where, fix="Give it metadata.name.")
    for key in ("labels", "annotations"):
        if not isinstance(meta.get(key) or {}, dict):
            raise StageError("is no map", where=f"{where}: metadata.{key}")
    if document["kind"] == "Secret":
        raise StageError(
            "is a Secret, which would be kept with each release",
            where=where,
            fix="Make it in the cluster by other means, and name it in the containers' env.",
        )
    document.pop("status", None)
    yield document
