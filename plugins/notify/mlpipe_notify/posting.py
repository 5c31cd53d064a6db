"""Posting JSON, and saying why it was not taken without naming where to."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mlpipe_notify.refusal import Refused

if TYPE_CHECKING:
    from requests import Response

#: What Slack answers, and what to do about it.
SLACK = MappingProxyType(
    {
        "no_service": "the webhook was removed or its app uninstalled: make a new one in Slack",
        "no_team": "the webhook's workspace is gone: make a webhook in another",
        "invalid_token": "the webhook's URL is wrong: copy it from Slack again",
        "channel_not_found": "there is no such channel, or the bot is not in it: invite the bot",
        "channel_is_archived": "the channel is archived: name another",
        "is_archived": "the channel is archived: name another",
        "not_in_channel": "the bot is not in the channel: invite it",
        "invalid_auth": "the token is wrong: copy the bot's token from Slack again",
        "not_authed": "the token is empty: set the secret to the bot's token",
        "token_revoked": "the token was revoked: install the app again",
        "account_inactive": "the bot's account was removed: install the app again",
        "missing_scope": "the bot may not write: give its app the scope chat:write",
        "ratelimited": "too many messages at once",
    }
)
_LONGEST_WAIT = 30.0


def post(
    url: str, body: Mapping[str, Any], timeout: float, headers: Mapping[str, str] | None = None
) -> "Response":
    """Post JSON; redirects are not followed, since the message is for the one who was named.

    Args:
        url: Where to; it appears in no error.
        body: What.
        timeout: Seconds to connect in, and to answer in.
        headers: To add.

    Raises:
        Refused: It was not taken.
    """
    import requests

    try:
        answer = requests.post(
            url, json=body, headers=headers, timeout=timeout, allow_redirects=False
        )
    except requests.Timeout:
        raise Refused(f"the server did not answer within {timeout:g} s", again=True) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, ValueError):
        raise Refused("the secret holds no URL that can be posted to") from None
    except requests.exceptions.SSLError:
        raise Refused("the server's certificate is not trusted") from None
    except requests.RequestException:
        raise Refused("the server cannot be reached", again=True) from None
    if not 200 <= answer.status_code < 300:
        raise _refused(answer)
    return answer


def explained(code: str) -> str:
    """Say what an error code of Slack's means, where it is one."""
    return f"{code}: {SLACK[code]}" if code in SLACK else ""


def _refused(answer: "Response") -> Refused:
    status = answer.status_code
    why = explained(answer.text.strip()[:40])
    if not why and status in (404, 410):
        why = "there is no such webhook any more: make a new one"
    if not why and 300 <= status < 400:
        why = "it redirects, which is not followed: use the URL it redirects to"
    text = f"the server answered {status}" + (f", {why}" if why else "")
    return Refused(text, again=status == 429 or status >= 500, wait=_wait(answer))


def _wait(answer: "Response") -> float:
    seconds = answer.headers.get("Retry-After", "")
    return min(float(seconds), _LONGEST_WAIT) if seconds.isdigit() else 0.0
