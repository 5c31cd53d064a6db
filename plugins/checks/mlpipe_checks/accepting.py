"""Taking the findings of a stage's last run as known."""

import json

from mlpipe import UserError, load_recipe
from mlpipe_checks import baselines
from mlpipe_checks.config import CheckConfig


def accept(recipe: str, stage: str) -> tuple[str, int]:
    """Write the baseline that a stage names.

    Args:
        recipe: The recipe's name or path.
        stage: The stage's name; may be empty where only one checks.

    Returns:
        The baseline's path from the project's folder, and how many findings it has.

    Raises:
        UserError: There is no such stage, it names no baseline, or it has not run.
    """
    loaded = load_recipe(recipe)
    checking = {
        name: each.config
        for name, each in loaded.stages.items()
        if isinstance(each.config, CheckConfig) and stage in ("", name)
    }
    if len(checking) != 1:
        named = ", ".join(checking)
        raise UserError(
            f"{len(checking)} stages check: {named}" if checking else "no such stage checks",
            where=f"recipe {loaded.name}",
            fix="Say which, as --stage NAME." if checking else "One uses checks.check.",
        )
    [(name, config)] = checking.items()
    if config.baseline is None:
        raise UserError(
            "it names no baseline",
            where=f"stages.{name}.with",
            fix="Say where it is to be: baseline: checks-baseline.json",
        )
    last = baselines.remembered(loaded.root / ".mlpipe", loaded.name, name)
    if not last.is_file():
        raise UserError(
            "it has not run yet", where=f"stages.{name}", fix=f"Run it: mlpipe run {recipe}"
        )
    entries = json.loads(last.read_bytes())["findings"]
    return config.baseline, baselines.write(loaded.root / config.baseline, entries)
