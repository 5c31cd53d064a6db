"""Where recipes and projects are."""

from collections.abc import Iterator
from pathlib import Path

from mlpipe.recipe.problems import Place, Problem, RecipeError, nearest

_MARKS = (".mlpipe", "pyproject.toml", ".git")
_ENDINGS = (".yaml", ".yml")


def is_file(path: Path) -> bool:
    """Tell whether there is such a file. No name that the system refuses is one."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Tell whether there is such a folder; as ``is_file``."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def project_root(start: Path) -> Path:
    """Give the nearest folder, from ``start`` upward, that is a project's; else ``start``.

    A project's folder holds ``.mlpipe``, ``pyproject.toml`` or ``.git``.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in _MARKS):
            return folder
    return start


def find(name: str, cwd: Path) -> Path:
    """Find a recipe by path, as ``NAME.yaml``, or in ``recipes/`` here or in the project.

    Raises:
        RecipeError: There is none; recipes that are there are named.
    """
    for path in _candidates(name, cwd):
        if is_file(path):
            return path
    path = cwd / name
    if is_folder(path) and any(path.iterdir()) and not name.endswith(_ENDINGS):
        inside = [each.name for each in sorted(path.glob("*.y*ml"))]
        hint = nearest(name, inside, "In it") if inside else "Name a recipe's file."
        raise RecipeError([Problem(Place(path), "", "is a folder, not a recipe", hint)])
    known = sorted({each.stem for folder in _folders(cwd) for each in folder.glob("*.y*ml")})
    hint = nearest(name, known, "Recipes here") if known else "See mlpipe init."
    raise RecipeError([Problem(Place(path), "", f'there is no recipe "{name}"', hint)])


def _candidates(name: str, cwd: Path) -> Iterator[Path]:
    yield cwd / name
    for folder in _folders(cwd):
        yield from (folder / f"{name}{ending}" for ending in _ENDINGS)


def _folders(cwd: Path) -> list[Path]:
    root = project_root(cwd)
    return [cwd, cwd / "recipes", root, root / "recipes"]
