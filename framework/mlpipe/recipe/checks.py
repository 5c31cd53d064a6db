"""What only the recipe as a whole shows: plugins, references, gates, cycles."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mlpipe.plugins.config import OPEN, Declares, Role, StageConfig
from mlpipe.plugins.inspection import Plugin
from mlpipe.plugins.manager import PluginManager, UnknownPlugin
from mlpipe.recipe.channels import path_of_channel, unquoted
from mlpipe.recipe.gates import Gate, parse_gate
from mlpipe.recipe.loaded import LoadedStage, Source
from mlpipe.recipe.models import Recipe, StageSpec
from mlpipe.recipe.order import ordered, shown
from mlpipe.recipe.paths import Named, PathChecks
from mlpipe.recipe.problems import Problem, nearest
from mlpipe.recipe.substitute import (
    Unresolvable,
    find_parameter,
    located_references,
    references,
    resolve_run,
)
from mlpipe.recipe.validation import explain
from mlpipe.recipe.yamltree import KeyPath
from mlpipe.types import Verb

_Schema = TypeVar("_Schema", bound=BaseModel)

_COMPARISON = re.compile(r".+(==|!=|<|>).+", re.DOTALL)


@dataclass(slots=True)
class Checker:
    """Checks a recipe's stages; collects problems.

    Attributes:
        recipe: What is checked.
        source: Where it stands.
        root: The project's folder.
        plugins: What is installed.
        params: The recipe's parameters.
        problems: What was found.
        names: The recipe's stages, those included that are too broken to be checked.
        observer_secrets: Names of the secrets that observers use, known when all is checked.
    """

    recipe: Recipe
    source: Source
    root: Path
    plugins: PluginManager
    params: Mapping[str, Any]
    problems: list[Problem]
    names: Sequence[str]
    observer_secrets: set[str] = field(init=False, default_factory=set)
    _numbers: dict[str, int] = field(init=False)
    _nearest: dict[str, str] = field(default_factory=dict)
    _named: list[Named] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = {name: number for number, name in enumerate(self.names)}

    def report(
        self, path: KeyPath, message: str, hint: str = "", *, key: bool = False, within: str = ""
    ) -> None:
        """Add a problem."""
        of_channel = path_of_channel(path, self.recipe, self.plugins)
        problem = self.source.problem(of_channel or path, message, hint, key=key, within=within)
        self.problems.append(unquoted(problem) if of_channel else problem)

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
            self._values(stage, loaded)
        recipes = list(self.source.tree.sources) if self.source.tree else []
        PathChecks(self.root, recipes, self.report).check(self._named)
        order, circles = ordered({name: stage.upstream for name, stage in loaded.items()})
        for circle in circles:
            message = f"the stages depend on each other: {shown(circle)}"
            self.report(("stages", circle[0]), message, key=True)
        return {name: loaded[name] for name in order}

    # -- one stage ----------------------------------------------------------------------

    def _stage(self, name: str, spec: StageSpec) -> LoadedStage | None:
        gates = tuple(self._gates(name, spec))
        upstream = self._upstream(name, spec)
        self._when(name, spec)
        self._files(name, spec)
        found = self._verb(name, spec)
        if found is None:
            return None
        plugin, verb = found
        schema = plugin.config_type(verb.name)
        config = self._validated(("stages", name, "with"), resolve_run(spec.with_, "run"), schema)
        declares = self._declared(name, spec, config, plugin) if config else Declares()
        self._declared_gates(name, gates, declares)
        late = any(each.root == "stages" for each in references(spec.with_))
        return LoadedStage(
            name=name,
            plugin=plugin.name,
            verb=verb,
            spec=spec,
            schema=schema,
            config=None if late else config,
            raw_with=spec.with_,
            inputs={key: _split(text) for key, text in spec.inputs.items()},
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

    def _plugin(self, at: KeyPath, name: str, *, key: bool = False) -> Plugin | None:
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

    def _validated(self, at: KeyPath, settings: Any, schema: type[_Schema]) -> _Schema | None:
        """Validate settings; errors of values that wait for another stage are not reported."""
        try:
            return schema.model_validate(settings)
        except ValidationError as error:
            for each in explain(error, schema):
                if not each.pending:
                    self.report((*at, *each.path), each.message, each.hint, key=each.key)
        except Exception as error:  # a plugin's validator may raise anything at all
            self._failed(at, "checking its settings", error)
        return None

    def _declared(
        self, name: str, spec: StageSpec, config: StageConfig, plugin: Plugin
    ) -> Declares:
        """Ask the settings what the stage will produce, and which files and parameters it names."""
        at = ("stages", name, "with")
        try:
            for path, role, value in config.roles():
                self._role(Named(name, (*at, *path), role, value), spec)
            unfilled = {each.rest for each in references(spec.with_) if each.root == "params"}
            for parameter in config.parameters():
                if parameter not in unfilled:
                    self._parameter(at, parameter)
            return config.declares(dict(spec.inputs))
        except ValueError as error:
            self.report(at, str(error), key=True)
        except Exception as error:  # as above
            self._failed(at, "saying what the stage produces", error)
        return Declares()

    def _failed(self, at: KeyPath, doing: str, error: Exception) -> None:
        message = f"the plugin failed when {doing}: {type(error).__name__}: {error}"
        self.report(at, message, "This is a fault of the plugin, not of the recipe.", key=True)

    def _role(self, named: Named, spec: StageSpec) -> None:
        if named.role is not Role.SECRET_NAME:
            self._named.append(named)
        elif named.value not in spec.secrets and not any(references(named.value)):
            message = f'"{named.value}" is no secret of this stage'
            self.report(named.path, message, f"Add secrets: [{named.value}].")

    def _parameter(self, at: KeyPath, name: str) -> None:
        try:
            find_parameter(name, self.params)
        except Unresolvable as error:
            self.report(at, error.what, error.fix or "", within=f"params.{name}")

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
        wanted: list[tuple[KeyPath, str]] = [
            ((*at, "inputs", key), _split(text)[0]) for key, text in spec.inputs.items()
        ]
        wanted += [((*at, "needs", i), each) for i, each in enumerate(spec.needs)]
        wanted += [(where, stage) for where, stage, _ in _late(name, spec)]
        for path, stage in wanted:
            if stage not in self._numbers:
                if stage not in self._nearest:
                    self._nearest[stage] = nearest(stage, self.names, "Stages")
                message = f'there is no stage "{stage}"'
                self.report(path, message, self._nearest[stage], within=stage)
        known = {stage for _, stage in wanted if stage in self._numbers}
        return tuple(sorted(known, key=self._numbers.__getitem__))

    def _when(self, name: str, spec: StageSpec) -> None:
        when = spec.when
        if isinstance(when, bool) or _COMPARISON.fullmatch(when):
            return
        if any(written == when for _, _, written in located_references(when, ())):
            return
        hint = "Write true, false, or a comparison as ${params.rows} > 1000."
        self.report(("stages", name, "when"), f'"{when}" is neither true nor false', hint)

    def _files(self, name: str, spec: StageSpec) -> None:
        for index, pattern in enumerate(spec.files):
            parts = PurePath(pattern).parts
            wrong = not parts or PurePath(pattern).is_absolute() or ".." in parts
            if wrong or "\0" in pattern or any("**" in part != "**" for part in parts):
                message = f'"{pattern}" is no pattern of files within the project'
                hint = 'Write a relative one, as "queries/**/*.sql".'
                self.report(("stages", name, "files", index), message, hint)

    # -- between stages -----------------------------------------------------------------

    def _inputs(self, stage: LoadedStage, loaded: Mapping[str, LoadedStage]) -> None:
        for key, (producer, output) in stage.inputs.items():
            outputs = loaded[producer].declares.outputs if producer in loaded else OPEN
            if isinstance(outputs, tuple) and output not in outputs:
                self.report(
                    ("stages", stage.name, "inputs", key),
                    f'stage "{producer}" has no output "{output}"',
                    nearest(output, outputs, "Its outputs"),
                    within=output,
                )

    def _values(self, stage: LoadedStage, loaded: Mapping[str, LoadedStage]) -> None:
        for where, producer, value in _late(stage.name, stage.spec):
            declares = loaded[producer].declares if producer in loaded else Declares()
            metrics, values = declares.metrics, declares.values
            if not isinstance(metrics, tuple) or not isinstance(values, tuple):
                continue
            if value not in (*metrics, *values):
                message = f'stage "{producer}" gives no value "{value}"'
                hint = nearest(value, (*metrics, *values), "Its values")
                self.report(where, message, hint, within=f"{producer}.{value}")

    def _observers(self) -> None:
        for name, settings in self.recipe.observers.items():
            at = ("observers", name)
            plugin = self._plugin(at, name, key=True)
            if plugin is None:
                continue
            schema = plugin.observer_config()
            if schema is None:
                self.report(at, f'plugin "{name}" is no observer', key=True)
                continue
            if (config := self._validated(at, settings, schema)) is not None:
                found = config.roles()
                self.observer_secrets |= {v for _, role, v in found if role is Role.SECRET_NAME}


def _split(reference: str) -> tuple[str, str]:
    stage, _, output = reference.partition(".")
    return stage, output


def _late(name: str, spec: StageSpec) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield where a stage refers to another one's value, that stage, and the value's name."""
    for key, value in (("with", spec.with_), ("when", spec.when)):
        for where, reference, _ in located_references(value, ("stages", name, key)):
            if reference.root == "stages" and all(reference.stage):
                yield (where, *reference.stage)
