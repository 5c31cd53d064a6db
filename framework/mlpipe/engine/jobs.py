"""What is asked of a worker, and what it answers: values, and their form on the wire."""

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

_HEADER = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Job:
    """One call of one hook of one plugin, in a process of its own.

    Attributes:
        hook: A verb, ``resolve``, ``preview`` or ``rollback``.
        plugin: Whose.
        verb: The stage's verb.
        settings: The ``with:`` block.
        stage: What the stage's handle says: name, recipe, run, attempt, key, env, scratch,
            params, identities.
        target: Name, type and settings.
        inputs: Artifacts by name, as mappings.
        environment: Variables to set.
        secrets: Values by name; set in the environment too.
        wrappers: Plugins whose wrappers of the verb go around it.
        release: For ``rollback``: the release, and what is in service.
    """

    hook: str
    plugin: str
    verb: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    stage: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    wrappers: tuple[str, ...] = ()
    release: Mapping[str, Any] = field(default_factory=dict)


_JOB = tuple(each.name for each in fields(Job))


@dataclass(frozen=True, slots=True)
class Started:
    """A job's process exists. ``process`` is ``pid:start time``."""

    job: int
    process: str


@dataclass(frozen=True, slots=True)
class Said:
    """A stage emitted an event."""

    job: int
    kind: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Logged:
    """A job wrote to its standard output or error."""

    job: int
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A job is over.

    Attributes:
        job: Which.
        code: Exit code, or minus the signal's number.
        result: What the hook gave, or ``None``.
        error: ``what``, ``where``, ``fix``; or ``None``.
    """

    job: int
    code: int
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None


WorkerEvent = Started | Said | Logged | Ended


def send(channel: socket.socket, message: Mapping[str, Any], files: tuple[int, ...] = ()) -> None:
    """Send a message, with open file descriptors, over a stream socket."""
    body = json.dumps(message).encode()
    header = _HEADER.pack(len(body))
    if files:
        socket.send_fds(channel, [header], list(files))
        channel.sendall(body)
    else:
        channel.sendall(header + body)


def receive(channel: socket.socket, files: int = 0) -> tuple[dict[str, Any], list[int]] | None:
    """Receive a message and up to ``files`` descriptors; ``None`` at the end of the stream."""
    header, descriptors, _, _ = socket.recv_fds(channel, _HEADER.size, files)
    header += _exactly(channel, _HEADER.size - len(header)) if header else b""
    if len(header) < _HEADER.size:
        return None
    body = _exactly(channel, _HEADER.unpack(header)[0])
    return (json.loads(body), list(descriptors)) if body else None


def _exactly(channel: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = channel.recv(size)
        if not part:
            return b""
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def to_message(number: int, job: Job) -> dict[str, Any]:
    """Write a job for the wire."""
    return {"job": number, **{each: getattr(job, each) for each in _JOB}}


def from_message(message: dict[str, Any]) -> tuple[int, Job]:
    """Read a job off the wire."""
    number = message.pop("job")
    return number, Job(**{**message, "wrappers": tuple(message["wrappers"])})
