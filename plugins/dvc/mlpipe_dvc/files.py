"""Data sets of files that are no tables, as images in folders."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_dvc.config import FOLDER, WHOLE, PrepareConfig, SplitConfig, require_for_files
from mlpipe_dvc.datasets import DataSet, Prepared, belongs
from mlpipe_dvc.functions import call
from mlpipe_dvc.quality.checks import Checker
from mlpipe_dvc.quality.describing import describe
from mlpipe_dvc.sources.local import listing
from mlpipe_dvc.stepconfig import FunctionStep, Step
from mlpipe_dvc.steps import run_program, step_folder
from mlpipe_dvc.tables.split import split as divide
from mlpipe_dvc.values import Description, LocalFiles

#: Where files are, by their names in a data set.
Files = Mapping[str, Path]


def prepare_files(
    found: LocalFiles,
    config: PrepareConfig,
    checker: Checker | None,
    stage: Stage,
    folder: Path,
) -> Prepared:
    """Make data sets of files.

    Args:
        found: The source.
        config: What the recipe says.
        checker: Is shown all files.
        stage: Whose data sets they are.
        folder: Empty; what is made on the way goes here.

    Raises:
        StageError: A setting is of tables only, a step fails, or files cannot be divided so.
        GateMissed: A check found something.
    """
    _require_settings(config, found)
    files: Files = {path.relative_to(found.base).as_posix(): path for path in found.paths}
    print(f"{found.origin}: {len(files):,} files")
    files = _through(files, config.steps, stage, folder)
    if checker:
        checker.add_files(files)
        checker.finish(stage)
    parts = _divided(files, config.split)
    sets = [_data_set(name, part, config, stage, folder) for name, part in parts.items()]
    return Prepared(sets, "files", {"bytes": float(sum(each.facts["bytes"] for each in sets))})


def _data_set(
    name: str, files: Files, config: PrepareConfig, stage: Stage, folder: Path
) -> DataSet:
    path = PurePosixPath(config.output, name) if config.split else PurePosixPath(config.output)
    made = belongs(folder / name, path.as_posix(), stage, links=files)
    sizes = [each.stat().st_size for each in files.values()]
    table = _described(files, sizes, folder / f"{name}.jsonl") if config.profile else None
    return DataSet(name, made, len(files), {"bytes": sum(sizes)}, table)


def _described(files: Files, sizes: list[int], path: Path) -> Description:
    """Describe the table of files: the folder, kind and size of each."""
    names = map(PurePosixPath, files)
    rows = [
        {"folder": name.parent.as_posix(), "kind": name.suffix.lower(), "bytes": size}
        for name, size in zip(names, sizes, strict=True)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return describe(path, "jsonl")


def _require_settings(config: PrepareConfig, found: LocalFiles) -> None:
    for key in ("format", "stream", "memory"):
        if key in config.model_fields_set:
            raise StageError(
                f"{key} is of tables, and these are files that are none",
                where=found.origin,
                fix=f"Take {key} out, or say how the tables are written: {{…, format: csv}}.",
            )
    try:
        require_for_files(config.split)
    except ValueError as error:
        raise StageError(str(error), where="split") from None


def _through(files: Files, steps: list[Step], stage: Stage, scratch: Path) -> Files:
    """Take files through all steps, each of which reads a folder and writes another."""
    for number, step in enumerate(steps, 1):
        folder = step_folder(scratch, number)
        before, after = folder / "input", folder / "output"
        _link(files, before)
        after.mkdir()
        if isinstance(step, FunctionStep):
            call(step.function, stage.root, before, after, **step.args)
        else:
            run_program(step, before, after, stage)
        made = _written(after, step.label)
        print(f"{step.label}: {len(files):,} files became {len(made):,}")
        files = made
    return files


def _link(files: Files, folder: Path) -> None:
    """Show files in a folder of their own, without copying them."""
    for name, path in files.items():
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)


def _written(folder: Path, label: str) -> Files:
    if not folder.is_dir():
        raise StageError("its output is no folder any more", where=label)
    found = sorted(listing(folder, label))
    # What a step linked instead of writing is taken from where it is.
    return {path.relative_to(folder).as_posix(): Path(os.path.realpath(path)) for path in found}


def _divided(files: Files, split: SplitConfig | None) -> dict[str, Files]:
    """Divide files: by chance, or by the folder that each is in."""
    if split is None:
        return {WHOLE: files}
    from pandas import DataFrame

    names = sorted(files)
    folders = [PurePosixPath(name).parent.as_posix() for name in names]
    tables = divide(DataFrame({"name": names, FOLDER: folders}), split)
    return {part: {name: files[name] for name in table["name"]} for part, table in tables.items()}
