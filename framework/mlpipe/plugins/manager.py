"""Finding plugins, loading the ones that are named, and quarantining the broken ones."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module, metadata
from types import MappingProxyType, ModuleType

import mlpipe
from mlpipe.plugins.discovery import entry_points
from mlpipe.plugins.inspection import Broken, Plugin, inspect_plugin, unmet_dependencies
from mlpipe.plugins.markers import PROJECT

_BUILTIN = MappingProxyType(
    {"python": "mlpipe.plugins.builtin.python", "shell": "mlpipe.plugins.builtin.shell"}
)


class UnknownPlugin(KeyError):
    """No plugin of that name is installed."""


class PluginManager:
    """The plugins of this environment. Finds by entry point, loads when asked for one.

    Args:
        entry_points: What is installed; found in the environment when left out.
    """

    def __init__(self, entry_points: Sequence[metadata.EntryPoint] | None = None) -> None:
        self._given = entry_points
        self._loaded: dict[str, Plugin] = {}

    @classmethod
    def discover(cls) -> "PluginManager":
        """Make a manager over what is installed. Reads nothing yet."""
        return cls()

    @cached_property
    def _installed(self) -> Mapping[str, list[metadata.EntryPoint]]:
        found: dict[str, list[metadata.EntryPoint]] = {}
        for point in entry_points(PROJECT) if self._given is None else self._given:
            found.setdefault(point.name, []).append(point)
        return found

    def names(self) -> list[str]:
        """Give all installed names, sorted, those of quarantined plugins included."""
        return sorted({*_BUILTIN, *self._installed, *self._loaded})

    def get(self, name: str) -> Plugin:
        """Load a plugin, or give its quarantined form.

        Raises:
            UnknownPlugin: There is none of that name.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def register(self, name: str, module: ModuleType, version: str = "0") -> Plugin:
        """Add a plugin that is not installed, as a test's own module."""
        self._loaded[name] = _inspect(name, module, version, distribution="")
        return self._loaded[name]

    def _load(self, name: str) -> Plugin:
        if name in _BUILTIN:
            module = import_module(_BUILTIN[name])
            return _inspect(name, module, mlpipe.__version__, "mlpipe-framework")
        points = self._installed.get(name)
        if not points:
            raise UnknownPlugin(name)
        return _load_installed(name, points)


def _load_installed(name: str, points: Sequence[metadata.EntryPoint]) -> Plugin:
    distributions = [point.dist.name if point.dist else point.value for point in points]
    version = points[0].dist.version if points[0].dist else "0"
    if len(points) > 1:
        cause = f'the name "{name}" is taken twice, by {" and ".join(sorted(distributions))}'
        return Plugin.broken(name, version, distributions[0], cause)
    if missing := unmet_dependencies(points[0].dist):
        cause = f"unmet dependency: {'; '.join(missing)}"
        return Plugin.broken(name, version, distributions[0], cause)
    try:
        module = points[0].load()
    except (Exception, SystemExit) as error:  # a plugin may raise anything at all
        return Plugin.broken(name, version, distributions[0], _cause(error))
    return _inspect(name, module, version, distributions[0])


def _inspect(name: str, module: ModuleType, version: str, distribution: str) -> Plugin:
    try:
        return inspect_plugin(name, module, version, distribution)
    except Broken as error:
        return Plugin.broken(name, version, distribution, str(error))


def _cause(error: BaseException) -> str:
    """Say what went wrong and where: the last frame that is not the import machinery's."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen") and file != __file__ and "importlib" not in file:
            place = f" ({file}:{trace.tb_lineno})"
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        place = f" ({error.filename}:{error.lineno})"
    text = str(error).splitlines()[0] if str(error) else ""
    name = type(error).__name__
    return f"import failed: {name}: {text}{place}" if text else f"import failed: {name}{place}"
