"""Looking at a plugin's module: what it implements, with what schemas, and what is wrong."""

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from importlib import metadata
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any, TypeVar

import pluggy

from mlpipe.plugins import hookspecs
from mlpipe.plugins.config import ObserverConfig, StageConfig
from mlpipe.plugins.markers import PROJECT, hookspec
from mlpipe.plugins.verbs import VERBS
from mlpipe.types import Verb

#: The lifecycle hooks, which make a plugin an observer.
LIFECYCLE = (
    "run_started",
    "stage_started",
    "stage_event",
    "stage_finished",
    "run_finished",
    "gate_failed",
    "released",
    "rolled_back",
    "stage_environment",
)


_Schema = TypeVar("_Schema", StageConfig, ObserverConfig)


class Broken(Exception):
    """Why a plugin cannot be used."""


@dataclass(frozen=True)
class Plugin:
    """An installed plugin, healthy or quarantined.

    Attributes:
        name: Its entry point's name, as in ``uses: NAME.VERB``.
        version: Its distribution's version.
        distribution: Its distribution's name.
        cause: Why it is quarantined, or ``None``.
        module: Its hookimpls, or ``None``.
        own_verbs: Verbs that it adds.
        configs: The schema by verb (``call`` for a catch-all).
        observer: The schema of its settings as an observer, where it is one.
        wrappers: Verbs that it wraps, by ``hookimpl(wrapper=True)``.
        manager: A pluggy manager that holds this plugin alone.
    """

    name: str
    version: str
    distribution: str
    cause: str | None = None
    module: ModuleType | None = None
    own_verbs: tuple[Verb, ...] = ()
    configs: Mapping[str, type[StageConfig]] = field(default_factory=dict)
    observer: type[ObserverConfig] | None = None
    wrappers: tuple[str, ...] = ()
    manager: pluggy.PluginManager | None = field(default=None, repr=False, compare=False)

    @classmethod
    def broken(cls, name: str, version: str, distribution: str, cause: str) -> "Plugin":
        """Make the quarantined form."""
        return cls(name, version, distribution, cause=cause)

    @property
    def serves_all(self) -> bool:
        """Whether it serves every verb through ``call``."""
        return "call" in self.configs

    def verbs(self) -> Mapping[str, Verb]:
        """Give the verbs that it serves, by name."""
        return self._verbs

    @cached_property
    def _verbs(self) -> Mapping[str, Verb]:
        known = {**VERBS, **{verb.name: verb for verb in self.own_verbs}}
        names = known if self.serves_all else [name for name in known if name in self.configs]
        return MappingProxyType({name: known[name] for name in names})

    def config_type(self, verb: str) -> type[StageConfig]:
        """Give the schema of the ``with:`` block for a verb that it serves."""
        return self.configs.get(verb) or self.configs["call"]

    def observer_config(self) -> type[ObserverConfig] | None:
        """Give the schema of its settings as an observer, or ``None`` where it is none."""
        return self.observer

    def implements(self, hook: str) -> bool:
        """Tell whether it implements a hook."""
        return self.module is not None and _options(self.module, hook) is not None

    def hooks(self) -> pluggy.PluginManager:
        """Give the pluggy manager that holds this plugin alone.

        Raises:
            Broken: The plugin is quarantined.
        """
        if self.manager is None:
            raise Broken(f'plugin "{self.name}" is quarantined: {self.cause}')
        return self.manager


