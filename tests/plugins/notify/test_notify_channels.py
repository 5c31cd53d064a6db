"""Every kind of channel, tried by the command or told by the observer, on loopback."""

import json
import socket
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest

from mlpipe_awstest import Aws
from tests.plugins.notify.notify_project import Answer, Listener, Notifying

RECIPE = "name: p\nnotify:\n  ops: {}\nobservers: {{notify: {{delay: 0, timeout: 1}}}}\n"
STAGES = "stages: {a: {uses: shell.build, with: {command: 'true'}}}\n"
TEXT = "mlpipe notify test: p reaches ops"


def tried(project: Notifying, channel: str, **environment: str) -> Answer:
    project.write("p.yaml", RECIPE.format(channel) + STAGES)
    return project.mlpipe("notify", "test", "ops", "--recipe", "p", **environment)


class Post:
    """A handler of mail that keeps it."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Message]] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@pytest.fixture
def post() -> Iterator[tuple[Post, int]]:
    """A mail server on loopback, and its port."""
    from aiosmtpd.controller import Controller

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    handler = Post()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, port
    controller.stop()


def test_a_bot_writes_to_its_channel(project: Notifying, listener: Listener) -> None:
    listener.answers += [(200, '{"ok": true}', {})]
    bot = f"{{slack: {{token: BOT, channel: '#ops', api: '{listener.url('/api')}'}}}}"
    answer = tried(project, bot, BOT="xoxb-canary-1")
    assert (answer.code, answer.out) == (0, "ops was told\n"), answer.err
    (heard,) = listener.heard
    assert heard.path == "/api/chat.postMessage"
    assert heard.headers["Authorization"] == "Bearer xoxb-canary-1"
    assert heard.body == {"channel": "#ops", "text": TEXT}


def test_what_slack_refuses_is_explained(project: Notifying, listener: Listener) -> None:
    listener.answers += [(200, '{"ok": false, "error": "channel_not_found"}', {})]
    bot = f"{{slack: {{token: BOT, channel: '#ops', api: '{listener.url('/api')}'}}}}"
    answer = tried(project, bot, BOT="xoxb-canary-1")
    assert answer.code == 1
    assert answer.err == (
        "notify.ops: not told: channel_not_found: there is no such channel, or the bot is not in "
        "it: invite the bot\n   Put that right and try again; runs go on without it.\n"
    )


def test_e_mail(project: Notifying, post: tuple[Post, int]) -> None:
    handler, port = post
    mail = f"{{email: {{host: 127.0.0.1, port: {port}, tls: none, to: [a@b.test, c@d.test]}}}}"
    answer = tried(project, mail)
    assert answer.code == 0, answer.err
    ((to, message),) = handler.mails
    assert to == ["a@b.test", "c@d.test"]
    assert message["Subject"] == TEXT
    assert str(message.get_payload()).strip() == TEXT


def test_e_mail_that_is_refused(project: Notifying, post: tuple[Post, int]) -> None:
    _, port = post
    mail = f"{{host: 127.0.0.1, port: {port}, to: [nobody@b.test]"
    assert (
        "takes no mail for nobody@b.test" in tried(project, f"{{email: {mail}, tls: none}}}}").err
    )
    assert "offers no encryption or log-in: see tls:" in tried(project, f"{{email: {mail}}}}}").err


def test_a_topic_of_sns(project: Notifying, cloud: Aws) -> None:
    import boto3

    sns, sqs = (boto3.client(name, region_name="eu-west-1") for name in ("sns", "sqs"))
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    queue = sqs.create_queue(QueueName="alerts")["QueueUrl"]
    wanted = {"QueueUrl": queue, "AttributeNames": ["QueueArn"]}
    arn = sqs.get_queue_attributes(**wanted)["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    answer = tried(project, f"{{sns: '{topic}'}}")
    assert answer.code == 0, answer.err
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["Message"] == TEXT
    gone = tried(project, f"{{sns: '{topic}-gone'}}")
    assert f"SNS answered NotFound for {topic}-gone" in gone.err


def test_a_service_of_apprise(project: Notifying, listener: Listener) -> None:
    url = listener.url("/canary-9173").replace("http://", "json://")
    answer = tried(project, "{apprise: SERVICE}", SERVICE=url)
    assert answer.code == 0, answer.err
    (heard,) = listener.heard
    assert (heard.body["title"], heard.body["message"]) == (TEXT, TEXT)
    listener.answers += [(500, "", {})] * 3
    refused = tried(project, "{apprise: SERVICE}", SERVICE=url)
    assert "the service did not take the message (3 attempts)" in refused.err
    assert "canary-9173" not in refused.out + refused.err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1/canary-1", "the server cannot be reached (3 attempts)"),
        ("no url canary-1", "the secret holds no URL that can be posted to"),
        ("http://[canary-1", "the secret holds no URL that can be posted to"),
        ("", "secret HOOK is not set. Set the environment variable HOOK."),
    ],
)
def test_a_webhook_that_cannot_be_reached(project: Notifying, url: str, said: str) -> None:
    answer = tried(project, "{webhook: HOOK}", HOOK=url)
    assert answer.code == 1
    assert said in answer.err
    assert "canary-1" not in answer.out + answer.err


def test_a_slow_server_is_given_up(project: Notifying, listener: Listener) -> None:
    listener.delay = 1.5
    project.write("p.yaml", RECIPE.format("{webhook: HOOK}").replace("delay: 0", "attempts: 1"))
    with (project.root / "p.yaml").open("a") as file:
        file.write(STAGES)
    hook = listener.url("/canary-1")
    answer = project.mlpipe("notify", "test", "ops", "--recipe", "p", HOOK=hook)
    assert "the server did not answer within 1 s\n" in answer.err
    assert "canary-1" not in answer.err


def test_a_channel_that_the_recipe_has_not(project: Notifying) -> None:
    project.write("p.yaml", RECIPE.format("{webhook: HOOK}") + STAGES)
    answer = project.mlpipe("notify", "test", "opps", "-r", "p")
    assert answer.code == 2
    assert answer.err == (
        'recipe p has no channel "opps"\n   Did you mean "ops"? Its channels: ops.\n'
    )
