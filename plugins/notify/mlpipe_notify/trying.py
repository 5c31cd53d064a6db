"""Trying a channel."""

import secrets as randomness
from difflib import get_close_matches

from mlpipe import StageError, UserError, load_recipe
from mlpipe_notify.config import FIELDS, NotifyConfig
from mlpipe_notify.delivery import deliver
from mlpipe_notify.message import Message
from mlpipe_notify.refusal import Refused
from mlpipe_notify.secrets import Secrets


def attempt(recipe: str, channel: str) -> str:
    """Send a message to a channel of a recipe; say that it was taken.

    Raises:
        UserError: There is no such channel.
        StageError: It was not taken.
    """
    loaded = load_recipe(recipe)
    config = NotifyConfig.model_validate(dict(loaded.recipe.observers.get("notify", {})))
    if channel not in config.channels:
        raise _unknown(channel, loaded.name, list(config.channels))
    headline = f"mlpipe notify test: {loaded.name} reaches {channel}"
    fields = dict.fromkeys(FIELDS, "") | {
        "recipe": loaded.name,
        "outcome": "test",
        "headline": headline,
        "text": headline,
    }
    message = Message(f"test-{randomness.token_hex(4)}", "test", fields)
    try:
        deliver(config.channels[channel], message, config, Secrets(config))
    except Refused as error:
        raise StageError(
            f"not told: {error}",
            where=f"notify.{channel}",
            fix="Put that right and try again; runs go on without it.",
        ) from None
    return f"{channel} was told"


def _unknown(channel: str, recipe: str, known: list[str]) -> UserError:
    near = get_close_matches(channel, known, 1)
    also = f"Its channels: {', '.join(known) or 'none'}."
    return UserError(
        f'recipe {recipe} has no channel "{channel}"',
        fix=f'Did you mean "{near[0]}"? {also}' if near else also,
    )