def hook_manager(own_verbs: tuple[Verb, ...] = ()) -> pluggy.PluginManager:
    """Make a pluggy manager with all hookspecs, and those of a plugin's own verbs."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    if own_verbs:
        specs = ModuleType("own_verbs")
        vars(specs).update({verb.name: _verb_spec() for verb in own_verbs})
        manager.add_hookspecs(specs)
    return manager


def _verb_spec() -> Callable[..., Any]:
    def verb(config: object, stage: object) -> Any: ...

    return hookspec(verb)


def inspect_plugin(name: str, module: ModuleType, version: str, distribution: str) -> Plugin:
    """Check a plugin's module and collect what it implements.

    Raises:
        Broken: A hook is unknown or has a wrong signature, or a schema cannot be resolved.
    """
    own_verbs = _own_verbs(module)
    known = {*_spec_names(), *(verb.name for verb in own_verbs)}
    for hook, _ in _hookimpls(module):
        if hook not in known:
            raise Broken(f'unknown hook "{hook}"{_nearest(hook, known)}')
    manager = hook_manager(own_verbs)
    try:
        manager.register(module, name)
        manager.check_pending()
    except (pluggy.PluginValidationError, TypeError) as error:
        raise Broken(f"wrong signature: {_one_line(error)}") from None
    callable_verbs = {*VERBS, "call", *(verb.name for verb in own_verbs)}
    configs = {}
    wrappers = []
    for hook, options in _hookimpls(module):
        if hook in callable_verbs and (options["wrapper"] or options["hookwrapper"]):
            wrappers.append(hook)
        elif hook in callable_verbs:
            configs[hook] = _schema(module, hook, StageConfig)
    return Plugin(
        name=name,
        version=version,
        distribution=distribution,
        module=module,
        own_verbs=own_verbs,
        configs=MappingProxyType(configs),
        observer=_observer_schema(module),
        wrappers=tuple(wrappers),
        manager=manager,
    )


def unmet_dependencies(distribution: metadata.Distribution | None) -> list[str]:
    """Name the requirements of a distribution that this environment does not meet."""
    from packaging.requirements import Requirement

    missing = []
    for text in (distribution.requires or []) if distribution else []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(f"{requirement} is not installed")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            missing.append(f"{requirement} is wanted, {found} is installed")
    return missing


def _spec_names() -> frozenset[str]:
    attribute = f"{PROJECT}_spec"
    return frozenset(n for n, v in vars(hookspecs).items() if getattr(v, attribute, None))


def _hookimpls(module: ModuleType) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in vars(module):
        if (options := _options(module, name)) is not None:
            yield options.get("specname") or name, options


def _options(module: ModuleType, name: str) -> Mapping[str, Any] | None:
    function = vars(module).get(name)
    options = getattr(function, f"{PROJECT}_impl", None) if callable(function) else None
    return options if isinstance(options, dict) else None


def _own_verbs(module: ModuleType) -> tuple[Verb, ...]:
    if _options(module, "register_verbs") is None:
        return ()
    try:
        verbs = tuple(module.register_verbs())
    except Exception as error:  # a plugin may raise anything at all
        raise Broken(f"register_verbs failed: {type(error).__name__}: {error}") from None
    for verb in verbs:
        if not isinstance(verb, Verb) or not verb.name.isidentifier():
            raise Broken(f"register_verbs gave {verb!r}, which is not a mlpipe.Verb")
        if verb.name in _spec_names():
            raise Broken(f'register_verbs gave "{verb.name}", which is a hook of mlpipe\'s own')
    return verbs


def _observer_schema(module: ModuleType) -> type[ObserverConfig] | None:
    hooks = [hook for hook in LIFECYCLE if _options(module, hook) is not None]
    schemas = {_schema(module, hook, ObserverConfig) for hook in hooks}
    schemas = schemas if len(schemas) < 2 else schemas - {ObserverConfig}
    if len(schemas) > 1:
        names = ", ".join(sorted(schema.__name__ for schema in schemas))
        raise Broken(f"its lifecycle hooks disagree on the schema of config: {names}")
    return schemas.pop() if schemas else None


def _schema(module: ModuleType, hook: str, base: type[_Schema]) -> type[_Schema]:
    """Resolve the annotation of a hookimpl's ``config``; no ``config`` means no settings."""
    function = inspect.unwrap(vars(module)[hook])
    if "config" not in inspect.signature(function).parameters:
        return base
    annotation = getattr(function, "__annotations__", {}).get("config")
    if annotation is None:
        raise Broken(f"{hook}: config has no annotation; it is the schema of the recipe's block")
    holder = SimpleNamespace(__annotations__={"config": annotation})
    try:
        hints = typing.get_type_hints(holder, function.__globals__, include_extras=True)
    except Exception as error:  # whatever evaluating an annotation may raise
        raise Broken(f"{hook}: the annotation of config cannot be resolved: {error}") from None
    schema = hints["config"]
    if not (isinstance(schema, type) and issubclass(schema, base)):
        raise Broken(f"{hook}: the annotation of config is no {base.__name__}: {annotation!r}")
    return schema


def _nearest(name: str, known: set[str]) -> str:
    matches = get_close_matches(name, known, 1)
    return f'. Did you mean "{matches[0]}"?' if matches else ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
