"""A message on its way."""

from collections.abc import Mapping
from dataclasses import dataclass

from mlpipe_notify.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a channel is sent, all secrets masked.

    Attributes:
        id: The same for every attempt, and when the event is told again.
        title: One line.
        text: The message.
        fields: What is known, by name.
        secrets: What the channel's own credentials are.
        timeout: Seconds that a server has to answer.
    """

    id: str
    title: str
    text: str
    fields: Mapping[str, str]
    secrets: Secrets
    timeout: float
