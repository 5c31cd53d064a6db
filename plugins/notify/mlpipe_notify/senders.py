"""One function for each kind of channel: it sends a text once, or raises ``Refused``."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mlpipe_notify.config import KINDS, Apprise, Channel, Slack, Sns, Webhook
from mlpipe_notify.mail import email
from mlpipe_notify.outgoing import Outgoing
from mlpipe_notify.posting import explained, post
from mlpipe_notify.refusal import Refused


def send(channel: Channel, outgoing: Outgoing) -> None:
    """Send a text to a channel, once.

    Raises:
        Refused: It was not taken.
    """
    for kind in KINDS:
        settings = getattr(channel, kind)
        if settings is not None:
            _SENDERS[kind](settings, outgoing)


def _slack(settings: Slack, outgoing: Outgoing) -> None:
    text = outgoing.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if settings.webhook is not None:
        post(outgoing.secrets.value(settings.webhook), {"text": text}, outgoing.timeout)
        return
    token = outgoing.secrets.value(settings.token or "")
    body = {"channel": settings.channel, "text": text}
    headers = {"Authorization": f"Bearer {token}"}
    answer = post(f"{settings.api}/chat.postMessage", body, outgoing.timeout, headers)
    try:
        said = answer.json()
    except ValueError:
        raise Refused("the server's answer is not Slack's") from None
    if not said.get("ok"):
        code = str(said.get("error", ""))[:40]
        why = explained(code) or f"Slack's API says {code}"
        raise Refused(why, again=code == "ratelimited")


def _teams(settings: Webhook, outgoing: Outgoing) -> None:
    block = {"type": "TextBlock", "text": outgoing.text.replace("\n", "\n\n"), "wrap": True}
    card = {"type": "AdaptiveCard", "version": "1.4", "body": [block]}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    body = {"type": "message", "attachments": [attachment]}
    post(outgoing.secrets.value(settings.url), body, outgoing.timeout)


def _webhook(settings: Webhook, outgoing: Outgoing) -> None:
    body = {**outgoing.fields, "id": outgoing.id, "text": outgoing.text}
    headers = {"Idempotency-Key": outgoing.id}
    post(outgoing.secrets.value(settings.url), body, outgoing.timeout, headers)


def _sns(settings: Sns, outgoing: Outgoing) -> None:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    once = Config(
        connect_timeout=outgoing.timeout,
        read_timeout=outgoing.timeout,
        retries={"total_max_attempts": 1},
    )
    region = settings.topic.split(":")[3]
    subject = "".join(char if " " <= char <= "~" else "?" for char in outgoing.title)[:100]
    try:
        client = boto3.client("sns", region_name=region, config=once)
        client.publish(TopicArn=settings.topic, Subject=subject, Message=outgoing.text)
    except NoCredentialsError:
        raise Refused("there are no credentials for AWS: set AWS_PROFILE, or a role") from None
    except ClientError as error:
        code = error.response["Error"]["Code"]
        again = error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
        raise Refused(f"SNS answered {code} for {settings.topic}", again=again) from None
    except BotoCoreError as error:
        raise Refused(f"SNS cannot be reached: {type(error).__name__}", again=True) from None


def _apprise(settings: Apprise, outgoing: Outgoing) -> None:
    import logging

    import apprise

    # What Apprise logs can hold the URL, and this process's output is kept.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    service = apprise.Apprise()
    if not service.add(outgoing.secrets.value(settings.url)):
        raise Refused("the secret holds no URL that Apprise knows")
    if not service.notify(title=outgoing.title, body=outgoing.text):
        raise Refused("the service did not take the message", again=True)


_SENDERS: Mapping[str, Callable[[Any, Outgoing], None]] = MappingProxyType(
    {
        "slack": _slack,
        "teams": _teams,
        "webhook": _webhook,
        "email": email,
        "sns": _sns,
        "apprise": _apprise,
    }
)
