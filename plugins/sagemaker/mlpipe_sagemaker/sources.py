"""Which files a training script is made of."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlpipe.errors import StageError
from mlpipe_sagemaker.packaging import REQUIREMENTS


def collect(script: str, root: Path, source_dir: str | None) -> tuple[str, dict[str, Path]]:
    """Collect a script and what goes with it.

    That is the whole of ``source_dir``; without one, all modules that the script imports,
    themselves or through others, from its own folder or from the project's root, and a
    ``requirements.txt`` beside it.

    Args:
        script: Its path relative to the root.
        root: The project's folder.
        source_dir: The script's folder, relative to the root, or ``None``.

    Returns:
        The script's name within the sources, and the sources by path: as they are imported.

    Raises:
        StageError: There is no such script.
    """
    entry = root / script
    if not entry.is_file():
        raise StageError(
            "there is no such script",
            where=script,
            fix="Name a Python file, with its path from the project's folder.",
        )
    if source_dir is not None:
        return entry.name, dict(_files(root / source_dir))
    sources = _Tracer(entry.parent, root).trace(entry)
    requirements = entry.with_name(REQUIREMENTS)
    if requirements.is_file():
        sources[REQUIREMENTS] = requirements
    return entry.name, sources


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give a folder's files, but hidden and compiled ones, by relative path."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden:
            yield "/".join(parts), path


@dataclass(frozen=True, slots=True)
class _Tracer:
    """Finds modules as the interpreter does: in the script's folder, then in the root."""

    folder: Path
    root: Path

    def trace(self, entry: Path) -> dict[str, Path]:
        """Give the script and all that it imports, by path below the source folder."""
        sources = {entry.name: entry}
        waiting = [entry.name]
        while waiting:
            name = waiting.pop()
            for found, path in self._imported(name, sources[name]):
                if found not in sources:
                    sources[found] = path
                    waiting.append(found)
        return sources

    def _imported(self, name: str, path: Path) -> Iterator[tuple[str, Path]]:
        package = Path(name).parent.parts
        for level, module in _imports(path):
            base = package[: len(package) - level + 1] if level else ()
            yield from self._modules((*base, *(part for part in module.split(".") if part)))

    def _modules(self, parts: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
        """Give the files of a module and of the packages that it is in."""
        if not parts:
            return
        places = (self.folder, self.root)
        # A package without __init__.py may be spread over both places, as Python merges it.
        regular = next((place for place in places if _file(place, parts[0])), None)
        for depth in range(1, len(parts) + 1):
            stem = "/".join(parts[:depth])
            for place in (regular,) if regular else places:
                if name := _file(place, stem):
                    yield name, place / name
                    break


def _file(place: Path, stem: str) -> str | None:
    names = (f"{stem}/__init__.py", f"{stem}.py")
    return next((name for name in names if (place / name).is_file()), None)


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Give (dots, name) of all that a file imports, wherever in it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # the script's own run will say so, with the line
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from ((node.level, f"{module}.{alias.name}") for alias in node.names)
