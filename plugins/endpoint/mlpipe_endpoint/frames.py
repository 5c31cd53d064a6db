"""How router and worker talk: frames of a fixed head, two short texts and a body.

Both sides write whole frames and may write many at once, so a reader takes what has arrived and
gives every frame that is complete.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

#: Number, status, and the lengths of the two texts and the body.
_HEAD = struct.Struct("!QHIII")


@dataclass(frozen=True, slots=True)
class Frame:
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


def encode(frame: Frame) -> bytes:
    """Give the bytes of a frame."""
    kind, accept = frame.content_type.encode(), frame.accept.encode()
    lengths = len(kind), len(accept), len(frame.body)
    return b"".join((_HEAD.pack(frame.number, frame.status, *lengths), kind, accept, frame.body))


class FrameBuffer:
    """Collects what arrives, in pieces of any size, until frames are complete."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes, and give the frames that they complete."""
        self._data += data
        place = 0
        while len(self._data) - place >= _HEAD.size:
            number, status, *lengths = _HEAD.unpack_from(self._data, place)
            start = place + _HEAD.size
            if len(self._data) - start < sum(lengths):
                break
            place = start + sum(lengths)
            yield _frame(bytes(self._data[start:place]), number, status, lengths)
        del self._data[:place]


def _frame(rest: bytes, number: int, status: int, lengths: list[int]) -> Frame:
    kind, accept = lengths[0], lengths[0] + lengths[1]
    return Frame(number, rest[accept:], status, rest[:kind].decode(), rest[kind:accept].decode())
