"""``mlpipe container``: look at services of this machine, and end them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlpipe import UserError, project_root
from mlpipe_container import engines
from mlpipe_container.local.backend import LocalService, kept

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")]


@app.callback()
def container() -> None:
    """Look at the services of this project on this machine, and end them."""


@app.command()
def status(name: Annotated[str | None, typer.Argument(metavar="[SERVICE]")] = None) -> None:
    """Show services: where they answer, and their containers."""
    for each in [name] if name else _names():
        service = _service(each)
        found = service.describe()
        answers = f"http://127.0.0.1:{found.port}" if found.ports is not None else "stopped"
        print(f"{each}  {found.version or '-'}  {answers}")
        for one in found.containers:
            gets = "gets requests" if one.port in (found.ports or ()) else "gets none"
            state = "runs" if one.running else f"ended with exit code {one.exit_code}"
            print(f"  {one.name}  {one.version or '-'}  {state}, {gets}")


@app.command()
def logs(
    name: NameArgument,
    tail: Annotated[int, typer.Option("--tail", min=1, help="Lines of each container.")] = 100,
) -> None:
    """Show what a service's containers wrote at last."""
    service = _service(name)
    for one in service.describe().containers:
        print(f"--- {one.name}", file=sys.stderr)
        print(service.containers.logs(one, tail))


@app.command()
def stop(name: NameArgument) -> None:
    """End a service: its port, and its containers. A run of the recipe starts it again."""
    service = _service(name)
    with service.exclusively():
        ended = service.stop()
    print(f"{name} is stopped, with {ended} container{'' if ended == 1 else 's'}")


def _names() -> list[str]:
    folder = _root() / ".mlpipe" / "services"
    return sorted(path.parent.name for path in folder.glob("*/service.json"))


def _root() -> Path:
    return project_root(Path.cwd())


def _service(name: str) -> LocalService:
    names = _names()
    if name not in names:
        raise UserError(
            f'there is no service "{name}" on this machine',
            fix=f"Services: {', '.join(names) or 'none'}. A run of a recipe with container.deploy "
            "makes one.",
        )
    state = _root() / ".mlpipe"
    return LocalService(name, state, engines.find(kept(state, name).get("engine")))
