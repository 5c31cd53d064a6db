"""``mlpipe replay``."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def replay(
    run: Annotated[str, typer.Argument(help="The run, or the beginning of its name.")],
    stage: Annotated[str, typer.Argument(help="The stage.")],
    into: Annotated[
        Path | None,
        typer.Option("--into", help="A folder to work in, which stays; replay-JOB if left out."),
    ] = None,
    job: Annotated[
        str, typer.Option("--job", help="Of a tuning: the training job. The best if left out.")
    ] = "",
    python: Annotated[
        str | None, typer.Option("--python", help="The interpreter to train with.")
    ] = None,
    requirements: Annotated[
        bool,
        typer.Option(
            "--requirements", help="Train in an environment made from the code's requirements.txt."
        ),
    ] = False,
) -> None:
    """Run a training job of SageMaker's again here, with its data, code and hyperparameters."""
    from mlpipe import project_root
    from mlpipe_sagemaker.packaging import REQUIREMENTS
    from mlpipe_sagemaker.replaying import fetch, find, train

    root = project_root(Path.cwd())
    noted = find(root, run, stage)
    fetched = fetch(noted, job, into, root)
    typer.echo(f"fetched {fetched.name} into {fetched.scratch}: code, data", err=True)
    for name, value in sorted(fetched.hyperparameters.items()):
        typer.echo(f"  {name} = {value}", err=True)
    if python is None and not requirements and REQUIREMENTS in fetched.sources:
        typer.echo(f"not installed: its {REQUIREMENTS}; --requirements does", err=True)
    left = train(fetched, python, install=requirements)
    typer.echo(str(left.model_dir))
