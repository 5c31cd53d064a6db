"""What goes into a stage, by name, and the fingerprint of it.

Components:
    ``plugin`` its version, ``verb``, ``target`` (for verbs with a backend a target),
    ``with.<key>`` settings, ``parameter.<name>``, ``env.<name>``, ``input.<name>`` digests,
    ``file.<path>`` digests, ``module.<path>`` digests, ``package.<name>`` versions,
    ``outside.<name>`` identities.

Timestamps, the place of the checkout and the order of mappings are not among them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mlpipe.plan.packages import version_of
from mlpipe.plan.tracing import Trace, trace
from mlpipe.plugins.config import Role, StageConfig
from mlpipe.plugins.inspection import Plugin
from mlpipe.recipe.load import LoadedStage
from mlpipe.store.digests import digest_text
from mlpipe.store.files import FileIndex
from mlpipe.types import Artifact, Target

_PATTERN = re.compile(r"[*?\[]")


class Components:
    """Collects what goes into stages; keeps what several of them share.

    Args:
        root: The project's folder.
        index: Remembers what files say.
        target: Where the recipe runs.
        params: The recipe's parameters.
    """

    def __init__(
        self, root: Path, index: FileIndex, target: Target, params: Mapping[str, Any]
    ) -> None:
        self._root = root
        self._index = index
        self._target = target
        self._params = params
        self._traces: dict[tuple[str, str | None], Trace] = {}
        self._module_file = cache(self._find_module)
        self._version_of = cache(version_of)

    def of(
        self,
        stage: LoadedStage,
        plugin: Plugin,
        config: StageConfig,
        settings: Mapping[str, Any],
        inputs: Mapping[str, Artifact],
        identities: Mapping[str, str],
    ) -> dict[str, Any]:
        """Collect the components of one stage."""
        found: dict[str, Any] = {
            "plugin": f"{plugin.name} {plugin.version}",
            "verb": stage.verb.name,
        }
        if self._target.type in config.backends:
            found["target"] = self._target.type
        found.update(("with." + key, value) for key, value in flatten(settings))
        for name in config.parameters():
            found[f"parameter.{name}"] = lookup(self._params, name)
        found.update((f"env.{name}", value) for name, value in stage.spec.env.items())
        found.update((f"input.{name}", each.digest) for name, each in inputs.items())
        found.update((f"outside.{name}", value) for name, value in identities.items())
        found.update(self._files(stage, config))
        return found

    def forget(self) -> None:
        """Trace every script anew from now on."""
        self._traces.clear()
        self._module_file.cache_clear()

    def traces(self, stage: LoadedStage, config: StageConfig) -> Iterator[Trace]:
        """Trace all Python files, notebooks and functions that a stage names, each once."""
        for key in self._python(stage, config):
            if key not in self._traces:
                self._traces[key] = trace(*key, self._index, self._root)
            yield self._traces[key]

    def _python(self, stage: LoadedStage, config: StageConfig) -> Iterator[tuple[str, str | None]]:
        for _, role, value in config.roles():
            if role in (Role.SCRIPT, Role.NOTEBOOK):
                yield value, None
            elif role is Role.FUNCTION and (path := self._module_file(value)):
                yield path, value.partition(":")[2]
        for path in self._named(stage, config):
            if path.endswith(".py"):
                yield path, None

    def _find_module(self, function: str) -> str | None:
        base = function.partition(":")[0].replace(".", "/")
        for path in (f"{base}.py", f"{base}/__init__.py"):
            if (self._root / path).is_file():
                return path
        return None

    def _named(self, stage: LoadedStage, config: StageConfig) -> Iterator[str]:
        """Yield the existing project files of ``files:`` and of the configuration's sources."""
        for pattern in stage.spec.files:
            yield from self._matches(pattern)
        for source in config.sources():
            path = Path(source)
            if path.is_absolute() or ".." in path.parts:
                continue
            if (self._root / path).is_file():
                yield path.as_posix()
            elif _PATTERN.search(source):
                yield from self._matches(source)

    def _matches(self, pattern: str) -> list[str]:
        found = sorted(self._root.glob(pattern))
        return [path.relative_to(self._root).as_posix() for path in found if path.is_file()]

    def _files(self, stage: LoadedStage, config: StageConfig) -> Iterator[tuple[str, Any]]:
        for _, role, value in config.roles():
            if role is Role.INPUT_FILE:
                yield f"file.{value}", self._index.digest(value)
        for path in self._named(stage, config):
            if not path.endswith(".py"):
                yield f"file.{path}", self._index.digest(path)
        packages: set[str] = set()
        for each in self.traces(stage, config):
            for path, facts in each.modules.items():
                yield f"module.{path}", facts.digest
            packages |= each.packages
        for name in sorted(packages):
            if found := self._version_of(name):
                yield f"package.{found[0]}", found[1]


def fingerprint(components: Mapping[str, Any]) -> str:
    """Digest components: the same for the same components, whatever their order."""
    return digest_text(json.dumps(components, sort_keys=True, separators=(",", ":"), default=str))


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of all that is no mapping, or an empty one."""
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from flatten(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def lookup(values: Mapping[str, Any], dotted: str) -> Any:
    """Give a value by dotted name, or ``None``."""
    found: Any = values
    for part in dotted.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
