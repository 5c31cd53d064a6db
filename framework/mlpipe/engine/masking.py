"""Replacing secrets in everything that leaves a stage."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
# Shorter values occur by chance; masking them would make logs unreadable and hide nothing.
_SHORTEST = 4


class Masker:
    """Replaces secret values, raw, base64- and URL-encoded, by ``***``.

    Args:
        secrets: The values. Those shorter than four characters are not masked.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
        ordered = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        #: Length of the longest form; what may be split between two reads of a stream.
        self.longest = max(map(len, forms), default=0)

    def text(self, text: str) -> str:
        """Mask a text."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def boundary(self, text: str, cut: int) -> int:
        """Move a place to cut a text at behind the secret that it would split."""
        for match in self._pattern.finditer(text) if self._pattern else ():
            if match.start() < cut < match.end():
                return match.end()
        return cut

    def value(self, value: Any) -> Any:
        """Mask all text within a JSON value, keys included."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def _forms(secret: str) -> Iterator[str]:
    """Yield how a value may show up in text.

    Base64 of a longer text that contains the value depends on where the value begins, modulo
    three bytes; the middle of each of the three shifts is masked.
    """
    yield secret
    yield repr(secret)[1:-1]
    yield from (line for line in secret.splitlines() if len(line) >= _SHORTEST)
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    data = secret.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode().rstrip("=")
        for shift in range(3):
            start = 0 if shift == 0 else 4
            middle = encode(b"\0" * shift + data).decode().rstrip("=")[start:]
            usable = middle[: len(middle) - len(middle) % 4] if shift == 0 else middle[:-2]
            if len(usable) >= 2 * _SHORTEST:
                yield usable


class LogMasker:
    """Masks a stream of text piece by piece.

    Args:
        masker: Knows the secrets.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._rest = ""

    def feed(self, text: str) -> str:
        """Take the next piece; give what can be shown now.

        A line that is not finished is held back as far as a secret could begin in it.
        """
        if not self._masker.longest:
            return text
        self._rest += text
        whole_lines = self._rest.rfind("\n") + 1
        cut = max(whole_lines, len(self._rest) - self._masker.longest)
        cut = self._masker.boundary(self._rest, cut)
        shown, self._rest = self._rest[:cut], self._rest[cut:]
        return self._masker.text(shown)

    def end(self) -> str:
        """Give what was held back."""
        rest, self._rest = self._rest, ""
        return self._masker.text(rest)
