"""The control socket: how commands talk to a running server. One JSON line each way."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from mlpipe import UserError
from mlpipe_endpoint import logs

#: Bytes that a request or an answer may have; probes travel here.
_LIMIT = 64 * 1024 * 1024

Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class NoAnswer(Exception):
    """The server did not answer on its control socket."""


class Refused(Exception):
    """The server did not do what it was asked.

    Args:
        what: Why.
        where: What it is about.
        fix: What to do about it.
    """

    def __init__(self, what: str, where: str | None, fix: str | None) -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix


def ask(path: str, operation: str, *, timeout: float | None, **arguments: Any) -> dict[str, Any]:
    """Ask a server for something.

    Args:
        path: Of its control socket.
        operation: The name of one of its handlers.
        timeout: Seconds to wait; ``None`` for as long as the server lives.
        arguments: JSON values for the handler.

    Raises:
        NoAnswer: Nobody answers.
        Refused: The server says no.
    """
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(timeout)
            client.connect(path)
            client.sendall(json.dumps({"operation": operation, **arguments}).encode() + b"\n")
            with client.makefile("rb") as answers:
                answer = json.loads(answers.readline())
    except (OSError, ValueError) as error:
        raise NoAnswer(f"no answer on {path}: {error}") from error
    if "error" in answer:
        raise Refused(**answer["error"])
    return dict(answer)


async def listen(path: Path, handlers: Mapping[str, Handler]) -> asyncio.Server:
    """Serve a control socket; only this user can reach it.

    Args:
        path: In a folder that only this user can enter.
        handlers: By operation. What a handler raises as ``UserError`` is told to the caller.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await _handle(handlers, await reader.readline())
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    return await asyncio.start_unix_server(serve, path, limit=_LIMIT)


async def _handle(handlers: Mapping[str, Handler], line: bytes) -> Mapping[str, Any]:
    try:
        request = json.loads(line)
        return await handlers[request.pop("operation")](request)
    except UserError as error:
        return {"error": {"what": error.what, "where": error.where, "fix": error.fix}}
    except Exception as error:
        logs.note("error", "a command failed", error)
        what = f"the endpoint's server failed: {error!r}"
        return {"error": {"what": what, "where": None, "fix": "See its log."}}
