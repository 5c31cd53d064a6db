"""Which files a training script is made of: itself, and the project modules that it imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

from mlpipe.errors import StageError


def collect(script: str, root: Path) -> tuple[str, dict[str, Path]]:
    """Collect a script and all that it imports from beside it or from the project's root.

    Args:
        script: Its path relative to the root.
        root: The project's folder.

    Returns:
        The script's name within the sources, and the sources by path. Modules keep the path
        by which they are imported.

    Raises:
        StageError: There is no such script.
    """
    entry = root / script
    if not entry.is_file():
        raise StageError(f'there is no script "{script}"', where=str(root))
    sources = {entry.name: entry}
    waiting = [(entry, Path())]
    while waiting:
        path, package = waiting.pop()
        for level, dotted in _imports(path):
            base = package if level else Path()
            for _ in range(level - 1):
                base = base.parent
            for name, found in _files(base, dotted, (entry.parent, root)):
                if name not in sources:
                    sources[name] = found
                    waiting.append((found, Path(name).parent))
    return entry.name, dict(sorted(sources.items()))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # the script's own run will say so, with the line
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield node.level, module
            yield from ((node.level, f"{module}.{a.name}".lstrip(".")) for a in node.names)


def _files(base: Path, dotted: str, folders: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    parts = [part for part in dotted.split(".") if part and part != "*"]
    for folder in folders:
        modules = [base.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
        names = [
            name
            for module in modules
            for name in (module / "__init__.py", module.with_name(f"{module.name}.py"))
        ]
        found = [(each.as_posix(), folder / each) for each in names if (folder / each).is_file()]
        if found:
            yield from found
            return
