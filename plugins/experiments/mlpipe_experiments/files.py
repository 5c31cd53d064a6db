"""Files that are there whole, or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read JSON lines; none where there is no file."""
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):  # else it is being written, or was when all power went
                yield json.loads(line)


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a JSON file whole, or leave the one before."""
    with replacing(path) as file:
        json.dump(facts, file, indent=2)


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """Write a file that takes another's place once it is whole; nothing is left else."""
    descriptor, writing = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(writing, path)
    except BaseException:
        Path(writing).unlink(missing_ok=True)
        raise
