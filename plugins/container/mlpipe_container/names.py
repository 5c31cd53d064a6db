"""Names that engines and registries accept."""

import re

from mlpipe import Stage
from mlpipe.errors import StageError


def of_build(recipe: str, stage: str) -> str:
    """Name what a stage builds: the newest one, which keeps it from being pruned."""
    parts = (re.sub(r"[^a-z0-9]+", "-", each.lower()).strip("-") or "x" for each in (recipe, stage))
    return f"localhost/mlpipe/{'/'.join(parts)}:latest"


def secret(stage: Stage, name: str) -> str:
    """Give a secret's value.

    Raises:
        StageError: The stage is not given it.
    """
    try:
        return stage.secrets[name]
    except KeyError:
        raise StageError(
            f"the secret {name} is not given to the stage",
            where=f"stages.{stage.name}",
            fix=f"List it: secrets: [{name}]",
        ) from None
