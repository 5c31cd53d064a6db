"""Modules of a model's own: importable while the model's code runs, and for nobody else."""

import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from mlpipe_scriptmode.errors import ModelFailure, reason

#: What a module's name means is one thing for the whole interpreter, and so is this lock.
_IMPORTS = threading.RLock()


class ModelModules:
    """The modules below a model's ``code/``, apart from those of any other model.

    Two models may each have a ``features.py``, and the project a third. While a model's code
    runs, that name means its own; afterwards it means again what it meant before.

    Args:
        code: The model's ``code/``.
        program: The entry script in it.
    """

    def __init__(self, code: Path, program: str) -> None:
        self._code = code.resolve()
        self._program = program
        self._names = frozenset(_importable(self._code))
        self._loaded: dict[str, ModuleType] = {}

    def run_program(self) -> ModuleType:
        """Import the entry script under a name of its own, to be called while ``active``.

        Raises:
            ModelFailure: It is missing, or raised.
        """
        path = self._code / self._program
        name = f"_scriptmode_{sha256(str(path).encode()).hexdigest()[:16]}"
        spec = importlib.util.spec_from_file_location(name, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise ModelFailure(f"the model has no script code/{self._program}")
        importlib.invalidate_caches()  # the folder may have been written a moment ago
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pickles look their module up
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise ModelFailure(f"{self._program} cannot be imported: {reason(error)}") from error
        return module

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let the names of the model's modules mean its own, for one thread at a time."""
        with _IMPORTS:
            others = self._take()
            sys.modules.update(self._loaded)
            sys.path.insert(0, str(self._code))
            newest = next(reversed(sys.modules))
            try:
                yield
            finally:
                with suppress(ValueError):  # the script may have put its path in order itself
                    sys.path.remove(str(self._code))
                self._withdraw(newest)
                sys.modules.update(others)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Do as ``active``, at no cost and for all threads at once if the model is one script."""
        if self._loaded or self._names - {Path(self._program).stem}:
            with self.active():
                yield
        else:
            yield

    def _withdraw(self, newest: str) -> None:
        """Take the model's modules out, and remember those imported after ``newest``."""
        if next(reversed(sys.modules)) != newest:
            self._loaded = self._take()
        for name in self._loaded:
            sys.modules.pop(name, None)

    def _take(self) -> dict[str, ModuleType]:
        """Take the modules with these names out of ``sys.modules``."""
        # Looking through all of them costs as much as a small prediction.
        if not any(name in sys.modules for name in self._names):
            return {}
        names = [name for name in sys.modules if name.partition(".")[0] in self._names]
        return {name: sys.modules.pop(name) for name in names}


def _importable(code: Path) -> Iterator[str]:
    """Give the names that a folder on the path makes importable."""
    suffixes = tuple(importlib.machinery.all_suffixes())
    for path in code.iterdir() if code.is_dir() else ():
        if path.name != "__pycache__" and (path.is_dir() or path.name.endswith(suffixes)):
            yield path.name.partition(".")[0]
