"""Jobs at SageMaker: made once, found again, waited for, fetched."""

import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from mlpipe import StageError
from mlpipe_aws import Store, failing, passing
from mlpipe_sagemaker.contract import TrainingJob
from mlpipe_sagemaker.environment import Layout

#: Seconds between two looks at a job: the first, the longest, and by how much each is longer.
_FIRST, _LONGEST, _LONGER = 0.2, 5.0, 1.5
#: The longest while the job says something: an account may make a few such calls a second.
_LIVELY = 1.0
#: Seconds for which AWS may be out of reach without a job being given up. It goes on, and is paid
#: for, whether anybody waits or not.
_PATIENCE = 3600.0
_EXISTS = ("ResourceInUse",)
_NOT_THERE = ("ResourceNotFound", "ValidationException")


def note(job: TrainingJob, name: str, kind: str) -> None:
    """Note a job before it is asked for, and each run that follows it, so that it can be found."""
    folder = job.state_dir / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    before = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    target = {"name": job.target.name, "type": job.target.type}
    facts = {
        "job": name,
        "kind": kind,
        "run": job.run,
        "stage": job.stage,
        "program": job.program,
        "instances": job.compute.instances,
        "distribution": job.distribution.model_dump() if job.distribution else None,
        "target": {**target, "settings": dict(job.target.settings)},
        "time": time.time(),
        "followed": [*before.get("followed", ()), *filter(None, [before.get("run")])],
    }
    writing = folder / f".{secrets.token_hex(6)}"
    writing.write_text(json.dumps(facts, indent=2), "utf-8")
    os.replace(writing, path)


def forget(job: TrainingJob, name: str) -> None:
    """Take a note back: the job of that name is not ours."""
    (job.state_dir / "jobs" / f"{name}.json").unlink(missing_ok=True)


def stop_mark(job: TrainingJob, name: str) -> Path:
    """Give the file that says that a run of ours stopped a job."""
    return job.state_dir / "jobs" / f"{name}.stopped"


def stop(job: TrainingJob, name: str, kind: str, ask: Callable[[], object]) -> None:
    """Ask SageMaker to stop a job, and mark it as stopped by us; say so where it cannot be asked.

    Args:
        job: What it is for.
        name: Its name.
        kind: ``training`` or ``tuning``.
        ask: Makes the call.
    """
    stop_mark(job, name).touch()
    try:
        with failing(f"{name} cannot be stopped, and goes on", name):
            ask()
    except StageError as error:
        print(error, flush=True)
    else:
        print(f"{kind} job {name} is being stopped", flush=True)


@contextmanager
def ending_with(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` when this process is asked to end, by Ctrl-C or a timeout; then end.

    A process that is killed asks nobody: its job goes on, and the next run finds it.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread: whoever owns it decides
        before = None
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        stop()
        raise
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def is_noted(job: TrainingJob, name: str) -> bool:
    """Tell whether a job was, perhaps, asked for already."""
    return (job.state_dir / "jobs" / f"{name}.json").is_file()


def described(describe: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Describe a job, or give ``None`` where there is none."""
    from botocore.exceptions import ClientError

    with failing("the job cannot be looked at"):
        try:
            return describe()
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            if code in _NOT_THERE and "not found" in message:
                return None
            raise


def create(make: Callable[[], object], name: str) -> bool:
    """Make a job, unless there is one of its name, perhaps ours from before.

    Returns:
        Whether it was made now.

    Raises:
        StageError: SageMaker refuses.
    """
    from botocore.exceptions import ClientError

    with failing(f"SageMaker does not take the job {name}"):
        try:
            make()
        except ClientError as error:
            if error.response["Error"]["Code"] in _EXISTS:
                return False
            raise
    return True


def trains_the_same(
    description: Mapping[str, Any], request: Mapping[str, Any], values: str = "HyperParameters"
) -> bool:
    """Tell whether a job is what a request asks for: the same image, settings and bytes.

    Names are short, and an account may be shared. Channels are addressed by their content. What
    SageMaker adds by itself does not count.

    Args:
        description: Of a training job, or what a tuning job says of its training jobs.
        request: What was asked for.
        values: Under which key both have the hyperparameters.
    """
    if not description or _channels(description) != _channels(request):
        return False
    algorithm, asked = description["AlgorithmSpecification"], request["AlgorithmSpecification"]
    same = all(algorithm.get(key) == asked.get(key) for key in ("TrainingImage", "AlgorithmName"))
    given, wanted = description.get(values) or {}, request.get(values) or {}
    return same and all(given.get(key) == value for key, value in wanted.items())


def _channels(of: Mapping[str, Any]) -> dict[str, Any]:
    channels = of.get("InputDataConfig") or ()
    return {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in channels}


@dataclass
class Pace:
    """How often a job is looked at: often at first and while it says something, then less."""

    pause: float = _FIRST
    _since: float | None = None

    def wait(self, *, news: bool = False) -> None:
        """Wait until the next look."""
        self._since = None
        longest = _LIVELY if news else _LONGEST
        self.pause = min(self.pause * _LONGER, longest)
        time.sleep(self.pause)

    def endure(self, error: Exception) -> None:
        """Wait after a call that failed: a job goes on while the network is away.

        Raises:
            Exception: The same error, when it will not pass, or has not for too long.
        """
        if not passing(error):
            raise error
        now = time.monotonic()
        if self._since is None:
            self._since = now
            print(f"{error}\n-- the job goes on, and so does waiting", flush=True)
        if now - self._since > _PATIENCE:
            raise error
        time.sleep(_LONGEST)


def fetch_outputs(
    description: Mapping[str, Any], store: Store, scratch: Path
) -> tuple[Path, Path, str]:
    """Fetch what a training job left.

    Args:
        description: Of the job, which is complete.
        store: The target's.
        scratch: A folder.

    Returns:
        Folders with the content of ``SM_MODEL_DIR`` and ``SM_OUTPUT_DATA_DIR``, and the URI of
        SageMaker's own model archive.

    Raises:
        StageError: They cannot be fetched or taken apart.
    """
    from mlpipe_scriptmode import ModelFailure, unpack

    layout = Layout(scratch / "ml")
    uri = str(description["ModelArtifacts"]["S3ModelArtifacts"])
    parts = ((uri, layout.model), (f"{uri.rpartition('/')[0]}/output.tar.gz", layout.output_data))
    for where, folder in parts:
        folder.mkdir(parents=True, exist_ok=True)
        if not store.exists(where):
            continue
        archive = store.get(where, scratch / where.rpartition("/")[2])
        try:
            unpack(archive, folder)
        except ModelFailure as error:
            raise StageError(str(error), where=where) from error
        archive.unlink()
    return layout.model, layout.output_data, uri
