"""Reading an archive that may have been made to exhaust memory or disk."""

import gzip
from pathlib import Path

#: Headers are far smaller, and content is asked for in smaller pieces.
_MAX_READ = 1 << 20
#: What headers and padding may come to, beside the content.
_OVERHEAD = 256 << 20


class OutOfBounds(ValueError):
    """An archive holds more than it may."""


class BoundedGzipFile(gzip.GzipFile):
    """A compressed file that refuses to be read beyond a limit, or in pieces that fill memory.

    A header of a tar archive says itself how long it is, and is read whole.

    Args:
        path: The file.
        limit: How many bytes of content it may hold.
    """

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__(path, "rb")
        self._limit = limit

    def read(self, size: int | None = -1) -> bytes:
        """Read up to ``size`` bytes."""
        if size is None or not 0 <= size <= _MAX_READ:
            raise OutOfBounds("one of its headers is too long")
        if self.tell() > self._limit + _OVERHEAD:
            raise OutOfBounds(f"it holds more than {self._limit:,} bytes")
        return super().read(size)

    def verify(self) -> None:
        """Read to the end, where the checksum is; a tar archive ends before it.

        Raises:
            OSError: The content is not what was compressed.
        """
        while self.read(_MAX_READ):
            pass
