"""Virtual environments that are made from requirements, once, and kept."""

import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlpipe.errors import StageError

_LAST_LINES = 15
#: What pip is told of indexes, and uv by other names: a machine may be set up for either.
_SAME_MEANING: Mapping[str, str] = {
    "PIP_INDEX_URL": "UV_INDEX_URL",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}
_TRUE = ("1", "on", "t", "true", "y", "yes")


def ensure(
    home: Path, python: str, identity: str, requirements: Path, also: Mapping[str, Path]
) -> Path:
    """Give the interpreter of an environment, which is made if it is not there.

    One that is being made is waited for, and one whose making was killed is made anew.

    Args:
        home: The folder of environments.
        python: What it is made for: an interpreter, or a version of Python that is installed.
        identity: What tells that interpreter from others.
        requirements: The file that says what to install.
        also: Files that it may mention, by the names it knows them by.

    Raises:
        StageError: It cannot be made.
    """
    place = home / _digest(identity, requirements, also)
    with _locked(place):
        if not place.is_dir():
            _make(place, python, requirements)
    return place / "bin" / "python"


def _digest(identity: str, requirements: Path, also: Mapping[str, Path]) -> str:
    """Name an environment by all that it is made from."""
    text = requirements.read_bytes()
    digest = hashlib.sha256(b"\0".join([identity.encode(), text]))
    for name in sorted(also):  # wheels and further lists of requirements that it mentions
        if name.encode() in text:
            digest.update(also[name].read_bytes())
    return digest.hexdigest()[:16]


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
    fixed = {"UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(
        [find_uv_bin(), *arguments],
        cwd=of.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**ours, **os.environ, **fixed},
        check=False,
    )
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        last = done.stdout.strip().splitlines()[-_LAST_LINES:]
        raise StageError(
            "\n   ".join(["the environment cannot be made", *last]),
            where=of.name,
            fix="Correct the requirements, or leave them out and name a python.",
        )
