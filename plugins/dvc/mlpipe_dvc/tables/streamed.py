"""A table larger than memory.

DuckDB is the engine for what needs all rows at once: it reads Parquet and sorts out of core
under a hard limit of memory, in one wheel without dependencies. pyarrow has no sort that
leaves memory, and polars no limit of it. Rows are taken through steps and checks a batch at a
time, kept as Parquet files, and written from these in a second pass.

Which part a row goes to is decided by the MD5 of seed and row number (seed and value, for
groups), which no release of DuckDB changes. The counts are those of a table in memory; but
for ``time``, the rows are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mlpipe.errors import StageError
from mlpipe_dvc.config import WHOLE, SplitConfig
from mlpipe_dvc.tables.arrow import batch_rows
from mlpipe_dvc.tables.kept import Kept, keep
from mlpipe_dvc.tables.outofcore import Division, divide
from mlpipe_dvc.tables.table import Part, alike, require_columns
from mlpipe_dvc.tables.writing import writer
from mlpipe_dvc.values import Format

if TYPE_CHECKING:
    from numpy import ndarray
    from pandas import DataFrame


class StreamedTable:
    """A table that is read, changed and written a batch of rows at a time.

    Args:
        batches: Tables of the same columns, to be read once.
        origin: How users know where they come from.
        scratch: A folder for rows and for what does not fit in memory.
        memory: What dividing may use, as ``256MB``.
    """

    def __init__(
        self, batches: Iterable[DataFrame], origin: str, scratch: Path, memory: str
    ) -> None:
        self._batches = batches
        self._origin = origin
        self._scratch = scratch
        self._memory = memory
        self._kept: Kept | None = None

    def then(self, change: Callable[[DataFrame], object], origin: str) -> Self:
        """Take each batch through a function, when it is read."""
        batches = _changed(self._batches, change, origin)
        return type(self)(batches, origin, self._scratch, self._memory)

    def save(self, path: Path, format: Format) -> None:  # noqa: A002 - the recipe's word
        """Write all rows to a file."""
        self.settle(lambda batch: None)
        kept = self._settled()
        with writer(path, format, kept.schema) as opened:
            for batch in kept.batches():
                opened.add(batch)
        kept.drop()

    def settle(self, look: Callable[[DataFrame], None]) -> None:
        """Take all batches through the steps, and show each."""
        batches = _sliced(self._batches, self._origin)
        self._kept = keep(batches, self._scratch / "kept", self._origin, look)

    def divide(self, split: SplitConfig | None, folder: Path, format: Format) -> list[Part]:  # noqa: A002
        """Write the data sets into a folder."""
        kept = self._settled()
        names = tuple(split.fractions) if split else (WHOLE,)
        paths = [folder / f"{name}.{format}" for name in names]
        columns = tuple(kept.schema.names)
        if split is None:
            with writer(paths[0], format, kept.schema) as opened:
                for batch in kept.batches():
                    opened.add(batch)
            return [Part(WHOLE, paths[0], kept.rows, columns)]
        division = divide(kept, split, self._scratch, self._memory)
        _write(division, paths, format)
        made = zip(names, paths, division.counts, strict=True)
        return [Part(name, path, rows, columns) for name, path, rows in made]

    def _settled(self) -> Kept:
        assert self._kept is not None, "settle() comes first"
        return self._kept


def _write(division: Division, paths: list[Path], format: Format) -> None:  # noqa: A002
    numbers = _Numbers(division.numbers())
    with ExitStack() as stack:
        schema = division.kept.schema
        writers = [stack.enter_context(writer(path, format, schema)) for path in paths]
        for batch in division.kept.batches():
            part = numbers.take(len(batch))
            for index, opened in enumerate(writers):
                opened.add(batch[part == index])


class _Numbers:
    """Hands out numbers as many at a time as are asked for."""

    def __init__(self, arrays: Iterator[ndarray]) -> None:
        self._arrays = arrays
        self._held: ndarray | None = None

    def take(self, count: int) -> ndarray:
        import numpy

        held = self._held if self._held is not None else next(self._arrays)
        while len(held) < count:
            held = numpy.concatenate([held, next(self._arrays)])
        taken, self._held = held[:count], held[count:]
        return taken


def _sliced(batches: Iterable[DataFrame], origin: str) -> Iterator[DataFrame]:
    """Yield batches with rows, none of them larger than most."""
    for frame in alike(batches, origin):
        size = batch_rows(len(frame.columns))
        for start in range(0, len(frame), size):
            yield frame.iloc[start : start + size]


def _changed(
    batches: Iterable[DataFrame], change: Callable[[DataFrame], object], origin: str
) -> Iterator[DataFrame]:
    before = after = 0
    for batch in _sliced(batches, origin):
        changed = require_columns(change(batch.reset_index(drop=True)), origin)
        before, after = before + len(batch), after + len(changed)
        yield changed
    if before and not after:
        raise StageError("has no rows", where=origin)
    print(f"{origin}: {before:,} rows became {after:,}")
