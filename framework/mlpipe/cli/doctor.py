"""``mlpipe doctor``."""

import platform
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

import typer

from mlpipe import __version__
from mlpipe.cli.common import JsonOption
from mlpipe.console import Console
from mlpipe.errors import ExitCode, MlpipeError
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import project_root
from mlpipe.store import opened
from mlpipe.store.runs import RunState
from mlpipe.types import Check, CheckState

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_MARKS = MappingProxyType({CheckState.OK: "✓", CheckState.WARNING: "!", CheckState.FAILED: "✗"})
_FREE_BYTES = 1_000_000_000


@app.command()
def doctor(as_json: JsonOption = False) -> int:
    """Look whether all that mlpipe needs is there. Exit code 1 when something is not."""
    console = Console()
    checks = [*_machine(), *_project(), *_plugins()]
    if as_json:
        console.json([asdict(check) for check in checks])
    else:
        console.rows((_MARKS[check.state], check.name, _one_line(check)) for check in checks)
    failed = any(check.state is CheckState.FAILED for check in checks)
    return ExitCode.FAILED if failed else ExitCode.OK


def _one_line(check: Check) -> str:
    return " · ".join(line.strip() for line in check.detail.splitlines())


def _machine() -> Iterator[Check]:
    yield Check("mlpipe", CheckState.OK, f"{__version__}, Python {platform.python_version()}")
    yield Check("sqlite", CheckState.OK, sqlite3.sqlite_version)
    free = shutil.disk_usage(Path.cwd()).free
    state = CheckState.OK if free > _FREE_BYTES else CheckState.WARNING
    yield Check("disk", state, f"{free / 1e9:.1f} GB free")


def _project() -> Iterator[Check]:
    root = project_root(Path.cwd())
    try:
        with opened(root, read_only=True) as store:
            running = len(store.runs.in_state(RunState.RUNNING))
            detail = f"{root}" + (f", {running} marked as running" if running else "")
            yield Check("project", CheckState.OK, detail)
    except MlpipeError as error:
        yield Check("project", CheckState.FAILED, str(error))


def _plugins() -> Iterator[Check]:
    manager = PluginManager.discover()
    for name in manager.names():
        plugin = manager.get(name)
        if plugin.cause:
            yield Check(f"plugin {name}", CheckState.FAILED, f"quarantined: {plugin.cause}")
            continue
        yield Check(f"plugin {name}", CheckState.OK, plugin.version)
        if not plugin.implements("doctor"):
            continue
        try:
            for found in plugin.hooks().hook.doctor():
                yield from found
        except Exception as error:  # a plugin may raise anything at all
            detail = f"doctor failed: {type(error).__name__}: {error}"
            yield Check(f"plugin {name}", CheckState.FAILED, detail)
