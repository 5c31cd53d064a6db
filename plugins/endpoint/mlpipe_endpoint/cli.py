"""``mlpipe endpoint``: look at, ask and stop the project's endpoints."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mlpipe import Serving
    from mlpipe_endpoint.places import Place

app = typer.Typer(
    name="endpoint",
    help="Look at, ask and stop the project's endpoints.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="The endpoint's name.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OnTarget = Annotated[str, typer.Option("--target", "-t", help="Where it was deployed.")]


@app.command("list")
def list_endpoints(as_json: AsJson = False) -> None:
    """List the endpoints of all targets, and whether they run."""
    from mlpipe_endpoint import places, views

    found = [_place(target) for target in places.targets(_root())]
    rows = [row for place in found for row in views.views(place)]
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows], indent=2))
    else:
        for row in rows:
            typer.echo(row.line())
    if not rows and not as_json:
        typer.echo("No endpoints. A recipe with an endpoint.deploy stage makes one.", err=True)


@app.command()
def status(name: Name, target: OnTarget = "local", as_json: AsJson = False) -> None:
    """Show what an endpoint serves."""
    from mlpipe_endpoint import views

    view = views.view(_of(name, target), name)
    typer.echo(json.dumps(view.to_json(), indent=2) if as_json else view.page())


@app.command()
def invoke(
    name: Name,
    file: Annotated[
        Path, typer.Option("--file", "-f", help="What to send; - is stdin.", show_default=False)
    ],
    content_type: Annotated[
        str, typer.Option(help="What it is. Guessed from the file's name when left out.")
    ] = "",
    accept: Annotated[str, typer.Option(help="The type of answer wanted.")] = "*/*",
    variant: Annotated[str, typer.Option(help="The variant to ask, whatever the weights.")] = "",
    key: Annotated[str, typer.Option(help="Whom it is for: always by the same variant.")] = "",
    target: OnTarget = "local",
) -> None:
    """Send a request: the answer goes to stdout, the variant that gave it to stderr."""
    from mlpipe_endpoint import asking

    backend = _of(name, target).backend
    request = asking.request_from(file, content_type, accept, variant, key)
    answer = backend.ask(name, request)
    typer.echo(f"variant {answer.variant}", err=True)
    typer.echo(answer.body, nl=sys.stdout.isatty())


@app.command()
def weights(
    name: Name,
    shares: Annotated[
        list[str], typer.Argument(help="VARIANT=WEIGHT, any number.", show_default=False)
    ],
    target: OnTarget = "local",
) -> None:
    """Change live weights, as champion=50 challenger=50. Those not named stay."""
    from mlpipe_endpoint import values

    changed = _of(name, target).backend.weigh(name, _weights(shares))
    typer.echo(values.shares(changed))


@app.command()
def promote(
    name: Name,
    variant: Annotated[
        str, typer.Argument(help="Which one. The winner of its experiment when left out.")
    ] = "",
    target: OnTarget = "local",
) -> None:
    """Give a variant all traffic: the endpoint's next release, read back and probed."""
    from mlpipe_endpoint import promoting, views

    place = _of(name, target)
    found = promoting.standing(place.backend, views.found(place.backend, name))
    _show(promoting.promote(place.root, found, variant))


@app.command()
def rollback(
    name: Name,
    to: Annotated[str, typer.Option(help="The one in service before, if left out.")] = "",
) -> None:
    """Put an earlier release into service again: the same as mlpipe rollback endpoint/NAME."""
    import mlpipe
    from mlpipe_endpoint.deploying import KIND

    _show(mlpipe.roll_back(f"{KIND}/{name}", _root(), to=to or None))


@app.command()
def logs(
    name: Name,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many, from the end.")
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the end of an endpoint's log: what its server and models said here."""
    from mlpipe_endpoint import logs, views

    path = Path(views.view(_of(name, "local"), name).log)
    text = path.read_text(errors="replace") if path.exists() else ""
    for entry in logs.entries(text.splitlines()[-lines:] if lines else []):
        typer.echo(json.dumps(entry) if as_json else logs.shown(entry))


@app.command()
def stop(name: Name, target: OnTarget = "local") -> None:
    """Stop an endpoint, and wait until it is. Running its recipe starts it again."""
    stopped = _of(name, target).backend.stop(name)
    typer.echo(f"stopped {name}" if stopped else f"{name} was not running")


@app.command()
def gc(
    target: OnTarget = "aws",
    yes: Annotated[bool, typer.Option("--yes", help="Delete them; else they are listed.")] = False,
) -> None:
    """Find what was made at SageMaker for endpoints and none uses any more."""
    from mlpipe_endpoint import awssweeping
    from mlpipe_endpoint.aws import AwsBackend

    backend = _place(target).backend
    found = awssweeping.orphans(backend) if isinstance(backend, AwsBackend) else []
    for orphan in found:
        if yes:
            orphan.delete()
        typer.echo(f"{'deleted' if yes else 'unused'}  {orphan.kind}  {orphan.name}")
    if not found:
        typer.echo("Nothing is unused.", err=True)
    elif not yes:
        typer.echo("To delete them: --yes", err=True)


def _show(served: "Serving") -> None:
    release, previous = served.release, served.previous
    service = f"{release.kind}/{release.name}"
    for text in served.reports:
        typer.echo(f"! {text}", err=True)
    typer.echo(f"{served.summary}   read back ✓  answers ✓")
    typer.echo(f"release {release.label}   recorded ✓")
    if previous is not None and previous.label != release.label:
        typer.echo(f"way back: mlpipe rollback {service} --to {previous.label}")


def _root() -> Path:
    from mlpipe import UserError

    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".mlpipe").is_dir():
            return folder
    raise UserError(
        "no project here: neither this folder nor one above it holds .mlpipe/",
        where=str(here),
        fix="Go to the project, or run its recipe first.",
    )


def _place(target: str) -> "Place":
    from mlpipe_endpoint.places import Place

    return Place(_root(), target)


def _of(name: str, target: str) -> "Place":
    """Give the place of an endpoint that is known there."""
    from mlpipe import UserError

    place = _place(target)
    assert place.backend is not None  # or the target is unknown, and that was said
    names = place.names()
    if name not in names:
        known = f"Endpoints here: {', '.join(names)}." if names else "There are none here."
        raise UserError(f'unknown endpoint "{name}"', fix=known)
    return place


def _weights(shares: list[str]) -> dict[str, float]:
    import math

    from mlpipe import UserError

    weights = {}
    for share in shares:
        variant, _, number = share.partition("=")
        try:
            weights[variant] = float(number)
        except ValueError:
            weights[variant] = math.nan
        if not 0 <= weights[variant] < math.inf:
            raise UserError(
                f'"{share}" is not a variant and its weight',
                fix="Write VARIANT=WEIGHT with a weight of 0 or more, as champion=90.",
            )
    return weights
