"""The settings of channels. Whatever could hold a credential is the name of a secret."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from string import Formatter
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mlpipe import ObserverConfig, SecretName

#: What a channel can be told of.
Occasion = Literal["success", "failure", "gate", "release", "rollback"]

#: What a template can name.
FIELDS = (
    "recipe",
    "run",
    "target",
    "outcome",
    "stage",
    "headline",
    "text",
    "metric",
    "value",
    "bound",
    "shortfall",
    "release",
    "previous",
    "error",
    "commit",
    "link",
    "log",
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _secret(value: str) -> str:
    if not _NAME.fullmatch(value):  # the value may be the secret itself: it is not repeated
        raise ValueError(
            "should be the name of an environment variable that holds the secret, as SLACK_WEBHOOK"
        )
    return value


Secret = Annotated[SecretName, AfterValidator(_secret)]


def _template(value: str) -> str:
    try:
        parts = list(Formatter().parse(value))
    except ValueError as error:
        raise ValueError(f"{error}: write {{{{ and }}}} for plain braces") from None
    for _, name, form, conversion in parts:
        if form or conversion:
            raise ValueError(f'"{name}" in the template takes neither form nor conversion')
        if name is not None and name not in FIELDS:
            near = get_close_matches(name, FIELDS, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"fields: {', '.join(FIELDS)}"
            raise ValueError(f'the template names an unknown field "{name}"; {hint}')
    return value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Slack(_Model):
    """Slack, by an incoming webhook or as a bot."""

    webhook: Secret | None = Field(None, description="The secret that is the webhook's URL.")
    token: Secret | None = Field(None, description="The secret that is the bot's token.")
    channel: str = Field("", description="Where the bot writes, as #releases.")
    api: str = Field(
        "https://slack.com/api", description="Slack's API, as https://slack-gov.com/api."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.webhook is None) == (self.token is None):
            raise ValueError("needs either webhook: or token:")
        if (self.token is None) != (not self.channel):
            raise ValueError("channel: goes with token:, and a webhook has its own")
        return self


class Webhook(_Model):
    """Any server that takes JSON, Microsoft Teams among them."""

    url: Secret = Field(description="The secret that is the URL.")


class Email(_Model):
    """E-mail, by an SMTP server."""

    host: str = Field(description="The SMTP server.")
    port: int = Field(587, ge=1, le=65535, description="Its port.")
    to: tuple[str, ...] = Field(min_length=1, description="Who gets it.")
    sender: str = Field("mlpipe@localhost", alias="from", description="Who it is from.")
    user: str | None = Field(None, description="Whom to log in as.")
    password: Secret | None = Field(None, description="The secret that is the password.")
    tls: Literal["starttls", "implicit", "none"] = Field(
        "starttls", description="How the connection is encrypted; none sends no password."
    )

    @model_validator(mode="after")
    def _login(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user: and password: go together")
        if self.password is not None and self.tls == "none":
            raise ValueError("a password is sent over an encrypted connection only: leave out tls:")
        return self


class Sns(_Model):
    """A topic of Amazon SNS, with the credentials that boto3 finds."""

    topic: str = Field(
        pattern=r"^arn:aws[\w-]*:sns:[a-z0-9-]+:\d{12}:[\w.-]+$", description="The topic's ARN."
    )


class Apprise(_Model):
    """Any service that Apprise knows."""

    url: Secret = Field(description="The secret that is Apprise's URL of the service.")


def _short(key: str) -> BeforeValidator:
    """Take a text for the one setting that most people write."""

    def mapping(value: object) -> object:
        return {key: value} if isinstance(value, str) else value

    return BeforeValidator(mapping, json_schema_input_type=str | dict[str, Any])


#: The kinds of channel, as the keys of a channel's settings.
KINDS = ("slack", "teams", "webhook", "email", "sns", "apprise")


class Channel(_Model):
    """Where to tell, of what, and in which words."""

    slack: Annotated[Slack, _short("webhook")] | None = Field(
        None, description="A webhook of Slack's, or a bot."
    )
    teams: Annotated[Webhook, _short("url")] | None = Field(
        None, description="A webhook of Microsoft Teams'."
    )
    webhook: Annotated[Webhook, _short("url")] | None = Field(
        None, description="Any server that takes JSON."
    )
    email: Email | None = Field(None, description="People, by mail.")
    sns: Annotated[Sns, _short("topic")] | None = Field(None, description="A topic of Amazon SNS.")
    apprise: Annotated[Apprise, _short("url")] | None = Field(
        None, description="Any other service that Apprise knows."
    )
    on: tuple[Occasion, ...] = Field(
        ("failure", "gate", "release", "rollback"),
        description="Of what to tell. Gates that name the channel are always told.",
    )
    template: Annotated[str, AfterValidator(_template)] | None = Field(
        None, description=f"The message. Its fields, in braces: {', '.join(FIELDS)}."
    )

    @model_validator(mode="before")
    @classmethod
    def _no_secrets(cls, value: object) -> object:
        """Refuse what is a secret itself, before anything else could repeat it in a message."""
        public = {"api", "template"}
        if any("://" in text for text in _texts(value, public)):
            raise ValueError(
                "a URL of a channel is a secret: keep it in an environment variable and write "
                "that variable's name, as slack: SLACK_WEBHOOK"
            )
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in KINDS) != 1:
            raise ValueError(f"needs exactly one of {', '.join(KINDS)}")
        return self


def _texts(value: object, public: set[str]) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        kept = (item for key, item in value.items() if key not in public)
        return [text for item in kept for text in _texts(item, public)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item, public)]
    return []


class NotifyConfig(ObserverConfig):
    """How channels are told; the channels themselves stand in the recipe's ``notify:``."""

    notifies: ClassVar[bool] = True

    channels: dict[str, Channel] = Field(
        default_factory=dict, description="Who is told, by name: the recipe's notify:."
    )
    link: str | None = Field(
        None, description="A page of the run, as https://ci.example.com/{run}, for messages."
    )
    attempts: int = Field(3, ge=1, le=10, description="How often a message is tried.")
    delay: float = Field(
        1.0, ge=0, le=60, description="Seconds until the second attempt; doubled for each further."
    )
    timeout: float = Field(10.0, gt=0, le=60, description="Seconds that a server has to answer.")
