"""Checks of addresses and paths that recipes write; each gives back what is well.

A message never repeats the address: it may hold a password.
"""

import codecs
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import parse_qs, urlsplit

#: What a digest looks like.
SHA256 = "^sha256:[0-9a-f]{64}$"

_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", re.DOTALL)
_PASSWORD_KEYS = {"password", "passwd", "pwd"}
_KEEP_SECRETS_OUT = "; give it by the name of a secret"


def known_encoding(encoding: str) -> str:
    """Refuse what Python does not know as an encoding."""
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(f'"{encoding}" is no encoding that Python knows') from None
    return encoding


def web_address(url: str) -> str:
    """Refuse what is no http(s) address, or holds a user or password."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("write the whole address, beginning with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError(
            "an address must not hold a user or password" + _KEEP_SECRETS_OUT + ": headers"
        )
    return url


def sha256(digest: str) -> str:
    """Refuse what is no SHA-256 digest with its name in front."""
    if not re.fullmatch(SHA256, digest):
        raise ValueError("write sha256: and 64 hexadecimal digits")
    return digest


def bucket_address(uri: str) -> str:
    """Refuse what is no ``s3://`` address."""
    if not _S3.fullmatch(uri):
        raise ValueError("write s3://BUCKET/KEY, or s3://BUCKET/PREFIX/ for all keys below it")
    return uri


def database_address(url: str) -> str:
    """Refuse what is no URL of SQLAlchemy's, or holds a password."""
    if not re.match(r"[\w+]+://", url):
        raise ValueError(
            "write a URL of SQLAlchemy's, as sqlite:///shop.db or postgresql://host/db"
        )
    # A password may hold "/" and "?", so what urlsplit takes for the host may end too early.
    if re.match(r"[\w+]+://[^:/@?]*:[^@]*@", url) or _PASSWORD_KEYS & set(_query(url)):
        raise ValueError("a URL must not hold a password" + _KEEP_SECRETS_OUT + ": password")
    return url


def _query(url: str) -> Mapping[str, list[str]]:
    return parse_qs(url.partition("?")[2], keep_blank_values=True)


def repository_address(url: str) -> str:
    """Refuse an address of a repository that holds a password or token."""
    if not url:
        raise ValueError("name a folder or a Git URL")
    user = urlsplit(url).netloc.rpartition("@")[0] if "://" in url else ""
    if ":" in user or (user and not url.startswith("ssh://")):
        raise ValueError(
            "an address must not hold a password or token; let Git ask a credential helper"
        )
    return url


def relative_path(path: str) -> str:
    """Refuse a path that is absolute or leads upward."""
    parsed = PurePosixPath(path)
    if parsed.is_absolute() or ".." in parsed.parts or not parsed.parts:
        raise ValueError("name a path below the folder that it starts from, without ..")
    return path
