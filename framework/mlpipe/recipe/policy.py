"""The permissions that a recipe needs, as IAM policies."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from mlpipe.errors import UserError
from mlpipe.recipe.loaded import LoadedRecipe
from mlpipe.types import Permission


def permissions(recipe: LoadedRecipe) -> list[Permission]:
    """Give what the stages of a recipe say that they may do on its target.

    Raises:
        UserError: The settings of a stage wait for another stage's result.
    """
    found: list[Permission] = []
    for stage in recipe.stages.values():
        if stage.config is None:
            if not stage.schema.backends:
                continue
            raise UserError(
                "what it may do depends on another stage's result",
                where=f"stages.{stage.name}.with",
                fix="Give it settings without ${stages.…} to see its policy.",
            )
        inputs = {name: ".".join(origin) for name, origin in stage.inputs.items()}
        found.extend(stage.config.permissions(recipe.target, inputs))
    return found


def policy(granted: Iterable[Permission]) -> dict[str, Any]:
    """Write permissions as a policy document: sorted, each action on each resource once."""
    by_place: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in granted:
        condition = json.dumps(dict(each.condition), sort_keys=True)
        for resource in each.resources:
            by_place[resource, condition] |= set(each.actions)
    by_actions: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for (resource, condition), actions in sorted(by_place.items()):
        by_actions[tuple(sorted(actions)), condition].append(resource)
    statements = [
        _statement(actions, resources, json.loads(condition))
        for (actions, condition), resources in sorted(by_actions.items())
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(
    actions: tuple[str, ...], resources: list[str], condition: Mapping[str, Any]
) -> dict[str, Any]:
    said: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": resources}
    return {**said, "Condition": condition} if condition else said
