"""Running a job of SageMaker's again on this machine, to see what it did."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlpipe import Artifact, Input, Scalar, Target, UserError
from mlpipe_aws import Settings, Store, client, failing, settings
from mlpipe_sagemaker.blocks import Compute, Distribution
from mlpipe_sagemaker.contract import FinishedJob, TrainingJob
from mlpipe_sagemaker.packaging import ARCHIVE, REQUIREMENTS, unpack_sources

_CODE = "code"
#: Channels of what starts a script, and the script's own: no data.
_NO_DATA = (_CODE, "sm_drivers", "mlpipe_start")
#: Hyperparameters of SageMaker's own.
_OWN = ("sagemaker_", "_tuning_")


def find(root: Path, run: str, stage: str) -> Mapping[str, Any]:
    """Give the note of the newest job that a run's stage made or followed.

    Args:
        root: The project's folder.
        run: The run, or the beginning of its name.
        stage: The stage.

    Raises:
        UserError: There is none, or several runs' names begin so.
    """
    folder = root / ".mlpipe" / "sagemaker" / "jobs"
    notes = [note for path in folder.glob("*.json") if (note := _read(path)) is not None]
    found = [n for n in notes if n["stage"] == stage and _runs(n, run)]
    if found:
        newest = max(found, key=lambda note: float(note["time"]))
        # One that followed another run's job is of both.
        others = [n for n in found if not set(_runs(n, run)) & set(_runs(newest, run))]
        if others:
            names = sorted({each for note in found for each in _runs(note, run)})
            raise UserError(
                f'"{run}" may be several runs: {", ".join(names)}', fix="Write more of its name."
            )
        return newest
    known = sorted({f"{note['run']} {note['stage']}" for note in notes})
    raise UserError(
        f'run "{run}" made no job at SageMaker for a stage "{stage}"',
        where=str(root),
        fix=f"Known: {', '.join(known[-10:])}." if known else "No job was made from this project.",
    )


def _read(path: Path) -> Mapping[str, Any] | None:
    """Give a note, or ``None`` where a file is none: what is damaged must not hide the others."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    needed = {"job", "kind", "run", "stage", "program", "target", "time"}
    return found if isinstance(found, dict) and needed <= found.keys() else None


def _runs(note: Mapping[str, Any], run: str) -> list[str]:
    """Give those runs of a note's whose names are, or begin, like this."""
    return [each for each in (*note.get("followed", ()), note["run"]) if each.startswith(run)]


def fetch(note: Mapping[str, Any], job: str, into: Path | None, root: Path) -> TrainingJob:
    """Fetch a job's data, code and hyperparameters.

    Args:
        note: As ``find`` gives it.
        job: Of a tuning job, the training job; its best when empty.
        into: The folder to work in; one called by the job when left out.
        root: The project's folder.

    Returns:
        The job, to be run here.

    Raises:
        UserError: It is not there any more, or the folder is not empty.
    """
    target = Target(**note["target"])
    found = settings(target)
    name = job or _training_job(note, found)
    with failing(f"the job {name} cannot be looked at"):
        description = client(found, "sagemaker").describe_training_job(TrainingJobName=name)
    folder = into or Path(f"replay-{name}")
    if folder.exists() and any(folder.iterdir()):
        raise UserError("is not empty", where=str(folder), fix="Name another one: --into.")
    channels = {
        str(each["ChannelName"]): str(each["DataSource"]["S3DataSource"]["S3Uri"])
        for each in description.get("InputDataConfig", ())
    }
    store = Store(found)
    return TrainingJob(
        name=name,
        program=str(note["program"]),
        sources=_sources(channels.get(_CODE), store, folder),
        channels=_data(channels, store, folder),
        hyperparameters=_hyperparameters(description.get("HyperParameters", {})),
        metrics={},
        root=root,
        scratch=folder.absolute(),
        target=Target(),
        run=str(note["run"]),
        stage=str(note["stage"]),
        state_dir=folder.absolute() / "state",
        environment=description.get("Environment", {}),
        image=str(description["AlgorithmSpecification"].get("TrainingImage", "")),
        container=not note["program"],  # what the image brings is in the image alone
        distribution=_distribution(note),
        compute=Compute(instances=int(note.get("instances", 1))),
    )


def _distribution(note: Mapping[str, Any]) -> Distribution | None:
    given = note.get("distribution")
    return Distribution.model_validate(given) if given else None


def train(job: TrainingJob, python: str | None, *, install: bool = False) -> FinishedJob:
    """Train here.

    Args:
        job: As ``fetch`` gives it.
        python: The interpreter, or ``None`` for the one that runs mlpipe.
        install: Whether to make an environment from the code's ``requirements.txt``.

    Raises:
        UserError: There is no such file.
        StageError: Training failed here, too.
    """
    from mlpipe_sagemaker.local import LocalTrainer

    if install and REQUIREMENTS not in job.sources:
        raise UserError(f"its code has no {REQUIREMENTS}", fix="Leave --requirements out.")
    requirements = REQUIREMENTS if install else None
    job = replace(job, python=python, requirements=requirements)
    return LocalTrainer().train(job, lambda metrics: None)


def _training_job(note: Mapping[str, Any], found: Settings) -> str:
    if note["kind"] == "training":
        return str(note["job"])
    sagemaker = client(found, "sagemaker")
    asked = {"HyperParameterTuningJobName": note["job"]}
    with failing(f"the tuning job {note['job']} cannot be looked at"):
        best = sagemaker.describe_hyper_parameter_tuning_job(**asked).get("BestTrainingJob")
        if best:
            return str(best["TrainingJobName"])
        jobs = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(**asked)
    if not jobs["TrainingJobSummaries"]:
        raise UserError("no trial was begun, so none can be replayed", where=str(note["job"]))
    return str(jobs["TrainingJobSummaries"][0]["TrainingJobName"])


def _sources(uri: str | None, store: Store, folder: Path) -> dict[str, Path]:
    if uri is None:
        return {}
    return unpack_sources(store.get(uri, folder / ARCHIVE), folder / "code")


def _data(channels: Mapping[str, str], store: Store, folder: Path) -> dict[str, Input]:
    found = {}
    for name, uri in channels.items():
        if name in _NO_DATA:
            continue
        place = store.get_all(uri, folder / "data" / name)
        if not any(place.iterdir()):
            raise UserError(f'the data of the channel "{name}" is no longer there', where=uri)
        digest = hashlib.sha256(uri.encode()).hexdigest()
        artifact = Artifact(name, f"sha256:{digest}", str(place.absolute()))
        found[name] = Input(name, artifact, folder)
    return found


def _hyperparameters(given: Mapping[str, str]) -> dict[str, Scalar]:
    return {name: _value(text) for name, text in given.items() if not name.startswith(_OWN)}


def _value(text: str) -> Scalar:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float | str) else text
