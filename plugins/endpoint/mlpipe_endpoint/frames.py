"""How router and worker talk: frames of a fixed head, two short texts and a body.

Both sides write whole frames and may write many at once, so a reader takes what has arrived and
gives every frame that is complete.
"""

import struct
from typing import NamedTuple

#: Number, status, and the lengths of the two texts and the body.
_HEAD = struct.Struct("!QHIII")


class Frame(NamedTuple):
    """A request, or the reply to one.

    Attributes:
        number: Which request; a worker's first frame, which says whether it is ready, has 0.
        body: A request's or an answer's bytes; a message where ``status`` is another than 200.
        status: What an HTTP server would answer; 0 in a request.
        content_type: What the body is.
        accept: In a request, what is wanted back.
    """

    number: int
    body: bytes = b""
    status: int = 0
    content_type: str = ""
    accept: str = ""


def encode(
    number: int, body: bytes = b"", status: int = 0, content_type: str = "", accept: str = ""
) -> bytes:
    """Give the bytes of a frame; see ``Frame``."""
    kind, wanted = content_type.encode(), accept.encode()
    head = _HEAD.pack(number, status, len(kind), len(wanted), len(body))
    return b"".join((head, kind, wanted, body))


class FrameBuffer:
    """Collects what arrives, in pieces of any size, until frames are complete."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._needed = _HEAD.size

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes, and give the frames that they complete."""
        self._data += data
        if len(self._data) < self._needed:
            return []
        held = bytes(self._data)
        frames: list[Frame] = []
        place = 0
        while (start := place + _HEAD.size) <= len(held):
            number, status, kind, accept, body = _HEAD.unpack_from(held, place)
            accept += start + kind
            body += accept
            if len(held) < body:
                self._needed = body - place
                break
            kinds = held[start : start + kind].decode(), held[start + kind : accept].decode()
            frames.append(Frame(number, held[accept:body], status, *kinds))
            place, self._needed = body, _HEAD.size
        del self._data[:place]
        return frames
