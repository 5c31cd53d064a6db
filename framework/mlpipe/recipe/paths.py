"""Files and functions that a recipe names: they are there, and outputs overwrite none."""

import ast
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Protocol

from mlpipe.plugins.config import Role
from mlpipe.recipe.problems import nearest
from mlpipe.recipe.project import is_file, is_folder
from mlpipe.recipe.substitute import references
from mlpipe.recipe.yamltree import KeyPath

_OURS = (".git", ".mlpipe")


class Report(Protocol):
    """Takes a problem; see ``Source.problem``."""

    def __call__(
        self, path: KeyPath, message: str, hint: str = "", *, key: bool = False, within: str = ""
    ) -> None:
        """Take a problem."""


@dataclass(frozen=True, slots=True)
class Named:
    """A value of a stage's settings that has a role.

    Attributes:
        stage: The stage.
        path: Where it stands in the recipe.
        role: What it is.
        value: What is written.
    """

    stage: str
    path: KeyPath
    role: Role
    value: str

    @property
    def place(self) -> str:
        """The value as a path, normalised."""
        return os.path.normpath(self.value)


@dataclass(slots=True)
class PathChecks:
    """Checks the files, functions and outputs of all stages.

    Attributes:
        root: The project's folder.
        recipes: The recipe's own files.
        report: Takes what is found.
    """

    root: Path
    recipes: Sequence[Path]
    report: Report
    _made: dict[str, Named] = field(default_factory=dict)
    _modules: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def check(self, named: Sequence[Named]) -> None:
        """Check all values that have a role and are known before the run."""
        known = [each for each in named if not any(references(each.value))]
        for each in known:
            if each.role is Role.OUTPUT_PATH and self._is_placeable(each):
                self._made.setdefault(each.place, each)
        checks: Mapping[Role, Callable[[Named], None]] = {
            Role.SCRIPT: self._script,
            Role.NOTEBOOK: self._script,
            Role.FUNCTION: self._function,
            Role.INPUT_FILE: self._file,
        }
        for each in known:
            if each.role in checks:
                checks[each.role](each)
        self._outputs(known)

    # -- what is read ---------------------------------------------------------------------

    def _script(self, named: Named) -> None:
        path = self.root / named.value
        if self._is_made(named) or is_file(path):
            return
        if is_folder(path):
            self.report(named.path, f'"{named.value}" is a folder, not a {named.role}')
        else:
            self._missing(named)

    def _file(self, named: Named) -> None:
        path = self.root / named.value
        if not self._is_made(named) and not is_file(path) and not is_folder(path):
            self._missing(named)

    def _is_made(self, named: Named) -> bool:
        """Report a file that another stage makes: only ``inputs:`` say that it comes first."""
        maker = self._maker(named)
        if maker is None:
            return False
        message = f'"{named.value}" is made by stage "{maker.stage}"'
        output = maker.path[-1] if maker.path[-2] == "outputs" else "OUTPUT"
        hint = f"Take it from there: inputs: {{NAME: {maker.stage}.{output}}}."
        self.report(named.path, message, hint)
        return True

    def _maker(self, named: Named) -> Named | None:
        """Give another stage's output that a file is, or is in."""
        maker = next((self._made[p] for p in _upward(named.place) if p in self._made), None)
        return maker if maker is not None and maker.stage != named.stage else None

    def _missing(self, named: Named) -> None:
        folder = PurePath(named.value).parent
        near = nearest(named.value, [str(folder / each) for each in _names(self.root / folder)])
        hint = near or f"Paths start at {self._start()}."
        self.report(named.path, f'there is no file "{named.value}"', hint)

    def _start(self) -> str:
        relative = os.path.relpath(self.root)
        return "this folder" if relative == "." else relative

    def _function(self, named: Named) -> None:
        module, _, function = named.value.partition(":")
        names = self._defined(module)
        if names is not None:
            if function not in names and "*" not in names:
                hint = nearest(function, sorted(names), "Its functions")
                message = f'module {module} has no function "{function}"'
                self.report(named.path, message, hint, within=function)
        elif self._is_own(module) or not _is_importable(module):
            *folders, last = module.split(".")
            near = nearest(last, _module_names(self.root.joinpath(*folders)))
            hint = near or f"Modules are looked for from {self._start()}."
            self.report(named.path, f'there is no module "{module}"', hint, within=module)

    def _defined(self, module: str) -> frozenset[str] | None:
        """Give the names that a module of the project defines; ``None`` if it has no such module.

        ``*`` is among them when names can come from elsewhere or the file does not parse.
        """
        if module not in self._modules:
            self._modules[module] = _definitions(self.root, module)
        return self._modules[module]

    def _is_own(self, module: str) -> bool:
        """Tell whether a module's first part is the project's, which hides all others."""
        first = module.partition(".")[0]
        return is_file(self.root / f"{first}.py") or is_file(self.root / first / "__init__.py")

    # -- what is made ---------------------------------------------------------------------

    def _is_placeable(self, named: Named) -> bool:
        place = PurePath(named.place)
        return (
            "\0" not in named.value
            and not place.is_absolute()
            and place.parts[:1] not in ((), ("..",))
        )

    def _outputs(self, known: Sequence[Named]) -> None:
        sources = self._sources(known)
        for each in known:
            if each.role is not Role.OUTPUT_PATH:
                continue
            if not self._is_placeable(each):
                message = f'"{each.value}" is not within the project'
                self.report(each.path, message, "Use a relative path.")
                continue
            clash = self._clash(each, sources)
            if clash is not None:
                self.report(each.path, f'"{each.value}" {clash}', "Choose another path.")

    def _clash(self, named: Named, sources: Mapping[str, str]) -> str | None:
        first = PurePath(named.place).parts[0]
        if first in _OURS:
            return f"is within {first}, which is no place for outputs"
        if named.place in sources:
            source = sources[named.place]
            what = "is" if source == named.place else f"holds {source}, which is"
            return f"{what} a source of this recipe"
        for place in _upward(named.place):
            if sources.get(place) == place:
                return f"is within {place}, which is a source of this recipe"
            other = self._made.get(place)
            if other is not None and other is not named:
                if place == named.place:
                    return f'is already an output of stage "{other.stage}"'
                return f'is within "{other.value}", an output of stage "{other.stage}"'
        return None

    def _sources(self, known: Sequence[Named]) -> dict[str, str]:
        """Give each file that is read, and each folder above one with the file's path."""
        files = [os.path.relpath(path.resolve(), self.root) for path in self.recipes]
        for each in known:
            if each.role in (Role.SCRIPT, Role.NOTEBOOK, Role.INPUT_FILE):
                if not each.place.startswith("/") and self._maker(each) is None:
                    files.append(each.place)
            elif each.role is Role.FUNCTION:
                files.append(f"{each.value.partition(':')[0].replace('.', '/')}.py")
        sources: dict[str, str] = {}
        for file in files:
            for place in _upward(file):
                sources.setdefault(place, file)
        return sources


def _upward(place: str) -> Iterator[str]:
    """Yield a relative path and the folders above it, the project's own left out."""
    while place not in ("", ".", "/"):
        yield place
        place = place.rpartition("/")[0]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except (OSError, ValueError):
        return []


def _module_names(folder: Path) -> list[str]:
    return [name.removesuffix(".py") for name in _names(folder) if name.endswith(".py")]


def _is_importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _definitions(root: Path, module: str) -> frozenset[str] | None:
    base = root.joinpath(*module.split("."))
    for path in (Path(f"{base}.py"), base / "__init__.py"):
        if is_file(path):
            try:
                tree = ast.parse(path.read_bytes())
            except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
                return frozenset({"*"})
            return frozenset(_bound(tree.body))
    return None


def _bound(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (each.asname or each.name.partition(".")[0] for each in node.names)
        else:  # assignments, conditionals, try: whatever they may bind
            yield from _bound_within(node)


def _bound_within(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (each.asname or each.name for each in node.names)
