"""The command that starts a worker."""

import sys
from importlib.util import find_spec
from pathlib import Path

from mlpipe_endpoint import ownpython
from mlpipe_endpoint.values import Model

#: The packages that a worker imports from.
_PACKAGES = ("mlpipe", "mlpipe_scriptmode", "mlpipe_endpoint")


def command(model: Model, folder: Path, descriptor: int) -> list[str]:
    """Give the command.

    Args:
        model: The model, which may name an interpreter: a program, or a path that starts from
            the project's root, the server's working folder; or its own.
        folder: Where the model is unpacked.
        descriptor: The worker's end of its socket.
    """
    place = [str(descriptor), str(folder)]
    if not model.python:
        return [sys.executable, "-P", "-u", "-m", "mlpipe_endpoint.worker", *place]
    # Not resolved: a virtual environment's interpreter is a link, and knows itself by its path.
    named = ownpython.of(folder) if model.python == ownpython.OF_MODEL else model.python
    python = str(Path.cwd() / named) if "/" in named else named
    bootstrap = str(Path(__file__).with_name("bootstrap.py"))
    return [python, "-u", bootstrap, *place, *(f"{name}={_home(name)}" for name in _PACKAGES)]


def _home(package: str) -> str:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent)
