"""Which interpreter a script is run with."""

import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlpipe import StageError
from mlpipe_sagemaker.contract import TrainingJob

_LAST_LINES = 15
#: What pip is told of indexes, and uv by other names: a machine may be set up for either.
_SAME_MEANING: Mapping[str, str] = {
    "PIP_INDEX_URL": "UV_INDEX_URL",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}
_TRUE = ("1", "on", "t", "true", "y", "yes")
#: Prints what makes one interpreter differ from another.
_IDENTITY = "import sys; print(sys.version, sys.base_prefix)"


def interpreter(job: TrainingJob) -> str:
    """Give a job's interpreter as a command.

    That is the one that the recipe names, whose path starts from the project's folder, or the one
    that runs mlpipe; or one of an environment that is made from the script's requirements, once.

    Raises:
        StageError: The environment cannot be made.
    """
    named = _named(job)
    if job.requirements is None:
        return named
    requirements = job.sources[job.requirements]
    folder = job.state_dir.absolute() / "environments"
    place = folder / _digest(requirements, job.sources, _identity(named))
    with _locked(place):
        if not place.is_dir():
            _make(place, named, requirements)
    return str(place / "bin" / "python")


def _named(job: TrainingJob) -> str:
    if job.python is None:
        return sys.executable
    # Not resolved: a virtual environment's interpreter is a link, and knows itself by its path.
    return str(job.root.absolute() / job.python) if "/" in job.python else job.python


def _digest(requirements: Path, sources: Mapping[str, Path], identity: str) -> str:
    """Name an environment by all that it is made from."""
    text = requirements.read_bytes()
    digest = hashlib.sha256(b"\0".join([identity.encode(), text]))
    for name in sorted(sources):  # wheels and further lists of requirements that it mentions
        if name.encode() in text:
            digest.update(sources[name].read_bytes())
    return digest.hexdigest()[:16]


def _identity(python: str) -> str:
    try:
        done = subprocess.run(
            [python, "-I", "-c", _IDENTITY], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise StageError(
            f'"{python}" cannot be started: {error.strerror}',
            where="with.python",
            fix="Name another one, or leave it out to train with the one that runs mlpipe.",
        ) from error
    return done.stdout


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Keep others from making the same environment meanwhile."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(place: Path, python: str, requirements: Path) -> None:
    """Make an environment beside its place, and put it there when it is whole."""
    for left in place.parent.glob(f".{place.name}.*"):  # by one that was killed
        shutil.rmtree(left, ignore_errors=True)
    writing = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    inside = str(writing / "bin" / "python")
    try:
        _uv("venv", "--quiet", "--relocatable", "--python", python, str(writing), of=requirements)
        without = os.environ.get("PIP_NO_INDEX", "").lower() in _TRUE
        more = ["--no-index"] if without else []  # for which uv has no variable
        _uv("pip", "install", *more, "--python", inside, "-r", requirements.name, of=requirements)
        writing.rename(place)
    finally:
        shutil.rmtree(writing, ignore_errors=True)


def _uv(*arguments: str, of: Path) -> None:
    """Run uv in the folder of the requirements, where their relative paths start."""
    from uv import find_uv_bin

    ours = {new: os.environ[old] for old, new in _SAME_MEANING.items() if old in os.environ}
    if "UV_FIND_LINKS" in ours:  # pip separates them by spaces
        ours["UV_FIND_LINKS"] = ",".join(ours["UV_FIND_LINKS"].split())
    done = subprocess.run(
        [find_uv_bin(), *arguments],
        cwd=of.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**ours, **os.environ, "UV_NO_PROGRESS": "1"},
        check=False,
    )
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        last = done.stdout.strip().splitlines()[-_LAST_LINES:]
        raise StageError(
            "\n   ".join(["the environment to train in cannot be made", *last]),
            where=of.name,
            fix="Correct the requirements, or leave requirements out and name a python.",
        )
