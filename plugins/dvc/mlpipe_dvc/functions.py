"""Calling functions of the project, and saying where in them something went wrong."""

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from mlpipe import MlpipeError
from mlpipe.errors import StageError


def load(reference: str, root: Path) -> Callable[..., object]:
    """Import a function.

    Args:
        reference: ``module:function``.
        root: The project's folder, which modules are found from.

    Raises:
        StageError: There is no such module or function, or importing it fails.
    """
    module_name, _, name = reference.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A package is missing too when its submodule is looked for.
        if f"{module_name}.".startswith(f"{error.name}."):
            raise StageError(
                f'there is no module "{error.name}"',
                where=reference,
                fix="Name a module as it is imported from the project's folder.",
            ) from None
        raise located(error, reference, root) from error
    except Exception as error:
        raise located(error, reference, root) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise StageError(f"{module_name} has no function {name}", where=reference)
    found: Callable[..., object] = function
    return found


def call(reference: str, root: Path, /, *arguments: object, **named: object) -> object:
    """Import and call a function.

    Raises:
        StageError: It cannot be imported, or it raised.
    """
    function = load(reference, root)
    try:
        return function(*arguments, **named)
    except MlpipeError:
        raise
    except Exception as error:
        raise located(error, reference, root) from error


def located(error: Exception, reference: str, root: Path) -> StageError:
    """Say where in the project something went wrong.

    Args:
        error: What was raised.
        reference: What was called.
        root: The project's folder.
    """
    message = str(error) or "(without a message)"
    if isinstance(error, SyntaxError) and error.filename:
        place = _inside(error.filename, error.lineno or 1, root)
    else:
        frames = traceback.extract_tb(error.__traceback__)
        places = [_inside(frame.filename, frame.lineno or 1, root) for frame in frames]
        place = next((each for each in reversed(places) if each), None)
    return StageError(
        f"{type(error).__name__}: {message}",
        where=place or reference,
        fix=f"Raised by {reference}." if place else None,
    )


def _inside(filename: str, line: int, root: Path) -> str | None:
    try:
        path = Path(filename).resolve().relative_to(root.resolve())
    except ValueError:
        return None
    return None if "site-packages" in path.parts else f"{path.as_posix()}:{line}"
