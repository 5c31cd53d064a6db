"""Delivering a message to a channel: masked, tried again, never raising more than ``Refused``."""

import time

from mlpipe_notify.config import Channel, NotifyConfig
from mlpipe_notify.message import Message
from mlpipe_notify.outgoing import Outgoing
from mlpipe_notify.refusal import Refused
from mlpipe_notify.secrets import Secrets
from mlpipe_notify.senders import send


def deliver(channel: Channel, message: Message, config: NotifyConfig, secrets: Secrets) -> None:
    """Send a message, with further attempts where they may help.

    Raises:
        Refused: The channel took it in none of the attempts.
    """
    outgoing = Outgoing(
        id=message.id,
        title=secrets.masked(message.fields["headline"]),
        text=secrets.masked(message.words(channel)),
        fields={name: secrets.masked(value) for name, value in message.fields.items()},
        secrets=secrets,
        timeout=config.timeout,
    )
    for attempt in range(1, config.attempts + 1):
        try:
            _sent(channel, outgoing)
        except Refused as error:
            if not error.again or attempt == config.attempts:
                raise _counted(error, attempt) from None
            time.sleep(max(error.wait, config.delay * 2 ** (attempt - 1)))
        else:
            return


def _sent(channel: Channel, outgoing: Outgoing) -> None:
    try:
        send(channel, outgoing)
    except Refused:
        raise
    except Exception as error:  # a library may raise anything, with a URL in its text
        raise Refused(f"sending failed with {type(error).__name__}") from None


def _counted(error: Refused, attempts: int) -> Refused:
    return Refused(f"{error}" + (f" ({attempts} attempts)" if attempts > 1 else ""))
