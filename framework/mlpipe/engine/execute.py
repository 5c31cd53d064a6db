"""Executing a plan from beginning to end."""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mlpipe
from mlpipe.engine.bookkeeping import Bookkeeper
from mlpipe.engine.masking import Masker
from mlpipe.engine.observers import ObserverProcess
from mlpipe.engine.progress import Progress
from mlpipe.engine.recovery import alive, recover
from mlpipe.engine.reporting import Reporter, RunResult, Silent
from mlpipe.engine.requests import Requests, secret_names
from mlpipe.engine.runner import Runner
from mlpipe.engine.workers import Executor
from mlpipe.plan.assess import Assessor
from mlpipe.plan.cost import check, worst_case
from mlpipe.plan.values import Plan, Verdict
from mlpipe.plugins.manager import PluginManager
from mlpipe.store import Store
from mlpipe.store.results import Record
from mlpipe.store.runs import Cause, RunRow, RunState, StageState


@dataclass(frozen=True, slots=True)
class Options:
    """How to execute a plan.

    Attributes:
        jobs: How many stages may run at once.
        keep_going: Whether what does not depend on a failed stage still runs.
        command: The command that continues the run, shown when it does not succeed.
        cause: What started it, where that was another run's missed gate.
    """

    jobs: int = 2
    keep_going: bool = False
    command: str = ""
    cause: Cause | None = None


def execute(
    plan: Plan,
    assessor: Assessor,
    store: Store,
    plugins: PluginManager,
    executor: Executor,
    options: Options,
    reporter: Reporter | None = None,
) -> RunResult:
    """Execute a plan; every stage that finishes is recorded at once, whatever happens then.

    Args:
        plan: What to do.
        assessor: Judged the plan's stages, and judges them again as results come in.
        store: Where all is recorded.
        plugins: Who serves the stages.
        executor: Runs stages; it is left open.
        options: How.
        reporter: Shows the run.

    Raises:
        RecipeError: The plan may cost more than the recipe's budget; nothing was run.
    """
    cost = worst_case(plan)
    check(plan, cost)
    recover(store)
    run = store.runs.new_id()
    begun = time.time()
    recipe = plan.recipe
    masker = Masker(os.environ[name] for name in secret_names(recipe) if name in os.environ)
    books = Bookkeeper(run, assessor, store, reporter or Silent(), masker)
    busy = bool(plan.with_verdict(Verdict.RUN))
    observers = {name: dict(value) for name, value in recipe.recipe.observers.items()}
    with alive(store.run_folder(run)):
        with books.transaction():
            store.runs.add(_row(run, plan, begun, options, observers if busy else {}, masker))
            if options.cause is not None:
                store.runs.caused(run, options.cause)
        books.reporter.run_started(run, plan)
        for warning in plan.warnings:
            books.warn(warning)
        if recipe.recipe.budget is not None and cost.unknown:
            names = ", ".join(cost.unknown)
            books.warn(f"the budget does not count {names}, whose settings are not known yet")
        if busy:
            books.event(
                "run_started",
                recipe=recipe.name,
                path=str(recipe.path),
                target=recipe.target.name,
                params=dict(recipe.params),
                version=mlpipe.__version__,
                stages={name: each.stage.spec.uses for name, each in plan.stages.items()},
                command=options.command,
            )
        if busy and observers:
            log = store.run_folder(run) / "observers.log"
            books.observers = ObserverProcess(store.root, run, observers, log)
        runner = _runner(plan, assessor, store, plugins, executor, options, books)
        state = RunState.FAILED
        try:
            runner.run()
            state = _state(runner)
        finally:
            result = _finish(runner, state, begun, options)
    return result


def _runner(
    plan: Plan,
    assessor: Assessor,
    store: Store,
    plugins: PluginManager,
    executor: Executor,
    options: Options,
    books: Bookkeeper,
) -> Runner:
    held = set()
    with books.transaction():
        for planned in plan.stages.values():
            if planned.verdict in (Verdict.CACHED, Verdict.IN_PLACE):
                if not books.hit(planned).succeeded:
                    held.add(planned.name)
            elif planned.verdict is Verdict.SKIPPED:
                books.skipped(planned)
    return Runner(
        progress=Progress(plan, frozenset(held)),
        assessor=assessor,
        executor=executor,
        requests=Requests(plan.recipe, plugins, store.folder, books.run, books.warn),
        books=books,
        jobs=options.jobs,
        keep_going=options.keep_going,
    )


def _state(runner: Runner) -> RunState:
    states = set(runner.progress.states.values())
    if runner.interrupted:
        return RunState.INTERRUPTED
    if StageState.FAILED in states:
        return RunState.FAILED
    reports = {report.state for report in runner.books.reports.values()}
    return RunState.GATE_FAILED if StageState.GATE_FAILED in states | reports else RunState.DONE


def _finish(runner: Runner, state: RunState, begun: float, options: Options) -> RunResult:
    books, plan = runner.books, runner.progress.plan
    now = time.time()
    failing = sys.exc_info()[1]
    error = str(failing) if failing else ""
    with books.transaction():
        runner.abandon()
        for name, blocker in runner.progress.held_back():
            books.held_back(plan.stages[name], blocker)
        books.store.runs.finish(books.run, state, now, books.masker.text(error))
        if books.observers is not None or plan.with_verdict(Verdict.RUN):
            books.event("run_finished", state=state, seconds=now - begun, error=error)
    books.store.files.save()
    _write_lock(plan, books.store, runner.progress.records)
    shutil.rmtree(books.store.folder / "scratch" / books.run, ignore_errors=True)
    if books.observers is not None:
        for text in books.observers.finish():
            books.warn(text)
    result = RunResult(
        run=books.run,
        state=state,
        seconds=now - begun,
        stages={name: books.reports[name] for name in plan.stages if name in books.reports},
        releases=tuple(books.releases),
        warnings=tuple(books.warnings),
        resume=options.command if state is not RunState.DONE else "",
    )
    books.reporter.run_finished(result)
    return result


def _write_lock(plan: Plan, store: Store, records: Mapping[str, Record]) -> None:
    recipe = plan.recipe
    known = dict(records)
    for name in plan.stages:
        if name not in known:
            latest = store.lockfile.latest(recipe.name, name, recipe.target.name)
            if latest is not None:
                known[name] = latest
    store.lockfile.update(recipe.name, recipe.target.name, known)


def _row(
    run: str,
    plan: Plan,
    begun: float,
    options: Options,
    observers: Mapping[str, Any],
    masker: Masker,
) -> RunRow:
    recipe = plan.recipe
    return RunRow(
        id=run,
        recipe=recipe.name,
        path=str(recipe.path),
        target=recipe.target.name,
        params=masker.value(recipe.params),
        command=masker.text(options.command),
        started=begun,
        finished=None,
        state=RunState.RUNNING,
        observers=masker.value(observers),
        error="",
    )
