"""Whether an earlier result can be used again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from mlpipe.plan.values import PlannedStage, Verdict
from mlpipe.plan.wholeness import Inspector
from mlpipe.plugins.config import StageConfig
from mlpipe.recipe.loaded import LoadedRecipe
from mlpipe.store import Store
from mlpipe.store.results import Record


@dataclass(frozen=True, slots=True)
class Hits:
    """Finds results by fingerprint: those of this machine, then those of ``mlpipe.lock``.

    Attributes:
        recipe: What is planned.
        store: Where results are; only read.
        inspector: Tells whether outputs are whole.
    """

    recipe: LoadedRecipe
    store: Store
    inspector: Inspector

    def find(self, base: PlannedStage, config: StageConfig) -> PlannedStage | None:
        """Give the verdict on a stage that has a result of the same fingerprint, else ``None``.

        Args:
            base: The stage with its fingerprint.
            config: Its settings.
        """
        name, mark = base.name, str(base.fingerprint)
        record = self.store.results.get(mark)
        local = record is not None
        record = record or self.store.lockfile.get(
            self.recipe.name, name, self.recipe.target.name, mark
        )
        if record is None:
            return None
        found = self.inspector.look(record)
        gone = [n for n in found.missing if local or record.outputs[n].place]
        if found.damaged or gone:
            return _incomplete(base, record, found.damaged, tuple(gone), local)
        if unkept := self._unkept(config, record, found.missing):
            return replace(base, reason=unkept)
        warnings = tuple(
            f"{name}: {record.outputs[n].place} is not what run {record.run} made; it is left alone"
            for n in found.edited
        )
        return replace(
            base,
            verdict=Verdict.CACHED,
            reason=f"result of run {record.run}{_notes(found.missing, local=local)}",
            record=record,
            restore=found.restore,
            absent=found.missing,
            warnings=warnings,
        )

    def _unkept(self, config: StageConfig, record: Record, missing: Collection[str]) -> str:
        """Say which output is no longer kept as the stage left it, or ``""``."""
        asked = (
            f"output {name} of run {record.run} {said}"
            for name, each in record.outputs.items()
            if not each.stored and name not in missing
            if (said := config.unkept(self.recipe.root, each.location, each.digest))
        )
        return next(asked, "")


def _incomplete(
    base: PlannedStage,
    record: Record,
    damaged: tuple[str, ...],
    gone: tuple[str, ...],
    local: bool,
) -> PlannedStage:
    name = (damaged or gone)[0]
    # What is only referred to is somebody else's to change, as another version of data.
    changed = "is damaged" if record.outputs[name].stored else "is another now"
    reason = f"output {name} of run {record.run} {changed if damaged else 'is missing'}"
    where = record.outputs[name].location
    warning = f"{base.name}: {reason} ({where}); it is made again"
    return replace(base, reason=reason, warnings=(warning,) if local else ())


def _notes(absent: Sequence[str], *, local: bool) -> str:
    notes = [] if local else ["mlpipe.lock"]
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        notes.append(f"{', '.join(absent[:3])}{more} not on this machine")
    return f" ({'; '.join(notes)})" if notes else ""
