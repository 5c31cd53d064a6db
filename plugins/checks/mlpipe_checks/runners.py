"""Which tools a stage runs, and how."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import Any

from mlpipe_checks import programs
from mlpipe_checks.benches import Bench
from mlpipe_checks.config import UNIT, CheckConfig
from mlpipe_checks.programs import Program
from mlpipe_checks.toolconfig import (
    AuditTool,
    CommandTool,
    HadolintTool,
    LicencesTool,
    QualityTool,
    ScanTool,
)
from mlpipe_checks.tools import (
    audit,
    bandit,
    command,
    hadolint,
    licences,
    mypy,
    ruff,
    secrets,
    unit,
)
from mlpipe_checks.values import Findings


@dataclass(frozen=True, slots=True)
class Runner:
    """A tool, ready to be run.

    Attributes:
        name: Of the tool.
        run: Runs it.
        program: That says its version; ``None`` where nothing does.
        seconds: How long it may take; as all others where ``None``.
    """

    name: str
    run: Callable[[Bench], Findings]
    program: Program | None = None
    seconds: float | None = None


def runners(config: CheckConfig) -> list[Runner]:
    """Give all tools of a stage, unit tests first."""
    found = []
    if config.unit is not None:
        plain = config.unit.command[0] == "pytest"
        program = programs.programs()["pytest"] if plain else None
        found.append(
            Runner(UNIT, partial(unit.run, config.unit), program, seconds=config.unit.timeout)
        )
    return [*found, *(_runner(entry) for entry in config.tools)]


@singledispatch
def _runner(entry: Any) -> Runner:
    raise TypeError(type(entry))


@_runner.register
def _(entry: QualityTool) -> Runner:
    runs = {"ruff": ruff.lint, "ruff-format": ruff.layout, "mypy": mypy.check}
    return _with_program(entry.tool, partial(runs[entry.tool], entry), entry.timeout)


@_runner.register
def _(entry: ScanTool) -> Runner:
    runs = {"bandit": bandit.scan, "detect-secrets": secrets.scan}
    return _with_program(entry.tool, partial(runs[entry.tool], entry), entry.timeout)


@_runner.register
def _(entry: HadolintTool) -> Runner:
    return _with_program(entry.tool, partial(hadolint.scan, entry), entry.timeout)


@_runner.register
def _(entry: AuditTool) -> Runner:
    if entry.advisories is not None:
        return Runner(entry.tool, partial(audit.offline, entry), seconds=entry.timeout)
    return _with_program(entry.tool, partial(audit.ask, entry), entry.timeout)


@_runner.register
def _(entry: LicencesTool) -> Runner:
    return Runner(entry.tool, partial(licences.check, entry), seconds=entry.timeout)


@_runner.register
def _(entry: CommandTool) -> Runner:
    return Runner(entry.label, partial(command.run, entry), seconds=entry.timeout)


def _with_program(tool: str, run: Callable[[Bench], Findings], seconds: float | None) -> Runner:
    return Runner(tool, run, programs.programs()[tool], seconds=seconds)
