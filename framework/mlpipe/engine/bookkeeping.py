"""Recording what happens in a run, and telling whoever shows it."""

import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from mlpipe.engine.endings import Ending
from mlpipe.engine.judging import judge, own_gate
from mlpipe.engine.logs import Logs
from mlpipe.engine.masking import Masker
from mlpipe.engine.observers import ObserverProcess
from mlpipe.engine.reporting import Reporter, StageReport
from mlpipe.plan.assess import Assessor
from mlpipe.plan.values import PlannedStage, Verdict
from mlpipe.store import Store
from mlpipe.store.results import Output, Record
from mlpipe.store.runs import StageRow, StageState
from mlpipe.types import Release


@dataclass(slots=True)
class Bookkeeper:
    """Writes store, journal and logs; keeps the reports of a run's stages.

    Attributes:
        run: The run's identifier.
        assessor: Knows the recipe, and what modules are made of.
        store: Where records go.
        reporter: Shows the run.
        masker: Knows the run's secrets.
        observers: Is told what the journal has, or ``None``.
        reports: How each settled stage stands.
        releases: What was put where.
        warnings: What the user should know.
    """

    run: str
    assessor: Assessor
    store: Store
    reporter: Reporter
    masker: Masker
    observers: ObserverProcess | None = None
    reports: dict[str, StageReport] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _logs: Logs = field(init=False)
    _positions: dict[str, int] = field(init=False)
    _keys: dict[str, str] = field(default_factory=dict)
    _kept: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._logs = Logs(self.masker)
        self._positions = {name: i for i, name in enumerate(self.assessor.recipe.stages)}

    def transaction(self) -> AbstractContextManager[None]:
        """Commit all that is recorded inside at once."""
        return self.store.transaction()

    def tick(self) -> None:
        """Wake observers, hear of their trouble, refresh the terminal."""
        if self.observers is not None:
            self.observers.wake()
            for text in self.observers.reports():
                self.warn(text)
        self.reporter.tick()

    def warn(self, text: str) -> None:
        """Tell the user something, now and at the end."""
        text = self.masker.text(text)
        self.warnings.append(text)
        self.reporter.warning(text)

    def event(self, kind: str, stage: str = "", /, **data: Any) -> None:
        """Add an event to the journal."""
        self.store.journal.append(self.run, kind, stage, **self.masker.value(data))

    # -- an attempt ---------------------------------------------------------------------

    def key(self, planned: PlannedStage, attempt: int) -> str:
        """Give the idempotency key: that of an attempt that was cut off, or a new one."""
        kept = self.store.runs.unfinished_key(str(planned.fingerprint)) if attempt == 1 else None
        if kept is not None:
            return kept
        name = re.sub(r"[^a-z0-9]+", "-", f"{self.assessor.recipe.name}-{planned.name}".lower())
        suffix = f"-{self.run}" if attempt == 1 else f"-{self.run}-{attempt}"
        return name[: 40 - len(suffix)].strip("-") + suffix

    def started(self, planned: PlannedStage, attempt: int, key: str, when: float) -> None:
        """Record the intent to run an attempt, before it is begun."""
        self._keys[planned.name] = key
        self._kept.pop(planned.name, None)
        row = self._row(planned, state=StageState.RUNNING, attempt=attempt, started=when)
        with self.store.transaction(durable=planned.stage.verb.effects):
            self.store.runs.put_stages([row])
            self.event(
                "stage_started",
                planned.name,
                attempt=attempt,
                uses=planned.stage.spec.uses,
                config=dict(planned.settings),
                reason=planned.reason,
                inputs={
                    name.removeprefix("input."): digest
                    for name, digest in planned.components.items()
                    if name.startswith("input.")
                },
                log=self._log(planned.name, attempt),
            )
        self.reporter.stage_started(
            StageReport(
                planned.name,
                planned.stage.spec.uses,
                StageState.RUNNING,
                text=planned.reason,
                attempt=attempt,
            )
        )

    def process(self, planned: PlannedStage, process: str) -> None:
        """Record which process an attempt is."""
        self.store.runs.set_process(self.run, planned.name, process)

    def logged(self, stage: str, attempt: int, text: str) -> None:
        """Write to an attempt's log."""
        line = self._logs.write(self.store.log(self.run, stage, attempt), text)
        if line:
            self.reporter.stage_said(stage, line)

    def log_ended(self, stage: str, attempt: int) -> None:
        """Close an attempt's log."""
        self._logs.end(self.store.log(self.run, stage, attempt))

    def said(self, stage: str, kind: str, payload: Mapping[str, Any]) -> None:
        """Record an event of a stage's own."""
        if kind == "artifact" and payload.get("kept"):
            self._kept.setdefault(stage, []).append(str(payload["location"]))
        self.event("stage_event", stage, kind=kind, payload=payload)

    # -- how a stage ends -----------------------------------------------------------------

    def finished(
        self, planned: PlannedStage, attempt: int, started: float, result: Mapping[str, Any]
    ) -> tuple[Record, StageState]:
        """Record a success: exactly once, with all that it made."""
        now = time.time()
        result = self.masker.value(result)
        record = Record(
            fingerprint=str(planned.fingerprint),
            run=self.run,
            components=self.masker.value(planned.components),
            outputs={name: Output(**output) for name, output in result["outputs"].items()},
            metrics=result["metrics"],
            values=result["values"],
            summary=result["summary"],
            created=now,
        )
        recipe = self.assessor.recipe
        with self.store.transaction(durable=planned.stage.verb.effects):
            self.store.results.put(record, recipe.name, planned.name, recipe.target.name)
            self.store.put_definitions(self.assessor.definitions(planned))
            for facts in result["releases"]:
                self._release(planned, Release(**facts))
            state, error = self._judge(planned, record, StageState.DONE)
            self._settle(Ending(planned, state, attempt, started, now, record, error=error))
        return record, state

    def hit(self, planned: PlannedStage) -> StageState:
        """Record that an earlier result is used, its outputs where they belong."""
        record = planned.record
        assert record is not None
        record = self.store.restore(record, planned.restore)
        state = StageState.IN_PLACE if planned.verdict is Verdict.IN_PLACE else StageState.CACHED
        state, error = self._judge(planned, record, state)
        self._settle(Ending(planned, state, record=record, error=error))
        return state

    def skipped(self, planned: PlannedStage) -> None:
        """Record that a stage takes no part."""
        self._settle(Ending(planned, StageState.SKIPPED))

    def held_back(self, planned: PlannedStage, blocker: str) -> None:
        """Record that a stage never began."""
        text = f"waiting for {blocker}" if blocker else "not begun"
        self._settle(Ending(planned, StageState.WAITING, text=text))

    def interrupted(self, planned: PlannedStage, attempt: int, started: float) -> None:
        """Record that an attempt was stopped from outside; its key is used again."""
        self._settle(Ending(planned, StageState.INTERRUPTED, attempt, started, time.time()))

    def failed(
        self, planned: PlannedStage, attempt: int, started: float, error: Mapping[str, Any]
    ) -> None:
        """Record a failure."""
        now = time.time()
        error = self.masker.value(error)
        self._settle(Ending(planned, StageState.FAILED, attempt, started, now, error=error))

    def missed(
        self, planned: PlannedStage, attempt: int, started: float, error: Mapping[str, Any]
    ) -> None:
        """Record that a stage missed a bound of its own."""
        facts, text = own_gate(planned.stage, *error["gate"])
        self.event("gate_failed", planned.name, **facts)
        error = self.masker.value({key: error[key] for key in ("what", "where", "fix")})
        state, now = StageState.GATE_FAILED, time.time()
        self._settle(Ending(planned, state, attempt, started, now, text=text, error=error))

    def will_retry(
        self, planned: PlannedStage, attempt: int, error: Mapping[str, Any], delay: float
    ) -> None:
        """Record that an attempt failed and another follows."""
        what = self.masker.text(str(error["what"]))
        self.warn(f"{planned.name}: attempt {attempt} failed: {what}; again in {delay:g} s")

    def _settle(self, ending: Ending) -> None:
        name = ending.planned.name
        self.store.runs.put_stages([self._row(ending.planned, **ending.row())])
        self.event("stage_finished", name, log=self._log(name, ending.attempt), **ending.event())
        report = ending.report(tuple(self._kept.get(name, ())))
        self.reports[name] = report
        self.reporter.stage_finished(report)

    def _judge(
        self, planned: PlannedStage, record: Record, state: StageState
    ) -> tuple[StageState, dict[str, Any] | None]:
        """Hold a result against its stage's gates; tell of those that it misses."""
        judgement = judge(planned.stage, record, self.assessor.recipe)
        for missed in judgement.missed:
            self.event("gate_failed", planned.name, **missed)
        if judgement.error is not None:
            return StageState.FAILED, judgement.error
        return (StageState.GATE_FAILED if judgement.missed else state), None

    def _release(self, planned: PlannedStage, release: Release) -> None:
        made, new = self.store.releases.record(
            release,
            plugin=planned.stage.plugin,
            run=self.run,
            target=self.assessor.recipe.target,
            secrets=list(planned.stage.spec.secrets),
        )
        self.releases.append(made)
        if new:
            self.event(
                "released",
                planned.name,
                kind=made.kind,
                name=made.name,
                label=made.label,
                payload=dict(made.payload),
            )

    def _log(self, stage: str, attempt: int) -> str:
        return str(self.store.log(self.run, stage, attempt))

    def _row(self, planned: PlannedStage, **facts: Any) -> StageRow:
        return StageRow(
            run=self.run,
            name=planned.name,
            position=self._positions[planned.name],
            uses=planned.stage.spec.uses,
            reason=planned.reason,
            fingerprint=planned.fingerprint,
            key=self._keys.get(planned.name),
            **facts,
        )
