"""Whether a model has seen the test rows: what it was trained with is in its archive."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mlpipe import Input
from mlpipe.errors import StageError


def check(name: str, facts: Mapping[str, object], test: Input, where: str) -> None:
    """Refuse rows that a model was trained or tuned with.

    Args:
        name: The model's.
        facts: What its archive says: ``data`` holds the digest of each channel.
        test: The rows.
        where: What errors name.

    Raises:
        StageError: One of the channels is the test set.
    """
    data = facts.get("data")
    if not isinstance(data, Mapping):
        print(f'model "{name}" does not say what it was trained with', flush=True)
        return
    for channel, digest in data.items():
        if _same(str(digest), test):
            raise StageError(
                f'model "{name}" has seen the test set: it was its channel "{channel}"',
                where=where,
                fix="Test with rows that no training or tuning was given: split them off when the "
                "data is prepared.",
            )


def _same(digest: str, test: Input) -> bool:
    """Compare digests; where they are of two kinds, compute the one that is missing."""
    algorithm = digest.partition(":")[0]
    known = test.artifact.digest
    if known.partition(":")[0] == algorithm:
        return known == digest
    path = test.path()
    if algorithm not in ("md5", "sha256") or not path.is_file():
        return False
    return f"{algorithm}:{_hex(path, algorithm)}" == digest


def _hex(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
