"""Following a script's imports through the project.

What enters a fingerprint of a Python file is its syntax tree: comments and layout do not
count. A script counts whole, with every project module that it imports, at any distance.
Where a stage is one function of a module, of that module only what the function can reach
counts: see ``reach``. Of a notebook its code cells count. Imports inside functions are
followed too; imports made from strings cannot be, which is what a stage's ``files:`` is for.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpipe.plan.modules import Facts, reach, read_module
from mlpipe.plan.notebooks import read_notebook
from mlpipe.store.files import FileIndex

#: What the names of notebooks end with.
NOTEBOOK = ".ipynb"


@dataclass(frozen=True, slots=True)
class Trace:
    """What a script, notebook or function is made of.

    Attributes:
        modules: By path relative to the root, the script itself included.
        importers: For each path but the script's, the path that imports it first.
        packages: Top-level names imported from outside the project and the standard library.
    """

    modules: dict[str, Facts]
    importers: dict[str, str]
    packages: frozenset[str]


def trace(script: str, function: str | None, index: FileIndex, root: Path) -> Trace:
    """Trace a script or notebook of the project, or a function of a module.

    Args:
        script: Its path relative to the root.
        function: The function that is called; ``None`` where the file itself is run.
        index: Remembers what files say.
        root: The project's folder, which modules are found from.
    """
    # A notebook's kernel, as a function's process, looks for modules in the root only.
    run = function is None and not script.endswith(NOTEBOOK)
    folders = [Path(script).parent, Path()] if run else [Path()]
    modules: dict[str, Facts] = {}
    importers: dict[str, str] = {}
    packages: set[str] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        read = _read(path, index)
        if read is None or path in modules:
            continue
        facts = Facts.from_json(read)
        if function is not None and path == script:
            facts = reach(facts, function)
        modules[path] = facts
        for level, name in facts.imports:
            found = list(_find(level, name, path, folders, root))
            for each in found:
                importers.setdefault(each, path)
                waiting.append(each)
            top = name.partition(".")[0]
            if not found and not level and top not in sys.stdlib_module_names:
                packages.add(top)
    importers.pop(script, None)
    return Trace(modules, importers, frozenset(packages))


def _read(path: str, index: FileIndex) -> Any:
    if path.endswith(NOTEBOOK):
        return index.facts("notebook", path, read_notebook)
    return index.facts("module", path, read_module)


def _find(level: int, name: str, importer: str, folders: list[Path], root: Path) -> Iterator[str]:
    """Yield the project files that importing a dotted name would execute."""
    if level:
        bases = [Path(importer).parents[level - 1]] if level <= len(Path(importer).parents) else []
    else:
        bases = folders
    parts = [part for part in name.split(".") if part and part != "*"]
    for base in bases:
        found = [path for path in _files(base, parts) if (root / path).is_file()]
        if found or (parts and not level and (root / base / parts[0]).is_dir()):
            yield from (path.as_posix() for path in found)
            return


def _files(base: Path, parts: list[str]) -> Iterator[Path]:
    if not parts:
        yield base / "__init__.py"
    for depth in range(1, len(parts) + 1):
        module = base.joinpath(*parts[:depth])
        yield module / "__init__.py"
        yield module.with_name(module.name + ".py")
