"""``checks.check``: all tools at once, one report, and whether it is good enough."""

import time
import traceback
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlpipe import Stage, StageResult
from mlpipe_checks import (
    baselines,
    judging,
    masking,
    programs,
    refusing,
    reports,
    runners,
    sources,
    tables,
)
from mlpipe_checks.benches import Bench
from mlpipe_checks.config import UNIT, CheckConfig
from mlpipe_checks.runners import Runner
from mlpipe_checks.values import Report, Trouble


def run(config: CheckConfig, stage: Stage) -> StageResult:
    """Run all tools on the sources, and report.

    Raises:
        StageError: The sources cannot be checked, or a tool could not do its work.
        GateMissed: There are findings that ``fail_on`` does not allow, or too little is covered.
    """
    known = baselines.read(stage.root / config.baseline) if config.baseline else frozenset()
    with sources.opened(config, stage) as source:
        found = _run_all(config, stage, source)
        outcome = judging.judge(config, found, known, source)
    print(tables.table(outcome), flush=True)
    outputs = reports.write(outcome, stage)
    baselines.remember(outcome, stage)
    metrics = judging.metrics(config, outcome)
    stage.log_metrics(metrics)
    refusing.refuse(config, outcome, stage)
    return StageResult(
        outputs=outputs,
        metrics=metrics,
        values={"tools": {report.tool: report.version for report in outcome.reports}},
        summary=tables.summary(outcome),
    )


def _run_all(config: CheckConfig, stage: Stage, source: Path) -> tuple[Report, ...]:
    todo = runners.runners(config)
    secrets = tuple(filter(None, stage.secrets.values()))
    with ThreadPoolExecutor(max_workers=len(todo)) as pool:
        waiting = [
            pool.submit(_run_one, runner, config, _bench(runner, config, stage, source), secrets)
            for runner in todo
        ]
        return tuple(each.result() for each in waiting)


def _bench(runner: Runner, config: CheckConfig, stage: Stage, source: Path) -> Bench:
    scratch = stage.scratch / "tools" / runner.name
    scratch.mkdir(parents=True)
    state = stage.state_dir / "checks" / "cache"
    state.mkdir(parents=True, exist_ok=True)
    secrets = _secrets(config, stage) if runner.name == UNIT else {}
    seconds = runner.seconds or config.timeout
    baseline = Path(config.baseline or "").name
    return Bench(source, scratch, stage.root, state, seconds, baseline, stage.env, secrets)


def _secrets(config: CheckConfig, stage: Stage) -> Mapping[str, str]:
    names = config.unit.secrets if config.unit else []
    return {name: stage.secret(name) for name in names}


def _run_one(runner: Runner, config: CheckConfig, bench: Bench, secrets: Collection[str]) -> Report:
    """Run a tool; whatever happens to it is told, and stops no other."""
    began = time.monotonic()
    version, given, trouble = "", None, None
    try:
        version = programs.version_of(runner.program) if runner.program else ""
        if wanted := config.versions.get(runner.name):
            programs.check_version(runner.name, version, wanted)
        given = masking.masked(runner.run(bench), secrets)
    except Trouble as error:
        trouble = Trouble(masking.text(error.what, secrets), error.fix)
    except Exception as error:  # a report of another form than that of the versions we know
        traceback.print_exc()
        trouble = Trouble(f"its report cannot be read: {type(error).__name__}: {error}")
    return Report(runner.name, version, time.monotonic() - began, given, trouble)
