"""The root command: finds commands without importing them, and is the one error boundary."""

import os
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module, metadata
from types import MappingProxyType
from typing import Any, cast

import typer
from typer.core import TyperGroup

from mlpipe.console import Console
from mlpipe.errors import ExitCode, MlpipeError, UserError

#: Module and one line of help of each of the core's commands.
_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "doctor": ("mlpipe.cli.doctor", "Look whether all that mlpipe needs is there."),
        "gc": ("mlpipe.cli.gc", "Delete artifacts and logs that nothing needs."),
        "iam": ("mlpipe.cli.iam", "Write the IAM policy that a recipe needs on AWS."),
        "init": ("mlpipe.cli.init", "Make a small project that runs."),
        "logs": ("mlpipe.cli.logs", "Show the log of a stage."),
        "plan": ("mlpipe.cli.plan", "Show what a run would do, and why."),
        "plugins": ("mlpipe.cli.plugins", "List plugins; show what they take."),
        "releases": ("mlpipe.cli.releases", "List, show and compare releases."),
        "rollback": ("mlpipe.cli.rollback", "Put an earlier release into service again."),
        "run": ("mlpipe.cli.run", "Run a recipe."),
        "runs": ("mlpipe.cli.runs", "List, show and compare runs."),
        "schema": ("mlpipe.cli.schema", "Write the JSON Schema of recipes, for editors."),
        "why": ("mlpipe.cli.why", "Say why a stage runs, or which run a hit is from."),
    }
)
_GROUP = "mlpipe.commands"


class LazyGroup(TyperGroup):
    """Commands that are imported when they are invoked, those of plugins included."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Give all names, sorted."""
        return sorted({*_COMMANDS, *_of_plugins()})

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """Import a command, or give ``None`` where there is none of that name."""
        if cmd_name in _COMMANDS:
            app = import_module(_COMMANDS[cmd_name][0]).app
        elif (point := _of_plugins().get(cmd_name)) is not None:
            app = _load(point)
        else:
            return None
        command = cast(Any, typer.main.get_command(app))
        command.name = cmd_name
        return command

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write names and help, importing nothing."""
        points = _of_plugins()
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(_COMMANDS.items())])
        if points:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(n, f"See mlpipe {n} --help.") for n in sorted(points)])


def _of_plugins() -> dict[str, metadata.EntryPoint]:
    from mlpipe.plugins.discovery import entry_points

    return {point.name: point for point in entry_points(_GROUP) if point.name not in _COMMANDS}


def _load(point: metadata.EntryPoint) -> typer.Typer:
    try:
        return cast(typer.Typer, point.load())
    except Exception as error:  # a plugin may raise anything at all
        name = point.dist.name if point.dist else point.value
        raise UserError(
            f"the command cannot be loaded: {type(error).__name__}: {error}",
            where=f"mlpipe {point.name} ({name})",
            fix="See mlpipe doctor.",
        ) from error


app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", "-V", help="Show the version and exit."),
) -> None:
    """One recipe, one command: pipelines that run the same on a laptop and on AWS."""
    if version:
        from mlpipe import __version__

        Console().out(f"mlpipe {__version__}")
        raise typer.Exit


def run() -> int:
    """Run the command line.

    Returns:
        The exit code, one of ``ExitCode``.
    """
    _make_writable()
    console = Console()
    try:
        code = app(standalone_mode=False, prog_name="mlpipe")
    except MlpipeError as error:
        console.err(str(error))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        console.err("interrupted")
        return ExitCode.INTERRUPTED
    except OSError as error:  # a full disk, a folder that is no folder, a missing permission
        return _refused(error, console)
    except Exception as error:
        if hasattr(error, "format_message"):  # what the command line itself objects to
            return _usage(error, console)
        return _internal(error, console)
    return code if isinstance(code, int) else ExitCode.OK


def _make_writable() -> None:
    """Let nothing be lost for a stream that is closed, or that cannot write a character."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us, as in `>&-`
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "w"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _refused(error: OSError, console: Console) -> int:
    _trace(error)
    where = f"{error.filename}: " if error.filename is not None else ""
    console.err(f"{where}{error.strerror or error}")
    return ExitCode.FAILED


def _usage(error: Any, console: Console) -> int:
    if (message := error.format_message()) and type(error).__name__ != "NoArgsIsHelpError":
        context = getattr(error, "ctx", None)
        name = context.command_path if context else "mlpipe"
        console.err(f"{name}: {message}\n   See {name} --help.")
    elif message:
        console.err(message)
    return ExitCode.USAGE


def _internal(error: Exception, console: Console) -> int:
    _trace(error)
    console.err(
        f"mlpipe has a fault: {type(error).__name__}: {error}\n"
        "   Your project's state is kept. MLPIPE_DEBUG=1 shows where; please report it."
    )
    return ExitCode.INTERNAL


def _trace(error: Exception) -> None:
    if "MLPIPE_DEBUG" in os.environ:
        traceback.print_exception(error, file=sys.stderr)
