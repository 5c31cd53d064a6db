"""Making data sets of a table: in memory, or streaming."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_dvc.config import PrepareConfig
from mlpipe_dvc.datasets import DataSet, Prepared, belongs
from mlpipe_dvc.quality.checks import Checker
from mlpipe_dvc.quality.describing import describe
from mlpipe_dvc.steps import Bench, through
from mlpipe_dvc.tables.reading import read_batches, read_whole
from mlpipe_dvc.tables.streamed import StreamedTable
from mlpipe_dvc.tables.table import Part, Table, alike
from mlpipe_dvc.tables.whole import WholeTable
from mlpipe_dvc.values import Frames, LocalFiles

if TYPE_CHECKING:
    from pandas import DataFrame


def prepare_tables(
    found: LocalFiles | Frames,
    config: PrepareConfig,
    checker: Checker | None,
    stage: Stage,
    folder: Path,
) -> Prepared:
    """Make data sets of a table.

    Args:
        found: The source.
        config: What the recipe says.
        checker: Is shown all rows.
        stage: Whose data sets they are.
        folder: Empty; what is made on the way goes here.

    Raises:
        StageError: It is no table, a step fails, or rows cannot be divided so.
        GateMissed: A check found something.
    """
    # Half is the engine's: batches of rows take the rest.
    memory = f"{config.megabytes // 2}MB"
    open_table = _opener(config, stage.root, folder, memory)
    bench = Bench(stage, folder, config.format, open_table)
    table = through(open_table(found), config.steps, bench)
    table.settle(checker.add if checker else lambda batch: None)
    if checker:
        checker.finish(stage)
    parts = table.divide(config.split, folder, config.format)
    sets = [_data_set(part, config, stage) for part in parts]
    return Prepared(sets, "rows", {"columns": float(len(parts[0].columns))})


def _opener(
    config: PrepareConfig, root: Path, folder: Path, memory: str
) -> Callable[[LocalFiles | Frames], Table]:
    if not config.stream:
        return lambda found: WholeTable(_whole(found, root), found.origin)

    def open_stream(found: LocalFiles | Frames) -> Table:
        batches = found.batches if isinstance(found, Frames) else read_batches(found, root)
        scratch = Path(mkdtemp(prefix="stream-", dir=folder))
        return StreamedTable(batches, found.origin, scratch, memory)

    return open_stream


def _whole(found: LocalFiles | Frames, root: Path) -> DataFrame:
    from pandas import concat

    if isinstance(found, LocalFiles):
        return read_whole(found, root)
    frames = list(alike(found.batches, found.origin))
    if not frames:
        raise StageError("has no rows", where=found.origin)
    return frames[0] if len(frames) == 1 else concat(frames, ignore_index=True)


def _data_set(part: Part, config: PrepareConfig, stage: Stage) -> DataSet:
    label = PurePosixPath(config.output, part.path.name).as_posix()
    table = describe(part.path, config.format, config.memory)
    schema = {column.name: column.kind for column in table.columns}
    facts = {"columns": list(part.columns), "schema": schema}
    return DataSet(part.name, belongs(part.path, label, stage), part.rows, facts, table)
