"""What only the recipe as a whole shows: plugins, references, gates, cycles, paths."""

import ast
import importlib.util
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlpipe.plugins.config import Declares, Role, StageConfig
from mlpipe.plugins.inspection import Plugin
from mlpipe.plugins.manager import PluginManager, UnknownPlugin
from mlpipe.recipe.gates import Gate, parse_gate
from mlpipe.recipe.loaded import LoadedStage, Source
from mlpipe.recipe.models import Recipe, StageSpec
from mlpipe.recipe.problems import Problem, nearest
from mlpipe.recipe.substitute import located_references, references, resolve_run
from mlpipe.recipe.validation import explain
from mlpipe.types import Verb

Path_ = Sequence[str | int]


@dataclass(slots=True)
class Checker:
    """Checks a recipe's stages; collects problems.

    Attributes:
        recipe: What is checked.
        source: Where it stands.
        root: The project's folder.
        plugins: What is installed.
        problems: What was found.
        names: The recipe's stages, those included that are too broken to be checked.
    """

    recipe: Recipe
    source: Source
    root: Path
    plugins: PluginManager
    problems: list[Problem]
    names: Collection[str]
    _functions: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def report(
        self, path: Path_, message: str, hint: str = "", *, key: bool = False, within: str = ""
    ) -> None:
        """Add a problem."""
        self.problems.append(self.source.problem(path, message, hint, key=key, within=within))

    def stages(self) -> dict[str, LoadedStage]:
        """Check all stages; give them in an order in which they can run."""
        self._observers()
        loaded = {}
        for name, spec in self.recipe.stages.items():
            stage = self._stage(name, spec)
            if stage is not None:
                loaded[name] = stage
        for stage in loaded.values():
            self._inputs(stage, loaded)
        self._outputs(loaded)
        order = self._order(loaded)
        return {name: loaded[name] for name in order if name in loaded}

    # -- one stage ----------------------------------------------------------------------

    def _stage(self, name: str, spec: StageSpec) -> LoadedStage | None:
        at = ("stages", name)
        gates = tuple(self._gates(name, spec))
        upstream = self._upstream(name, spec)
        found = self._verb(name, spec)
        if found is None:
            return None
        plugin, verb = found
        schema = plugin.config_type(verb.name)
        config, valid = self._config((*at, "with"), spec, schema)
        declares = Declares()
        if config is not None:
            try:
                declares = config.declares(dict(spec.inputs))
            except ValueError as error:
                self.report((*at, "with"), str(error), key=True)
            self._roles(name, spec, config)
        self._declared_gates(name, gates, declares)
        inputs = {key: _split(text) for key, text in spec.inputs.items()}
        return LoadedStage(
            name=name,
            plugin=plugin.name,
            verb=verb,
            spec=spec,
            schema=schema,
            config=config if valid else None,
            raw_with=spec.with_,
            inputs=inputs,
            upstream=upstream,
            declares=declares,
            gates=gates,
            source=self.source,
        )

    def _verb(self, name: str, spec: StageSpec) -> tuple[Plugin, Verb] | None:
        at = ("stages", name, "uses")
        plugin_name, _, verb = spec.uses.partition(".")
        plugin = self._plugin(at, plugin_name)
        if plugin is None:
            return None
        verbs = plugin.verbs()
        if verb not in verbs:
            message = f'plugin "{plugin_name}" has no verb "{verb}"'
            self.report(at, message, nearest(verb, verbs, "Its verbs"), within=verb)
            return None
        return plugin, verbs[verb]

    def _plugin(self, at: Path_, name: str, *, key: bool = False) -> Plugin | None:
        try:
            plugin = self.plugins.get(name)
        except UnknownPlugin:
            hint = nearest(name, self.plugins.names(), "Installed")
            self.report(at, f'unknown plugin "{name}"', hint, key=key, within=name)
            return None
        if plugin.cause is not None:
            self.report(at, f'plugin "{name}" is quarantined', f"{plugin.cause}.", key=key)
            return None
        return plugin

    def _config(
        self, at: Path_, spec: StageSpec, schema: type[StageConfig]
    ) -> tuple[StageConfig | None, bool]:
        """Validate settings; those that wait for a value of another stage only in part."""
        deferred = any(each.root == "stages" for each in references(spec.with_))
        try:
            return schema.model_validate(resolve_run(spec.with_, "run")), not deferred
        except ValidationError as error:
            for each in explain(error, schema):
                self.report((*at, *each.path), each.message, each.hint, key=each.key)
            return None, False

    def _gates(self, name: str, spec: StageSpec) -> Iterator[Gate]:
        for metric, text in spec.gate.items():
            try:
                yield parse_gate(metric, text)
            except ValueError as error:
                self.report(("stages", name, "gate", metric), str(error))

    def _declared_gates(self, name: str, gates: Sequence[Gate], declares: Declares) -> None:
        if not isinstance(declares.metrics, tuple):
            return
        for gate in gates:
            if gate.metric not in declares.metrics:
                self.report(
                    ("stages", name, "gate", gate.metric),
                    f'the stage reports no metric "{gate.metric}"',
                    nearest(gate.metric, declares.metrics, "Its metrics"),
                    key=True,
                )

    def _upstream(self, name: str, spec: StageSpec) -> tuple[str, ...]:
        """Name the stages that come before; report those that are not there."""
        at = ("stages", name)
        wanted: list[tuple[Path_, str]] = [
            ((*at, "inputs", key), _split(text)[0]) for key, text in spec.inputs.items()
        ]
        wanted += [((*at, "needs", i), each) for i, each in enumerate(spec.needs)]
        for key, value in (("with", spec.with_), ("when", spec.when)):
            for where, each, _ in located_references(value, (*at, key)):
                if each.root == "stages" and all(each.stage):
                    wanted.append((where, each.stage[0]))
        known = []
        for path, stage in wanted:
            if stage in self.names:
                known.append(stage)
            else:
                hint = nearest(stage, self.names, "Stages")
                self.report(path, f'there is no stage "{stage}"', hint, within=stage)
        return tuple(dict.fromkeys(known))

    def _roles(self, name: str, spec: StageSpec, config: StageConfig) -> None:
        checks: Mapping[Role, Callable[[Path_, str, StageSpec], None]] = {
            Role.SCRIPT: self._script,
            Role.FUNCTION: self._function,
            Role.INPUT_FILE: self._file,
            Role.SECRET_NAME: self._secret,
        }
        for path, role, value in config.roles():
            if role in checks and not any(references(value)):
                checks[role](("stages", name, "with", *path), value, spec)

    def _script(self, at: Path_, value: str, spec: StageSpec) -> None:
        if not (self.root / value).is_file():
            folder = (self.root / value).parent
            near = nearest(Path(value).name, _names(folder))
            self.report(at, f'there is no file "{value}"', near or f"Looked in {_show(self.root)}.")

    def _file(self, at: Path_, value: str, spec: StageSpec) -> None:
        if (self.root / value).exists():
            return
        for name, other in self.recipe.stages.items():
            for output, place in _places(other).items():
                if os.path.normpath(place) == os.path.normpath(value):
                    hint = f"Stage {name} makes it: write inputs: {{{output}: {name}.{output}}}."
                    self.report(at, f'there is no file "{value}" before the run', hint)
                    return
        near = nearest(Path(value).name, _names((self.root / value).parent))
        self.report(at, f'there is no file "{value}"', near or f"Looked in {_show(self.root)}.")

    def _secret(self, at: Path_, value: str, spec: StageSpec) -> None:
        if value not in spec.secrets:
            self.report(at, f'"{value}" is no secret of this stage', f"Add secrets: [{value}].")

    def _function(self, at: Path_, value: str, spec: StageSpec) -> None:
        module, _, function = value.partition(":")
        names = self._defined(module)
        if names is not None and function not in names and "*" not in names:
            hint = nearest(function, sorted(names), "Its functions")
            self.report(at, f'module {module} has no function "{function}"', hint)
        elif names is None and not _importable(module):
            near = nearest(module, [path.stem for path in self.root.glob("*.py")])
            hint = near or f"Modules are found from {_show(self.root)}."
            self.report(at, f'there is no module "{module}"', hint)

    def _defined(self, module: str) -> frozenset[str] | None:
        """Give the names that a module of the project defines; ``None`` if it has no such module.

        ``*`` is among them when names can come from elsewhere or the file does not parse.
        """
        if module not in self._functions:
            self._functions[module] = _definitions(self.root, module)
        return self._functions[module]

    # -- between stages -----------------------------------------------------------------

    def _inputs(self, stage: LoadedStage, loaded: Mapping[str, LoadedStage]) -> None:
        for key, (producer, output) in stage.inputs.items():
            if producer not in loaded:
                continue
            outputs = loaded[producer].declares.outputs
            if isinstance(outputs, tuple) and output not in outputs:
                self.report(
                    ("stages", stage.name, "inputs", key),
                    f'stage "{producer}" has no output "{output}"',
                    nearest(output, outputs, "Its outputs"),
                    within=output,
                )

    def _outputs(self, loaded: Mapping[str, LoadedStage]) -> None:
        """Report outputs that leave the project, or that two stages or a source share."""
        taken: dict[str, str] = {}
        read = {
            os.path.normpath(value)
            for stage in loaded.values()
            if stage.config is not None
            for _, role, value in stage.config.roles()
            if role in (Role.SCRIPT, Role.INPUT_FILE)
        }
        for name, stage in loaded.items():
            for path, role, value in stage.config.roles() if stage.config else ():
                if role is not Role.OUTPUT_PATH or any(references(value)):
                    continue
                at = ("stages", name, "with", *path)
                place = os.path.normpath(value)
                if Path(place).is_absolute() or place == "." or Path(place).parts[0] == "..":
                    self.report(at, f'"{value}" is not within the project', "Use a relative path.")
                elif place in read:
                    self.report(at, f'"{value}" is also read as a source', "Choose another path.")
                elif place in taken:
                    message = f'"{value}" is already an output of stage "{taken[place]}"'
                    self.report(at, message, "Choose another path.")
                else:
                    taken[place] = name

    def _observers(self) -> None:
        for name, settings in self.recipe.observers.items():
            plugin = self._plugin(("observers", name), name, key=True)
            if plugin is None:
                continue
            schema = plugin.observer_config()
            if schema is None:
                message = f'plugin "{name}" is no observer'
                self.report(("observers", name), message, key=True)
                continue
            try:
                schema.model_validate(settings)
            except ValidationError as error:
                for each in explain(error, schema):
                    path = ("observers", name, *each.path)
                    self.report(path, each.message, each.hint, key=each.key)

    def _order(self, loaded: Mapping[str, LoadedStage]) -> list[str]:
        """Order stages so that each comes after those it depends on; report a cycle."""
        order: list[str] = []
        state: dict[str, int] = {}
        for first in loaded:
            stack = [(first, iter(loaded[first].upstream))] if first not in state else []
            state.setdefault(first, 1)
            while stack:
                name, rest = stack[-1]
                following = next(
                    (each for each in rest if each in loaded and state.get(each) != 2), None
                )
                if following is None:
                    state[name] = 2
                    order.append(name)
                    stack.pop()
                elif state.get(following) == 1:
                    trail = [each for each, _ in stack]
                    cycle = [*trail[trail.index(following) :], following]
                    shown = " → ".join(reversed(cycle))
                    message = f"the stages depend on each other: {shown}"
                    self.report(("stages", following), message, key=True)
                    return list(loaded)
                else:
                    state[following] = 1
                    stack.append((following, iter(loaded[following].upstream)))
        return order


def _split(reference: str) -> tuple[str, str]:
    stage, _, output = reference.partition(".")
    return stage, output


def _places(spec: StageSpec) -> dict[str, str]:
    outputs: Any = spec.with_.get("outputs")
    items = outputs.items() if isinstance(outputs, Mapping) else ()
    return {name: place for name, place in items if isinstance(place, str)}


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def _show(path: Path) -> str:
    return os.path.relpath(path)


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _definitions(root: Path, module: str) -> frozenset[str] | None:
    base = root.joinpath(*module.split("."))
    for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
        if path.is_file():
            try:
                tree = ast.parse(path.read_bytes())
            except (SyntaxError, ValueError, OSError):
                return frozenset({"*"})
            return frozenset(_bound(tree.body))
    return None


def _bound(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (each.asname or each.name.partition(".")[0] for each in node.names)
        else:  # assignments, conditionals, try: whatever they may bind
            for each in ast.walk(node):
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                    yield each.id
                elif isinstance(each, ast.FunctionDef | ast.ClassDef):
                    yield each.name
                elif isinstance(each, ast.Import | ast.ImportFrom):
                    yield from (one.asname or one.name for one in each.names)
