"""The observer: which channels an event is told to."""

from collections.abc import Iterator

from mlpipe import Event, ObserverContext
from mlpipe_notify.config import NotifyConfig
from mlpipe_notify.delivery import deliver
from mlpipe_notify.message import Message, Notes, message
from mlpipe_notify.refusal import Refused
from mlpipe_notify.remembering import remember, remembered
from mlpipe_notify.secrets import Secrets


def tell(config: NotifyConfig, event: Event, context: ObserverContext) -> None:
    """Take in an event, and send what it is worth to whom it concerns.

    A message that is not taken is reported; nothing is raised for it.
    """
    runs: dict[str, Notes] = context.memory.setdefault("runs", {})
    folder = context.state_dir / "runs" / event.run
    notes = runs.setdefault(event.run, remembered(folder))
    notes.add(event)
    secrets = Secrets(config)
    if event.kind == "run_started":
        remember(notes, folder)
        for name in secrets.missing:
            context.report(f"secret {name} is not set, so its channel cannot be told")
    found = message(event, notes, context.root, config.link)
    if found is not None:
        for name in _told(config, event, found):
            _deliver(name, found, config, secrets, context)
    if event.kind == "run_finished":
        runs.pop(event.run, None)


def _told(config: NotifyConfig, event: Event, found: Message) -> Iterator[str]:
    named = event.data.get("notify") or ()
    for name, channel in config.channels.items():
        if name in named or found.occasion in channel.on:
            yield name


def _deliver(
    name: str, found: Message, config: NotifyConfig, secrets: Secrets, context: ObserverContext
) -> None:
    try:
        deliver(config.channels[name], found, config, secrets)
    except Refused as error:
        context.report(f"{name} was not told of the {found.occasion}: {error}")
