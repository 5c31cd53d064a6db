"""The semantic version of a commit, from tags and messages.

Tags ``v1.2.3`` and ``1.2.3`` are versions (https://semver.org); those with anything after that
are none that others are counted from. Between two of them the messages say what changed
(https://www.conventionalcommits.org): a type with ``!``, or a footer ``BREAKING CHANGE:``, is the
next major version, ``feat`` the next minor one, anything else the next patch. Before 1.0.0, where
semantic versioning promises nothing, a breaking change is the next minor version.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from mlpipe_git.git import Git

#: Of a repository that has no version yet.
FIRST = "0.1.0"

_TAG = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_BREAKING = re.compile(r"^\w+(\([^)]*\))?!:|^BREAKING[ -]CHANGE:", re.MULTILINE)
_FEATURE = re.compile(r"^feat(\([^)]*\))?:")

Number = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a commit.

    Attributes:
        date: When it was made, in ISO 8601.
        tag: The tag that it has, if that is a version.
        version: That version, else the next one after the newest before it; empty where the
            history that was fetched does not reach back to one.
    """

    date: str
    tag: str
    version: str


def describe(git: Git, repository: Path, commit: str) -> Known:
    """Find a commit's date and version.

    Args:
        git: Git.
        repository: That has the commit, its history and the tags.
        commit: Its hash.
    """
    date = git.run("show", "--no-patch", "--format=%cI", commit, folder=repository).strip()
    tags = _versions(git.run("tag", "--merged", commit, folder=repository))
    here = _versions(git.run("tag", "--points-at", commit, folder=repository))
    if here:
        number = max(here)
        return Known(date, here[number], _text(number))
    if not tags:
        shallow = git.run("rev-parse", "--is-shallow-repository", folder=repository).strip()
        return Known(date, "", "" if shallow == "true" else FIRST)
    newest = max(tags)
    span = f"refs/tags/{tags[newest]}..{commit}"
    log = git.run("log", "--format=%B%x00", span, folder=repository)
    return Known(date, "", _text(bumped(newest, log.split("\0"))))


def bumped(number: Number, messages: list[str]) -> Number:
    """Give the version after some changes.

    Args:
        number: The one before them.
        messages: The commits'.
    """
    major, minor, patch = number
    texts = [message.strip() for message in messages]
    if any(_BREAKING.search(text) for text in texts):
        return (0, minor + 1, 0) if major == 0 else (major + 1, 0, 0)
    if any(_FEATURE.match(text) for text in texts):
        return (major, minor + 1, 0)
    return (major, minor, patch + 1)


def _versions(tags: str) -> dict[Number, str]:
    found = {}
    for tag in tags.split():
        if match := _TAG.fullmatch(tag):
            major, minor, patch = map(int, match.groups())
            found[major, minor, patch] = tag
    return found


def _text(number: Number) -> str:
    return ".".join(map(str, number))
