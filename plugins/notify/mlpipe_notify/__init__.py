"""The plugin ``notify``: tells people how runs end, in Slack, Teams, e-mail, SNS and webhooks."""

from mlpipe import Event, ObserverContext, hookimpl
from mlpipe_notify.config import NotifyConfig


@hookimpl
def run_started(config: NotifyConfig, event: Event, context: ObserverContext) -> None:
    """Say which channels cannot be told, and note what the run is."""
    _tell(config, event, context)


@hookimpl
def stage_started(config: NotifyConfig, event: Event, context: ObserverContext) -> None:
    """Note where a stage's log is."""
    _tell(config, event, context)


@hookimpl
def stage_finished(config: NotifyConfig, event: Event, context: ObserverContext) -> None:
    """Note a stage's error, and the commit it worked on."""
    _tell(config, event, context)


@hookimpl
def run_finished(config: NotifyConfig, event: Event, context: ObserverContext) -> None:
    """Tell that a run succeeded or failed."""
    _tell(config, event, context)


@hookimpl
def gate_failed(config: NotifyConfig, event: Event, context: ObserverContext) -> None:
    """Tell of a missed gate, also those whom the gate names."""
    _tell(config, event, context)


@hookimpl
def released(config: NotifyConfig, event: Event, context: ObserverContext) -> None:
    """Tell of a release."""
    _tell(config, event, context)


@hookimpl
def rolled_back(config: NotifyConfig, event: Event, context: ObserverContext) -> None:
    """Tell of a roll back."""
    _tell(config, event, context)


def _tell(config: NotifyConfig, event: Event, context: ObserverContext) -> None:
    from mlpipe_notify.observer import tell

    tell(config, event, context)
