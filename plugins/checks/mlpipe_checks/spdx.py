"""Licences as packages say them, and whether a list allows them."""

import re
from collections.abc import Set as AbstractSet
from email.message import Message

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

#: What classifiers say, in SPDX's words; those that do not say which one are not here.
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Zope Public License": "ZPL-2.1",
}
#: What the field License holds often that is no SPDX.
_TEXTS = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "apache-2.0 license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "mit license": "MIT",
    "the mit license": "MIT",
    "mpl 2.0": "MPL-2.0",
    "psf": "PSF-2.0",
    "psfl": "PSF-2.0",
}
_TOKEN = re.compile(r"[()]|[^\s()]+")


def canonical(expression: str) -> str | None:
    """Give an SPDX expression as SPDX writes it; ``None`` where it is none."""
    try:
        return canonicalize_license_expression(expression)
    except InvalidLicenseExpression:
        return None


def licence_of(facts: Message) -> str | None:
    """Give a package's licence as an SPDX expression, from its metadata.

    Returns:
        The expression; several classifiers are joined by OR. ``None`` where it does not say.
    """
    if stated := facts.get("License-Expression"):
        return canonical(stated)
    prefix = "License :: OSI Approved :: "
    named = [text for text in facts.get_all("Classifier", []) if text.startswith(prefix)]
    known = [_CLASSIFIERS.get(text.removeprefix(prefix)) for text in named]
    text = " ".join((facts.get("License") or "").split())
    stated = _TEXTS.get(text.lower()) or (canonical(text) if text and len(text) < 80 else None)
    if stated is not None:  # the field is more exact: classifiers do not tell BSD's clauses
        return stated
    return " OR ".join(map(str, known)) if known and None not in known else None


def allows(expression: str, allowed: AbstractSet[str], denied: AbstractSet[str]) -> bool:
    """Tell whether lists allow a licence: of OR one part must be allowed, of AND each.

    Args:
        expression: In SPDX's own spelling.
        allowed: Identifiers that are fine; all that are not denied when empty.
        denied: Identifiers that are not.
    """
    return _Parser(_TOKEN.findall(expression), allowed, denied).either()


class _Parser:
    """Evaluates an expression: AND binds closer than OR, WITH closer than both."""

    def __init__(
        self, tokens: list[str], allowed: AbstractSet[str], denied: AbstractSet[str]
    ) -> None:
        self._tokens = tokens
        self._allowed = allowed
        self._denied = denied

    def either(self) -> bool:
        fine = self._both()
        while self._next_is("OR"):
            other = self._both()
            fine = fine or other
        return fine

    def _both(self) -> bool:
        fine = self._one()
        while self._next_is("AND"):
            other = self._one()
            fine = fine and other
        return fine

    def _one(self) -> bool:
        if self._next_is("("):
            fine = self.either()
            self._next_is(")")
            return fine
        name = self._tokens.pop(0)
        names = {name}
        if self._next_is("WITH"):
            whole = f"{name} WITH {self._tokens.pop(0)}"
            names = {whole} if whole in self._allowed | self._denied else {name}
        return not names & self._denied and (not self._allowed or bool(names & self._allowed))

    def _next_is(self, token: str) -> bool:
        if self._tokens[:1] != [token]:
            return False
        self._tokens.pop(0)
        return True
