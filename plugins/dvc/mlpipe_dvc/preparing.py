"""``dvc.prepare``: extract, clean, check, split, write, describe, version."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

from mlpipe import Artifact, Stage, StageResult
from mlpipe_dvc.config import PROFILE, PrepareConfig
from mlpipe_dvc.datasets import DataSet, Prepared
from mlpipe_dvc.files import prepare_files
from mlpipe_dvc.ledger import Entry, Ledger
from mlpipe_dvc.quality.checks import Checker
from mlpipe_dvc.quality.profile import write_profile
from mlpipe_dvc.sources import open_source
from mlpipe_dvc.tables.preparing import prepare_tables
from mlpipe_dvc.tracking.values import Tracked
from mlpipe_dvc.tracking.versioning import version
from mlpipe_dvc.values import LocalFiles


def run(config: PrepareConfig, stage: Stage) -> StageResult:
    """Do all of it. No file of the project is touched before every check has passed."""
    folder = Path(mkdtemp(prefix="prepare-", dir=stage.scratch))
    checker = Checker(config.checks, stage.root) if config.checks else None
    found = open_source(config.source, stage)
    if isinstance(found, LocalFiles) and found.format is None:
        prepared = prepare_files(found, config, checker, stage, folder)
    else:
        prepared = prepare_tables(found, config, checker, stage, folder)
    outputs: dict[str, Path | Artifact] = {}
    if config.profile:
        outputs[PROFILE] = _profile(prepared, stage)
    made = [each.made for each in prepared.sets]
    tracked = version(made, stage.root, stage.state_dir, config.remote)
    artifacts = {
        each.name: _published(each, known, prepared.unit, stage)
        for each, known in zip(prepared.sets, tracked, strict=True)
    }
    return _result(config, prepared, artifacts, {**artifacts, **outputs})


def _profile(prepared: Prepared, stage: Stage) -> Path:
    path = stage.output(PROFILE, file="profile.html")
    tables = {each.name: each.table for each in prepared.sets if each.table}
    write_profile(stage.name, tables, path)
    stage.emit("artifact", output=PROFILE)
    return path


def _published(data: DataSet, known: Tracked, unit: str, stage: Stage) -> Artifact:
    """Note a version, and tell observers of it."""
    entry = Entry(
        label=known.label,
        digest=known.digest,
        size=known.size,
        files=known.files,
        description=data.table if unit == "rows" else None,
        stage=stage.name,
        recipe=stage.recipe,
        runs=(stage.run,),
        created=time.time(),
    )
    Ledger(stage.state_dir).record(entry)
    artifact = Artifact(data.name, known.digest, known.label, known.size)
    stage.log_dataset(data.name, artifact, **{unit: data.count}, **data.facts)
    print(f"{known.label}: {data.count:,} {unit}, {known.digest}")
    return artifact


def _result(
    config: PrepareConfig,
    prepared: Prepared,
    artifacts: Mapping[str, Artifact],
    outputs: Mapping[str, Path | Artifact],
) -> StageResult:
    unit, total = prepared.unit, sum(each.count for each in prepared.sets)
    metrics = {unit: float(total), **prepared.measured}
    if config.split:
        metrics.update((f"{each.name}.{unit}", float(each.count)) for each in prepared.sets)
    short = _short_version(artifacts)
    splits = f"{len(prepared.sets)} splits, " if config.split else ""
    return StageResult(
        outputs=outputs,
        metrics=metrics,
        values={unit: total, "version": short},
        summary=f"{total:,} {unit}, {splits}version {short}",
    )


def _short_version(artifacts: Mapping[str, Artifact]) -> str:
    """Give ten digits that stand for all data sets: the same bytes, the same version."""
    listing = "".join(f"{name} {artifacts[name].digest}\n" for name in sorted(artifacts))
    return hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest()[:10]
