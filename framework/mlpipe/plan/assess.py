"""The verdict on one stage, given what earlier stages have made."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlpipe.errors import MlpipeError
from mlpipe.plan.changes import DefinitionsOf, compare
from mlpipe.plan.conditions import holds
from mlpipe.plan.fingerprint import Components, fingerprint
from mlpipe.plan.hits import Hits
from mlpipe.plan.values import Change, Outside, PlannedStage, Verdict
from mlpipe.plan.wholeness import Inspector
from mlpipe.plugins.config import StageConfig
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import LoadedRecipe, LoadedStage
from mlpipe.recipe.substitute import Unresolvable, resolve_deferred
from mlpipe.store import Store
from mlpipe.store.results import Record
from mlpipe.types import Artifact


class Assessor:
    """Judges stages; the planner asks it before a run, the runner as results come in.

    Args:
        recipe: What is planned.
        store: Where results are; only read.
        plugins: Who serves the stages.
        outside: Looks at the outside world, or ``None`` to leave that out.
        force: Names of stages to run even if nothing changed.
        verify: Digest every byte of a hit's outputs.
    """

    def __init__(
        self,
        recipe: LoadedRecipe,
        store: Store,
        plugins: PluginManager,
        outside: Outside | None = None,
        *,
        force: frozenset[str] = frozenset(),
        verify: bool = False,
    ) -> None:
        self._recipe = recipe
        self._store = store
        self._plugins = plugins
        self._outside = outside
        self._force = force
        self._resolved: dict[str, tuple[Mapping[str, str], str]] = {}
        inspector = Inspector(recipe.root, store.artifacts, store.files, verify=verify)
        self._hits = Hits(recipe, store, inspector)
        self._components = Components(recipe.root, store.files, recipe.target, recipe.params)

    @property
    def recipe(self) -> LoadedRecipe:
        """What is planned."""
        return self._recipe

    def refresh(self) -> None:
        """Look at all files anew from now on."""
        self._store.files.forget()
        self._components.forget()

    def assess(
        self,
        stage: LoadedStage,
        records: Mapping[str, Record | None],
        skipped: frozenset[str] = frozenset(),
        *,
        preview: bool = True,
    ) -> PlannedStage:
        """Judge a stage.

        Args:
            stage: The stage.
            records: The result of each earlier stage that it depends on; ``None`` where it
                is not known before that stage has run.
            skipped: Names of stages that are skipped.
            preview: Whether to ask plugins what a verb with effects would do.
        """
        for name in stage.upstream:
            if name in skipped:
                return PlannedStage(stage, Verdict.SKIPPED, f"{name} is skipped")
        unknown = [name for name in stage.upstream if records.get(name) is None]
        known = {name: record for name, record in records.items() if record is not None}
        try:
            if not holds(stage.spec.when, _values(known)):
                return PlannedStage(stage, Verdict.SKIPPED, f"when: {stage.spec.when}")
            settings = resolve_deferred(stage.raw_with, _values(known))
        except Unresolvable:
            if not unknown:
                raise
            return PlannedStage(stage, Verdict.RUN, _waits(stage, unknown[0]))
        inputs = {} if unknown else _artifacts(stage, known)
        identities, trouble = self._resolve(stage, settings, inputs)
        if unknown:
            return PlannedStage(
                stage, Verdict.RUN, _waits(stage, unknown[0]), identities=identities
            )
        return self._judge(stage, settings, known, identities, trouble, preview=preview)

    def _judge(
        self,
        stage: LoadedStage,
        settings: Mapping[str, Any],
        records: Mapping[str, Record],
        identities: Mapping[str, str],
        trouble: str,
        *,
        preview: bool,
    ) -> PlannedStage:
        config = stage.config or stage.validate(settings)
        inputs = _artifacts(stage, records)
        plugin = self._plugins.get(stage.plugin)
        components = self._components.of(stage, plugin, config, settings, inputs, identities)
        mark = fingerprint(components)
        base = PlannedStage(
            stage,
            Verdict.RUN,
            trouble,
            fingerprint=mark,
            components=components,
            identities=identities,
            settings=settings,
        )
        if stage.verb.effects:
            return self._with_effects(base, inputs, preview=preview)
        if stage.name in self._force:
            return replace(base, reason="forced")
        if not stage.verb.cached:
            return replace(base, reason="always runs")
        if not stage.spec.cache:
            return replace(base, reason="cache: false")
        if trouble:
            return base
        return self._from_cache(base, config)

    def _from_cache(self, base: PlannedStage, config: StageConfig) -> PlannedStage:
        found = self._hits.find(base, config)
        return self._explained(base, config) if found is None else found

    def _explained(self, base: PlannedStage, config: StageConfig) -> PlannedStage:
        changes = self.changes(base, config)
        if changes is None:
            return replace(base, reason="new")
        more = f" (+{len(changes) - 1} more)" if len(changes) > 1 else ""
        reason = f"{changes[0]}{more}" if changes else "its result is gone"
        return replace(base, reason=reason, changes=changes)

    def changes(self, planned: PlannedStage, config: StageConfig) -> tuple[Change, ...] | None:
        """Name what changed since the newest result of a stage; ``None`` if it has none."""
        latest = self.latest(planned.name)
        if latest is None:
            return None
        stage = planned.stage
        return compare(
            latest.components,
            planned.components,
            producers={name: producer for name, (producer, _) in stage.inputs.items()},
            chains=self._chains(stage, config),
            definitions=DefinitionsOf(self._store.database, self.definitions(planned)),
        )

    def latest(self, stage: str) -> Record | None:
        """Give the newest result of a stage, whatever went into it."""
        recipe, target = self._recipe.name, self._recipe.target.name
        found = self._store.results.latest(recipe, stage, target)
        return found or self._store.lockfile.latest(recipe, stage, target)

    def definitions(self, planned: PlannedStage) -> dict[str, Any]:
        """Give line and digest of all definitions that go into a stage, by module digest."""
        if not any(key.startswith("module.") for key in planned.components):
            return {}
        config = planned.stage.config or planned.stage.validate(planned.settings)
        return {
            facts.digest: facts.summary()
            for each in self._components.traces(planned.stage, config)
            for facts in each.modules.values()
        }

    def _chains(self, stage: LoadedStage, config: StageConfig) -> dict[str, str]:
        chains: dict[str, str] = {}
        for each in self._components.traces(stage, config):
            for path in each.modules:
                way = [path]
                while way[0] in each.importers:
                    way.insert(0, each.importers[way[0]])
                chains.setdefault(path, " → ".join(way))
        return chains

    def _with_effects(
        self, base: PlannedStage, inputs: Mapping[str, Artifact], *, preview: bool
    ) -> PlannedStage:
        stage = base.stage
        if (
            not preview
            or self._outside is None
            or not self._plugins.get(stage.plugin).implements("preview")
        ):
            return replace(base, reason=base.reason or "has effects")
        try:
            actions = self._outside.preview(stage, base.settings, inputs)
        except MlpipeError as error:
            return replace(
                base, reason="its actions are not known", warnings=(f"{stage.name}: {error}",)
            )
        record = self._store.results.get(str(base.fingerprint))
        if actions or record is None or stage.name in self._force:
            count = f"{len(actions)} action{'' if len(actions) == 1 else 's'}"
            return replace(base, reason=count, actions=actions)
        return replace(base, verdict=Verdict.IN_PLACE, reason="nothing to do", record=record)

    def _resolve(
        self, stage: LoadedStage, settings: Mapping[str, Any], inputs: Mapping[str, Artifact]
    ) -> tuple[Mapping[str, str], str]:
        """Ask once, so that a run does what its plan says; again where inputs were needed."""
        _, trouble = self._resolved.get(stage.name, ({}, ""))
        if stage.name not in self._resolved or (trouble and inputs):
            self._resolved[stage.name] = self._ask(stage, settings, inputs)
        return self._resolved[stage.name]

    def _ask(
        self, stage: LoadedStage, settings: Mapping[str, Any], inputs: Mapping[str, Artifact]
    ) -> tuple[Mapping[str, str], str]:
        if not self._plugins.get(stage.plugin).implements("resolve"):
            return {}, ""
        if not (stage.config or stage.validate(settings)).outside():
            return {}, ""
        if self._outside is None:
            return {}, "its source was not looked at (offline)"
        try:
            return self._outside.resolve(stage, settings, inputs), ""
        except MlpipeError as error:
            return {}, f"its source cannot be resolved: {str(error).splitlines()[0]}"


def _waits(stage: LoadedStage, upstream: str) -> str:
    names = [name for name, (producer, _) in stage.inputs.items() if producer == upstream]
    return f"input {names[0]} changes ({upstream})" if names else f"after {upstream}"


def _artifacts(stage: LoadedStage, records: Mapping[str, Record]) -> dict[str, Artifact]:
    return {
        name: records[producer].outputs[output].artifact(output)
        for name, (producer, output) in stage.inputs.items()
        if output in records[producer].outputs
    }


def _values(records: Mapping[str, Record]) -> dict[str, Any]:
    return {name: {**record.metrics, **record.values} for name, record in records.items()}
