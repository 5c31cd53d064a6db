"""``dvc.prepare``: extract, clean, check, split, write, version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe import Artifact, Stage, StageResult
from mlpipe_dvc.checks import check
from mlpipe_dvc.config import WHOLE, PrepareConfig
from mlpipe_dvc.placing import Fresh
from mlpipe_dvc.source import read
from mlpipe_dvc.split import split
from mlpipe_dvc.tables import clean, write
from mlpipe_dvc.versioning import version

if TYPE_CHECKING:
    from pandas import DataFrame


def run(config: PrepareConfig, stage: Stage) -> StageResult:
    """Do all of it. No file of the project is touched before every check has passed."""
    tables = _make(config, stage.root)
    files = {name: _write(name, table, config, stage) for name, table in tables.items()}
    version(list(files.values()), stage.root, stage.state_dir, config.remote)
    artifacts = {name: _artifact(name, file) for name, file in files.items()}
    for name, artifact in artifacts.items():
        columns = [str(column) for column in tables[name].columns]
        stage.log_dataset(name, artifact, rows=len(tables[name]), columns=columns)
    return _result(config, tables, artifacts)


def _make(config: PrepareConfig, root: Path) -> dict[str, DataFrame]:
    frame = read(config.source, root)
    print(f"source: {len(frame):,} rows, {len(frame.columns):,} columns")
    frame = clean(frame, config.steps, root)
    if config.checks:
        check(frame, config.checks, root)
    return split(frame, config.split) if config.split else {WHOLE: frame}


def _write(name: str, table: DataFrame, config: PrepareConfig, stage: Stage) -> Fresh:
    folder = stage.scratch / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.csv"
    digest = write(table, path)
    label = (Path(config.output) / path.name).as_posix()
    print(f"{label}: {len(table):,} rows, {digest}")
    return Fresh(path=path, place=stage.root.resolve() / label, label=label, digest=digest)


def _artifact(name: str, file: Fresh) -> Artifact:
    return Artifact(name, file.digest, file.label, file.place.stat().st_size)


def _result(
    config: PrepareConfig, tables: Mapping[str, DataFrame], artifacts: Mapping[str, Artifact]
) -> StageResult:
    rows = sum(len(table) for table in tables.values())
    metrics = {"rows": float(rows), "columns": float(len(next(iter(tables.values())).columns))}
    if config.split:
        metrics.update((f"{name}.rows", float(len(table))) for name, table in tables.items())
    short = _short_version(artifacts)
    splits = f"{len(tables)} splits, " if config.split else ""
    return StageResult(
        outputs=dict(artifacts),
        metrics=metrics,
        values={"rows": rows, "version": short},
        summary=f"{rows:,} rows, {splits}version {short}",
    )


def _short_version(artifacts: Mapping[str, Artifact]) -> str:
    """Give ten digits that stand for all data sets: the same bytes, the same version."""
    listing = "".join(f"{name} {artifacts[name].digest}\n" for name in sorted(artifacts))
    return hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest()[:10]
