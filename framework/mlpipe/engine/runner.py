"""The loop that executes a plan: one thread, driven by what executors report."""

import heapq
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from mlpipe.engine.attempts import Attempt
from mlpipe.engine.bookkeeping import Bookkeeper
from mlpipe.engine.jobs import Ended, Logged, Said, Started, WorkerEvent
from mlpipe.engine.progress import Progress
from mlpipe.engine.requests import Requests
from mlpipe.engine.workers import Executor, ending
from mlpipe.errors import UserError
from mlpipe.plan.assess import Assessor
from mlpipe.plan.values import PlannedStage, Verdict
from mlpipe.store.runs import StageState

_TICK = 0.1
_GRACE = 5.0
_REFRESH = 0.5
_STOPPING = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Runner:
    """Executes the stages of a plan that have to run.

    Attributes:
        progress: How the stages stand.
        assessor: Judges each stage again when its turn has come: results of earlier stages
            are known then, and files may have changed since the plan was made.
        executor: Runs attempts.
        requests: Makes jobs.
        books: Records what happens, and tells whoever shows it.
        jobs: How many stages may run at once.
        keep_going: Whether stages that do not depend on a failed one still begin.
    """

    progress: Progress
    assessor: Assessor
    executor: Executor
    requests: Requests
    books: Bookkeeper
    jobs: int
    keep_going: bool
    _running: dict[int, Attempt] = field(default_factory=dict)
    _retries: list[tuple[float, str, int]] = field(default_factory=list)
    _interrupts: int = 0
    _failed: bool = False
    _refreshed: float = 0.0

    def run(self) -> None:
        """Run to the end: all settled, or nothing left that may begin."""
        with self._signals():
            events: list[WorkerEvent] = []
            while events or self._running or self._waiting:
                self._submit(self._record(events))
                self._watch_time()
                self.books.tick()
                events = self.executor.wait(self._pause())

    def _record(self, events: list[WorkerEvent]) -> list[Attempt]:
        """Record what happened and, in the same commit, what begins because of it."""
        if not events and not (self._waiting and len(self._running) < self.jobs):
            return []
        with self.books.transaction():
            for event in events:
                self._handle(event)
            return self._start_ready()

    @property
    def _waiting(self) -> bool:
        """Whether there is something that may begin, be it later."""
        return self._may_begin and (self.progress.ready or bool(self._retries))

    def abandon(self) -> None:
        """Record the stages that still run as interrupted, when the run cannot go on."""
        for attempt in self._running.values():
            self.progress.settle(attempt.planned.name, StageState.INTERRUPTED)
            self.books.interrupted(attempt.planned, attempt.number, attempt.started)
        self._running.clear()

    @property
    def _may_begin(self) -> bool:
        return not self._interrupts and (self.keep_going or not self._failed)

    # -- beginning ----------------------------------------------------------------------

    def _start_ready(self) -> list[Attempt]:
        """Judge stages whose turn has come; give the attempts that are to begin."""
        begun: list[Attempt] = []
        now = time.monotonic()
        while self._may_begin and len(self._running) + len(begun) < self.jobs:
            if self._retries and self._retries[0][0] <= now:
                _, name, number = heapq.heappop(self._retries)
            elif (name := self.progress.take() or "") != "":
                number = 1
            else:
                break
            attempt = self._begin(name, number)
            if attempt is not None:
                begun.append(attempt)
        return begun

    def _begin(self, name: str, number: int) -> Attempt | None:
        stage = self.progress.plan.stages[name].stage
        if time.monotonic() - self._refreshed > _REFRESH:
            self.assessor.refresh()
            self._refreshed = time.monotonic()
        try:
            planned = self.assessor.assess(
                stage,
                self.progress.upstream(name),
                frozenset(self.progress.skipped),
                preview=False,
            )
            self._check_inputs(planned)
        except UserError as error:
            self._fail_before(name, number, error)
            return None
        if planned.verdict is Verdict.CACHED and not planned.absent:
            self._settle_hit(planned)
            return None
        if planned.verdict is Verdict.SKIPPED:
            self.books.skipped(planned)
            self.progress.settle(name, StageState.SKIPPED)
            return None
        timeout = stage.spec.timeout
        attempt = Attempt(
            planned=planned,
            number=number,
            key=self.books.key(planned, number),
            started=time.time(),
            deadline=time.monotonic() + timeout if timeout else None,
        )
        self.books.started(planned, number, attempt.key, attempt.started)
        return attempt

    def _check_inputs(self, planned: PlannedStage) -> None:
        if planned.verdict is not Verdict.RUN:
            return
        for name, (producer, output) in planned.stage.inputs.items():
            record = self.progress.records.get(producer)
            if record is not None and output not in record.outputs:
                made = ", ".join(record.outputs) or "none"
                raise UserError(
                    f'stage "{producer}" made no output "{output}"',
                    where=f"stages.{planned.name}.inputs.{name}",
                    fix=f"Its outputs: {made}.",
                )

    def _submit(self, begun: list[Attempt]) -> None:
        for attempt in begun:
            planned = attempt.planned
            inputs = {
                name: self.progress.records[producer].outputs[output].artifact(output)
                for name, (producer, output) in planned.stage.inputs.items()
            }
            try:
                job = self.requests.make(
                    planned.stage.verb.name,
                    planned.stage,
                    planned.settings,
                    inputs,
                    attempt=attempt.number,
                    key=attempt.key,
                    identities=planned.identities,
                )
            except UserError as error:
                self._fail_before(planned.name, attempt.number, error)
                continue
            self._running[self.executor.submit(job)] = attempt
            self.progress.states[planned.name] = StageState.RUNNING

    def _fail_before(self, name: str, number: int, error: UserError) -> None:
        facts = {"what": error.what, "where": error.where, "fix": error.fix}
        planned = self.progress.plan.stages[name]
        self._failed = True
        self.progress.settle(name, StageState.FAILED)
        self.books.failed(planned, number, time.time(), facts)

    # -- while it runs ------------------------------------------------------------------

    def _handle(self, event: Started | Said | Logged | Ended) -> None:
        attempt = self._running.get(event.job)
        if attempt is None:
            return
        if isinstance(event, Ended):
            del self._running[event.job]
            self._ended(attempt, event)
        elif isinstance(event, Logged):
            self.books.logged(attempt.planned.name, attempt.number, event.text)
        elif isinstance(event, Said):
            self.books.said(attempt.planned.name, event.kind, event.payload)
        else:
            self.books.process(attempt.planned, event.process)

    def _ended(self, attempt: Attempt, event: Ended) -> None:
        planned = attempt.planned
        self.books.log_ended(planned.name, attempt.number)
        if event.result is not None and event.code == 0 and not attempt.ending:
            record, state = self.books.finished(
                planned, attempt.number, attempt.started, event.result
            )
            self._failed |= not state.succeeded
            self.progress.settle(planned.name, state, record)
        elif self._interrupts:
            self.progress.settle(planned.name, StageState.INTERRUPTED)
            self.books.interrupted(planned, attempt.number, attempt.started)
        else:
            self._failed_attempt(attempt, self._error(attempt, event))

    def _error(self, attempt: Attempt, event: Ended) -> dict[str, Any]:
        if attempt.ending:
            return {"what": attempt.ending, "where": None, "fix": None}
        if event.error is not None:
            return dict(event.error)
        return {"what": f"its process ended with {ending(event.code)}", "where": None, "fix": None}

    def _failed_attempt(self, attempt: Attempt, error: dict[str, Any]) -> None:
        planned = attempt.planned
        if "gate" in error:
            self._failed = True
            self.progress.settle(planned.name, StageState.GATE_FAILED)
            self.books.missed(planned, attempt.number, attempt.started, error)
            return
        retry = planned.stage.spec.retry
        if retry is not None and attempt.number < retry.attempts:
            delay = retry.pause(attempt.number)
            heapq.heappush(
                self._retries, (time.monotonic() + delay, planned.name, attempt.number + 1)
            )
            self.books.will_retry(planned, attempt.number, error, delay)
            return
        self._failed = True
        self.progress.settle(planned.name, StageState.FAILED)
        self.books.failed(planned, attempt.number, attempt.started, error)

    def _settle_hit(self, planned: PlannedStage) -> None:
        state = self.books.hit(planned)
        self._failed |= not state.succeeded
        self.progress.settle(planned.name, state, planned.record)

    # -- time and signals ---------------------------------------------------------------

    def _pause(self) -> float:
        if self._retries and not self._running:
            return max(0.0, min(_TICK, self._retries[0][0] - time.monotonic()))
        return _TICK if self._running else 0.0

    def _watch_time(self) -> None:
        now = time.monotonic()
        for job, attempt in self._running.items():
            if attempt.kill_at is not None and now >= attempt.kill_at:
                attempt.kill_at = None
                self.executor.signal(job, signal.SIGKILL)
            elif attempt.deadline is not None and now >= attempt.deadline and not attempt.ending:
                timeout = attempt.planned.stage.spec.timeout
                self._stop(job, attempt, f"timed out after {timeout:g} s")
            elif self._interrupts and not attempt.ending:
                self._stop(job, attempt, "interrupted")
            elif self._interrupts > 1 and attempt.kill_at is not None:
                attempt.kill_at = now

    def _stop(self, job: int, attempt: Attempt, why: str) -> None:
        attempt.ending = why
        attempt.kill_at = time.monotonic() + _GRACE
        self.executor.signal(job, signal.SIGTERM)

    @property
    def interrupted(self) -> bool:
        """Whether the run was stopped by Ctrl-C or SIGTERM."""
        return self._interrupts > 0

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn SIGINT and SIGTERM into a clean stop; a second one kills at once."""

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            self._interrupts += 1

        try:
            before = {each: signal.signal(each, interrupt) for each in _STOPPING}
        except ValueError:  # not in the main thread: whoever owns it decides
            yield
            return
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
