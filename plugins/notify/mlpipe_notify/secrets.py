"""The values of channels' secrets, and their removal from everything that is said."""

import os
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from mlpipe_notify.config import NotifyConfig
from mlpipe_notify.refusal import Refused

_SHORTEST = 4


class Secrets:
    """Gives secrets by name, and replaces their values in texts by ``***``.

    Args:
        config: Whose channels use them.
        environ: Where they are.
    """

    def __init__(self, config: NotifyConfig, environ: Mapping[str, str] = os.environ) -> None:
        names = [value for _, role, value in config.roles() if role.value == "secret-name"]
        self._values = {name: environ[name] for name in names if environ.get(name)}
        self.missing = tuple(dict.fromkeys(name for name in names if name not in self._values))
        forms = {form for value in self._values.values() for form in _forms(value)}
        self._forms = sorted(forms, key=len, reverse=True)

    def value(self, name: str) -> str:
        """Give a secret.

        Raises:
            Refused: It is not set.
        """
        if name not in self._values:
            raise Refused(f"secret {name} is not set. Set the environment variable {name}.")
        return self._values[name]

    def masked(self, text: str) -> str:
        """Replace all secrets in a text."""
        for form in self._forms:
            text = text.replace(form, "***")
        return text


def _forms(value: str) -> Iterator[str]:
    """Yield how a secret can show up: as it is, quoted, and of a URL what follows the host."""
    yield value
    yield quote(value)
    yield quote(value, safe="")
    _, _, after = value.partition("://")
    userinfo, _, rest = after.rpartition("@")
    _, slash, path = rest.partition("/")
    tails = (userinfo, userinfo.partition(":")[2], slash + path, path, path.rpartition("/")[2])
    yield from (each for each in tails if len(each) >= 2 * _SHORTEST)
