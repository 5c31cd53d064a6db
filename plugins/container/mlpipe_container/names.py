"""Names that engines and registries accept."""

import re


def of_build(recipe: str, stage: str) -> str:
    """Name what a stage builds: the newest one, which keeps it from being pruned."""
    parts = (re.sub(r"[^a-z0-9]+", "-", each.lower()).strip("-") or "x" for each in (recipe, stage))
    return f"localhost/mlpipe/{'/'.join(parts)}:latest"
