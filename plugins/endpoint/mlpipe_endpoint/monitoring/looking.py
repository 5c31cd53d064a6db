"""``endpoint.monitor``: reads, compares, and says what has changed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe import Stage, StageResult
from mlpipe.errors import MlpipeError, StageError
from mlpipe_endpoint import places
from mlpipe_endpoint.asking import TARGET_HEADER, Request
from mlpipe_endpoint.config import MonitorConfig
from mlpipe_endpoint.contract import Backend
from mlpipe_endpoint.monitoring import captures, drift, pages, quality
from mlpipe_endpoint.monitoring.captures import Captured

if TYPE_CHECKING:
    import pandas as pd

#: Rows of the baseline that the model is asked, to know what it answers to them.
_ASKED = 2000


def monitor(config: MonitorConfig, stage: Stage) -> StageResult:
    """Compare captured traffic with the baseline; see ``MonitorConfig``.

    Raises:
        StageError: The baseline cannot be read, or there is no such endpoint.
    """
    where = f"stages.{stage.name}"
    baseline = _baseline(config, stage, where)
    found = _captured(config, stage, list(baseline.columns), where)
    enough = len(found.features) >= config.least
    drifts = drift.compare(baseline, found.features, config.effect, config.alpha) if enough else []
    answers = _answers(config, stage, baseline, found) if enough else []
    measured = quality.measure(config, stage.root, found)
    report = stage.output("report", file="report.html")
    report.write_text(pages.report(config, found, drifts, answers, measured), "utf-8")
    stage.keep(report)
    drifted = [each.name for each in drifts if each.drifted]
    return StageResult(
        outputs={"report": report},
        metrics={
            "rows": float(len(found.features)),
            "drifted": float(len(drifted)),
            "drift_share": len(drifted) / len(baseline.columns),
            "prediction_drift": answers[0].index if answers else 0.0,
            **measured,
        },
        summary=_summary(found, drifted, enough=enough),
    )


def _captured(config: MonitorConfig, stage: Stage, columns: Sequence[str], where: str) -> Captured:
    if stage.target.type == places.AWS:
        return _captured_at_sagemaker(config, stage, columns, where)
    if config.endpoint not in places.Place(stage.root, places.LOCAL).names():
        raise StageError(
            f'there is no endpoint "{config.endpoint}" on this machine',
            where=f"{where}.with.endpoint",
            fix="Deploy it first, with  capture:  above 0.",
        )
    path = stage.root / ".mlpipe" / "endpoints" / config.endpoint / "captures.jsonl"
    return captures.read(path, columns, config.rows)


def _captured_at_sagemaker(
    config: MonitorConfig, stage: Stage, columns: Sequence[str], where: str
) -> Captured:
    from mlpipe_aws import settings
    from mlpipe_endpoint.monitoring import bucket

    there = _backend(stage).describe(config.endpoint)
    if there is None:
        raise StageError(
            f'there is no endpoint "{config.endpoint}" at SageMaker',
            where=f"{where}.with.endpoint",
            fix="Deploy it first, with  hosting: {capture: …}  above 0.",
        )
    return bucket.read(settings(stage.target), there.deployment, columns, config.rows)


def _backend(stage: Stage) -> Backend:
    if stage.target.type != places.AWS:
        return places.Place(stage.root, places.LOCAL).backend
    return places.backend(stage.target, stage.root, stage.state_dir)


def _summary(found: Captured, drifted: Sequence[str], *, enough: bool) -> str:
    rows = f"{len(found.features):,} rows"
    if not enough:
        return f"{rows}, too few to conclude anything"
    return f"{rows}, {', '.join(drifted)} drifted" if drifted else f"{rows}, nothing drifted"


def _baseline(config: MonitorConfig, stage: Stage, where: str) -> "pd.DataFrame":
    import pandas as pd

    given = stage.inputs["baseline"]
    path, name = given.path(), given.artifact.location
    try:
        parquet = Path(name).suffix == ".parquet"
        table = pd.read_parquet(path) if parquet else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise StageError(f"{name} cannot be read: {error}", where=f"{where}.inputs") from error
    if config.label is not None:
        if config.label not in table.columns:
            columns = ", ".join(map(str, table.columns))
            raise StageError(
                f'the baseline has no column "{config.label}"',
                where=f"{where}.with.label",
                fix=f"Its columns: {columns}.",
            )
        table = table.drop(columns=config.label)
    return table


def _answers(
    config: MonitorConfig, stage: Stage, baseline: "pd.DataFrame", found: Captured
) -> list[drift.Drift]:
    """Compare the answers with those to the baseline; nothing where the endpoint has none."""
    import pandas as pd

    now = _predict(config, stage, baseline.sample(min(len(baseline), _ASKED), random_state=0))
    if now is None:
        return []
    before = pd.DataFrame({"prediction": now})
    after = pd.DataFrame({"prediction": found.predictions})
    return drift.compare(before, after, config.effect, config.alpha)


def _predict(config: MonitorConfig, stage: Stage, rows: "pd.DataFrame") -> list[Any] | None:
    """Ask the variant with the most traffic."""
    backend = _backend(stage)
    there = backend.describe(config.endpoint)
    if there is None or not there.running:
        print("the endpoint does not run: its answers are not compared", flush=True)
        return None
    weights = there.deployment.weights
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        TARGET_HEADER: max(weights, key=lambda name: weights[name]),
    }
    body = json.dumps(rows.astype(float).to_numpy().tolist()).encode()
    try:
        answer = backend.ask(config.endpoint, Request(body, headers))
        return captures.predictions_in(answer.body, "application/json")
    except (MlpipeError, ValueError) as error:
        print(f"the endpoint does not answer the baseline: {error}", flush=True)
        return None
