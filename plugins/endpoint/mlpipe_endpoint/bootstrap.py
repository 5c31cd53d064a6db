"""Starts a worker in an interpreter that need not have mlpipe installed.

``python bootstrap.py FD FOLDER NAME=PATH…`` makes the packages that the worker needs importable
from where they lie, and no others beside them: the interpreter's own versions of everything else
are what its model was made with. The packages' own dependencies are numpy alone.
"""

import importlib.util
import sys
import types


def main() -> int:
    """Serve as ``mlpipe_endpoint.worker`` does."""
    if sys.version_info < (3, 11):  # noqa: UP036 - it need not be the one that runs mlpipe
        print("an endpoint's model needs Python 3.11 or later; this is", sys.version)
        return 1
    del sys.path[0]  # this file's folder
    for each in sys.argv[3:]:
        name, _, folder = each.partition("=")
        _provide(name, folder)
    del sys.argv[3:]
    _execute("mlpipe_scriptmode")

    from mlpipe_endpoint import worker

    return worker.main()


def _provide(name: str, folder: str) -> None:
    """Make a package's modules importable without its ``__init__``, which may need more."""
    package = types.ModuleType(name)
    package.__path__ = [folder]
    sys.modules[name] = package


def _execute(name: str) -> None:
    """Run the ``__init__`` of a package that needs nothing."""
    package = sys.modules[name]
    path = f"{package.__path__[0]}/__init__.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    package.__spec__ = spec
    package.__file__ = path
    spec.loader.exec_module(package)


if __name__ == "__main__":
    sys.exit(main())
