"""How the stages of a run stand: what is ready, what waits, what is settled."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mlpipe.plan.values import Plan, Verdict
from mlpipe.store.results import Record
from mlpipe.store.runs import StageState


@dataclass(slots=True)
class Progress:
    """The state of a run, by stage. Only the runner changes it.

    Attributes:
        plan: What is executed.
        states: By stage.
        records: Results so far, by stage.
        held: Hits that missed their gate; what depends on them never becomes ready.
        skipped: Stages whose ``when:`` said no, and what depends on them.
    """

    plan: Plan
    held: frozenset[str] = frozenset()
    states: dict[str, StageState] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    _missing: dict[str, int] = field(default_factory=dict)
    _downstream: dict[str, list[str]] = field(default_factory=dict)
    _ready: deque[str] = field(default_factory=deque)

    def __post_init__(self) -> None:
        counted = self.held | {each.name for each in self.plan.with_verdict(Verdict.RUN)}
        for name, planned in self.plan.stages.items():
            self.states[name] = StageState.WAITING
            if planned.record is not None:
                self.records[name] = planned.record
            if planned.verdict is Verdict.RUN:
                upstream = [each for each in planned.stage.upstream if each in counted]
                self._missing[name] = len(upstream)
                for each in upstream:
                    self._downstream.setdefault(each, []).append(name)
        self._ready.extend(name for name in self._missing if not self._missing[name])

    def take(self) -> str | None:
        """Give the next stage that can run, once; the recipe's order among equals."""
        return self._ready.popleft() if self._ready else None

    @property
    def ready(self) -> bool:
        """Whether there is a stage that can run."""
        return bool(self._ready)

    def settle(self, name: str, state: StageState, record: Record | None = None) -> None:
        """Settle a stage; what waited only for it becomes ready, if it succeeded or is skipped."""
        self.states[name] = state
        if record is not None:
            self.records[name] = record
        if state is StageState.SKIPPED:
            self.skipped.add(name)
        if state.succeeded or state is StageState.SKIPPED:
            for each in self._downstream.get(name, ()):
                self._missing[each] -= 1
                if not self._missing[each]:
                    self._ready.append(each)

    def upstream(self, name: str) -> Mapping[str, Record | None]:
        """Give the results of the stages that a stage depends on."""
        upstream = self.plan.stages[name].stage.upstream
        return {each: self.records.get(each) for each in upstream}

    def held_back(self) -> Iterator[tuple[str, str]]:
        """Yield each stage that was asked for and never began, with what it waits for."""
        for name, state in self.states.items():
            if state is StageState.WAITING and name in self._missing:
                upstream = self.plan.stages[name].stage.upstream
                blockers = [
                    each
                    for each in upstream
                    if each in (*self._missing, *self.held) and not self.states[each].succeeded
                ]
                yield name, blockers[0] if blockers else ""
