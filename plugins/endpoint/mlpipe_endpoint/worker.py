"""The process of one variant: loads its model and answers frames, together where it may.

It serves whoever holds the other end of its socket, and ends as soon as nobody does. When it is
free, it answers all requests that have arrived meanwhile: nobody waits for a batch to fill.
"""

import os
import select
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe_endpoint import logs
from mlpipe_endpoint.frames import Frame, FrameBuffer, encode

if TYPE_CHECKING:
    from mlpipe_scriptmode import Batcher

#: Bytes that are taken from the socket at once.
_CHUNK = 1 << 16
#: Bytes of requests after which no more are taken before they are answered.
_ENOUGH = 16 << 20


def main() -> int:
    """Serve the model in a folder over an inherited socket: ``worker FD FOLDER``."""
    logs.capture()
    channel = socket.socket(fileno=int(sys.argv[1]))
    try:
        batcher = _load(Path(sys.argv[2]))
    except (Exception, SystemExit) as error:
        logs.note("error", "the model does not load", error)
        channel.sendall(encode(0, _say(error).encode(), 500))
        return 1
    channel.sendall(encode(0, status=200))
    threading.Thread(target=_end_with, args=(channel.fileno(),), daemon=True).start()
    buffer = FrameBuffer()
    while True:
        if frames := _waiting(channel, buffer):
            for replies in _replies(batcher, frames):
                channel.sendall(replies)


def _load(folder: Path) -> "Batcher":
    import mlpipe_scriptmode as scriptmode
    from mlpipe_endpoint import mlflow_model

    of_mlflow = mlflow_model.folder_of(folder)
    model = scriptmode.load(folder) if of_mlflow is None else mlflow_model.load(of_mlflow)
    return scriptmode.Batcher(model)


def _end_with(descriptor: int) -> None:
    """End this process with the router. Nobody waits for the prediction that may be under way."""
    hung_up = select.poll()
    hung_up.register(descriptor, 0)
    hung_up.poll()
    os._exit(0)


def _waiting(channel: socket.socket, buffer: FrameBuffer) -> list[Frame]:
    """Wait for bytes; give the requests that are complete with all that have arrived."""
    frames: list[Frame] = []
    data = channel.recv(_CHUNK)
    size = 0
    while data:
        frames += buffer.feed(data)
        size += len(data)
        if len(data) < _CHUNK or size > _ENOUGH:
            return frames
        try:
            data = channel.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return frames
    os._exit(0)


def _replies(batcher: "Batcher", frames: Sequence[Frame]) -> Iterator[bytes]:
    """Answer requests; give the bytes of those answered together as soon as they are."""
    import mlpipe_scriptmode as scriptmode

    asked = [scriptmode.Request(each.body, each.content_type, each.accept) for each in frames]
    for part in batcher.parts(asked):
        yield b"".join([_reply(frames[n].number, outcome) for n, outcome in part])


def _reply(number: int, outcome: tuple[bytes, str] | Exception) -> bytes:
    if isinstance(outcome, Exception):
        return encode(number, *_refusal(outcome))
    body, content_type = outcome
    return encode(number, body, 200, content_type)


def _refusal(error: Exception) -> tuple[bytes, int]:
    import mlpipe_scriptmode as scriptmode

    if isinstance(error, scriptmode.UnsupportedContentType):
        return str(error).encode(), 415
    if isinstance(error, scriptmode.BadPayload):
        return str(error).encode(), 400
    logs.note("error", "the model failed", error)
    said = str(error) if isinstance(error, scriptmode.ModelFailure) else _say(error)
    return said.encode(), 500


def _say(error: BaseException) -> str:
    from mlpipe.errors import MlpipeError

    if isinstance(error, MlpipeError):
        return str(error)
    cause = error.__cause__
    tail = f" ({type(cause).__name__}: {cause})" if cause and str(cause) not in str(error) else ""
    return f"{type(error).__name__}: {error}{tail}"


if __name__ == "__main__":
    sys.exit(main())
