"""The ``.dvc`` files of all commits, by three Git processes, however many commits there are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Of how many tags, the newest, the versions are looked up.
_TAGS = 100


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that changed a ``.dvc`` file.

    Attributes:
        id: Its full hash.
        time: When it was committed, Unix time in seconds.
        author: The author's name.
    """

    id: str
    time: float
    author: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A ``.dvc`` file as it is in a commit or under a tag.

    Attributes:
        file: Its path, relative to the project's folder.
        content: Its bytes.
        commit: The commit that made it so; ``None`` under a tag.
        tag: The tag, or ``""``.
    """

    file: str
    content: bytes
    commit: Commit | None = None
    tag: str = ""


class GitFailed(Exception):
    """Git could not be asked; the message says why."""


def snapshots(root: Path) -> list[Snapshot]:
    """Give what commits of all branches made of ``.dvc`` files, the newest commit first.

    Behind them come the files as they are under each tag. Where Git cannot be asked there are
    none, and standard error says why.
    """
    try:
        changes = list(_changes(root))
        files = sorted({file for _, file, _ in changes if "\n" not in file})
        tags = _tags(root) if files else []
        pairs = [(tag, file) for tag in tags for file in files]
        wanted = dict.fromkeys(blob for *_, blob in changes)
        names = [*wanted, *(f"refs/tags/{tag}:./{file}" for tag, file in pairs)]
        contents = read(root, names)
    except GitFailed as error:
        print(f"versions in Git's history are left out: {error}", file=sys.stderr)
        return []
    blobs = dict(zip(wanted, contents, strict=False))
    made = [
        Snapshot(file, content, commit)
        for commit, file, blob in changes
        if (content := blobs[blob]) is not None
    ]
    tagged = [
        Snapshot(file, content, tag=tag)
        for (tag, file), content in zip(pairs, contents[len(wanted) :], strict=True)
        if content is not None
    ]
    return made + tagged


def read(root: Path, names: Sequence[str]) -> list[bytes | None]:
    """Give the content of Git's objects; ``None`` for each that is not there.

    Args:
        root: The folder that names like ``v1:./data.dvc`` start from.
        names: Anything that Git can resolve, without line breaks.

    Raises:
        GitFailed: Git could not be asked.
    """
    if not names:
        return []
    asked = b"".join(os.fsencode(name) + b"\n" for name in names)
    answer = _git(root, "cat-file", "--batch", stdin=asked)
    found: list[bytes | None] = []
    start = 0
    for _ in names:
        end = answer.index(b"\n", start)
        *_, size = answer[start:end].rsplit(b" ", 1)
        start = end + 1
        if size.isdigit():
            found.append(answer[start : start + int(size)])
            start += int(size) + 1
        else:  # "missing" or "ambiguous"
            found.append(None)
    return found


def _changes(root: Path) -> Iterator[tuple[Commit, str, str]]:
    """Yield commit, file and object for each ``.dvc`` file that a commit wrote."""
    tokens = iter(
        _git(
            root,
            *("-c", "log.showSignature=false", "log", "--exclude=refs/stash", "--all"),
            *("--date-order", "--full-history", "-m", "--raw", "-z", "--no-abbrev"),
            *("--no-renames", "--no-color", "--no-ext-diff", "--relative"),
            *("--format=format:%x01%H%x1f%ct%x1f%an", "--", "*.dvc"),
        ).split(b"\0")
    )
    commit = Commit("", 0, "")
    for token in tokens:
        facts = token
        if token.startswith(b"\x01"):
            header, _, facts = token[1:].partition(b"\n")
            identifier, time, author = header.decode(errors="replace").split("\x1f", 2)
            commit = Commit(identifier, float(time), author)
        if facts.startswith(b":"):
            file = os.fsdecode(next(tokens))
            _, mode, _, blob, _ = facts.decode().split(" ")
            if mode.startswith("100"):  # a file: not deleted, no link
                yield commit, file, blob


def _tags(root: Path) -> list[str]:
    listed = _git(
        root,
        *("for-each-ref", f"--count={_TAGS}", "--sort=-creatordate"),
        *("--format=%(refname:strip=2)", "refs/tags"),
    )
    return [os.fsdecode(line) for line in listed.splitlines()]


def _git(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, input=stdin, capture_output=True, check=False
        )
    except OSError as error:
        raise GitFailed(f"git cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        raise GitFailed(done.stderr.decode(errors="replace").strip())
    return done.stdout
