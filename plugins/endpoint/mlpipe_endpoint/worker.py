"""The process of one variant: loads its model and answers frames, one after the other.

It serves whoever holds the other end of its socket, and ends as soon as nobody does.
"""

import os
import queue
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlpipe_endpoint.frames import Frame, encode, read

if TYPE_CHECKING:
    from mlpipe_scriptmode import Model


def main() -> int:
    """Serve the model in a folder over an inherited socket: ``worker FD FOLDER``."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    try:
        model = _load(Path(sys.argv[2]))
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        channel.sendall(encode({"failed": _say(error)}))
        return 1
    channel.sendall(encode({"ready": True}))
    frames: queue.SimpleQueue[Frame] = queue.SimpleQueue()
    reader = threading.Thread(target=_read_all, args=(channel.makefile("rb"), frames), daemon=True)
    reader.start()
    while True:
        channel.sendall(_answer(model, frames.get()))


def _load(folder: Path) -> "Model":
    import mlpipe_scriptmode

    return mlpipe_scriptmode.load(folder)


def _read_all(stream: BinaryIO, frames: "queue.SimpleQueue[Frame]") -> None:
    while (frame := read(stream)) is not None:
        frames.put(frame)
    # The router is gone. Nobody waits for the prediction that may be under way.
    os._exit(0)


def _answer(model: "Model", frame: Frame) -> bytes:
    import mlpipe_scriptmode as scriptmode

    header, body = frame
    reply = {"id": header["id"]}
    try:
        answer, content_type = model.invoke(body, header["content_type"], header["accept"])
        return encode({**reply, "content_type": content_type}, answer)
    except scriptmode.UnsupportedContentType as error:
        return encode({**reply, "status": 415, "message": str(error)})
    except scriptmode.BadPayload as error:
        return encode({**reply, "status": 400, "message": str(error)})
    except scriptmode.ModelFailure as error:
        traceback.print_exc()
        return encode({**reply, "status": 500, "message": str(error)})
    except Exception as error:
        traceback.print_exc()
        return encode({**reply, "status": 500, "message": _say(error)})


def _say(error: BaseException) -> str:
    from mlpipe import MlpipeError

    if isinstance(error, MlpipeError):
        return str(error)
    cause = error.__cause__
    tail = f" ({type(cause).__name__}: {cause})" if cause and str(cause) not in str(error) else ""
    return f"{type(error).__name__}: {error}{tail}"


if __name__ == "__main__":
    sys.exit(main())
