"""Data that a function of the project returns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe import MlpipeError, Stage
from mlpipe.errors import StageError
from mlpipe_dvc.functions import load, located
from mlpipe_dvc.sourceconfig import FunctionSource
from mlpipe_dvc.sources.local import listing, local_files
from mlpipe_dvc.values import Frames, LocalFiles

if TYPE_CHECKING:
    from pandas import DataFrame


def open_function(source: FunctionSource, stage: Stage) -> LocalFiles | Frames:
    """Call a function, and take the tables or paths that it returns or yields.

    Raises:
        StageError: It cannot be imported, raises, or gives anything else.
    """
    function = load(source.function, stage.root)
    with _located_errors(source, stage.root):
        items = _several(function(**source.args), source)
        first = next(items, None)
    if isinstance(first, Path):
        with _located_errors(source, stage.root):
            return _files([first, *_paths(items, source)], source, stage.root)
    if first is None:
        raise StageError("yields nothing", where=source.function)
    return Frames(_batches(chain([first], items), source, stage.root), source.function)


def _several(returned: object, source: FunctionSource) -> Iterator[object]:
    """Give what a function returned, or each of what it yields."""
    from pandas import DataFrame

    if isinstance(returned, (DataFrame, Path)):
        return iter([returned])
    if isinstance(returned, Iterable) and not isinstance(returned, (str, bytes, Mapping)):
        return iter(returned)
    raise _no_data("returned", returned, source)


def _batches(items: Iterator[object], source: FunctionSource, root: Path) -> Iterator[DataFrame]:
    from pandas import DataFrame

    with _located_errors(source, root):
        for item in items:
            if not isinstance(item, DataFrame):
                raise _no_data("gave", item, source)
            yield item


def _paths(items: Iterator[object], source: FunctionSource) -> Iterator[Path]:
    for item in items:
        if not isinstance(item, Path):
            raise _no_data("gave", item, source)
        yield item


def _files(paths: list[Path], source: FunctionSource, root: Path) -> LocalFiles:
    places = [root / path for path in paths]
    for path, place in zip(paths, places, strict=True):
        if not place.exists():
            raise StageError(f"returned {path}, which is not there", where=source.function)
    found = [
        file
        for place in places
        for file in (listing(place, source.function) if place.is_dir() else [place])
    ]
    single = len(places) == 1 and not places[0].is_dir()
    bases = [place if place.is_dir() else place.parent for place in places]
    base = None if single else Path(os.path.commonpath(bases))
    return local_files(found, base, source.function, format=None, encoding="utf-8")


def _no_data(verb: str, item: object, source: FunctionSource) -> StageError:
    return StageError(
        f"{verb} {type(item).__name__}, not a DataFrame",
        where=source.function,
        fix="End the function with: return frame. It may also yield frames, or return paths"
        " (pathlib.Path).",
    )


@contextmanager
def _located_errors(source: FunctionSource, root: Path) -> Iterator[None]:
    try:
        yield
    except MlpipeError:
        raise
    except Exception as error:
        raise located(error, source.function, root) from error
