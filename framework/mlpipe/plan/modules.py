"""What a Python module defines, imports and refers to, read off its syntax tree."""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A module that uses one of these can reach its definitions in ways that names do not show.
_DYNAMIC = frozenset({"globals", "locals", "vars", "eval", "exec", "__import__", "importlib"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Definition:
    """A top-level function, a method, a class without its methods, or all other statements.

    Attributes:
        owner: The top-level name it belongs to; ``""`` for statements outside of functions.
        line: Where it begins.
        digest: Of its syntax tree.
        names: Identifiers that it refers to.
        always: Whether importing the module can make it matter: it is decorated, is a class
            with bases, or is no function or class at all.
    """

    owner: str
    line: int
    digest: str
    names: frozenset[str]
    always: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What a module is made of.

    Attributes:
        definitions: By label, as ``encode()``, ``Model.fit()``, ``Model`` and ``""``.
        bindings: Imports as (level, dotted name, the name it is bound to; ``*`` for all).
    """

    definitions: Mapping[str, Definition] = field(default_factory=dict)
    bindings: tuple[tuple[int, str, str], ...] = ()

    @property
    def digest(self) -> str:
        """Digest of all definitions."""
        text = "".join(f"{label}\0{each.digest}\n" for label, each in self.definitions.items())
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def imports(self) -> list[tuple[int, str]]:
        """What is imported: level (0 for absolute) and dotted name, sorted."""
        return sorted({(level, name) for level, name, _ in self.bindings})

    def summary(self) -> dict[str, tuple[int, str]]:
        """Give line and digest by label; what is kept to name changes later."""
        return {label: (each.line, each.digest) for label, each in self.definitions.items()}

    def to_json(self) -> dict[str, Any]:
        """Write as JSON."""
        definitions = {
            label: [each.owner, each.line, each.digest, sorted(each.names), each.always]
            for label, each in self.definitions.items()
        }
        return {"definitions": definitions, "bindings": self.bindings}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Facts":
        """Read from JSON."""
        definitions = {
            label: Definition(owner, line, digest, frozenset(names), always)
            for label, (owner, line, digest, names, always) in data["definitions"].items()
        }
        return cls(definitions, tuple((level, name, to) for level, name, to in data["bindings"]))


def read_module(path: Path) -> dict[str, Any]:
    """Give the facts of a module as JSON. One that is no valid Python is digested as bytes."""
    source = path.read_bytes()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        digest = hashlib.sha256(source).hexdigest()
        return Facts({"": Definition("", 1, digest, frozenset(), True)}).to_json()
    definitions = {
        label: Definition(owner, line, digest_of(nodes), frozenset(_names(nodes)), always)
        for label, owner, line, nodes, always in _definitions(tree)
    }
    return Facts(definitions, tuple(sorted(set(bindings_of(tree))))).to_json()


def reach(facts: Facts, function: str) -> Facts:
    """Keep what a function of a module can reach.

    That is the function, what runs when the module is imported (statements outside of
    functions, decorated definitions, classes with bases), and every definition and import
    whose name occurs in what is kept. A module that looks names up dynamically is kept whole.
    """
    defined = {each.owner for each in facts.definitions.values()}
    every = frozenset[str]().union(*(each.names for each in facts.definitions.values()))
    if every & _DYNAMIC or function not in defined:
        return facts
    kept = {function} | {each.owner for each in facts.definitions.values() if each.always}
    names: frozenset[str] = frozenset()
    while True:
        names = frozenset[str]().union(
            *(each.names for each in facts.definitions.values() if each.owner in kept)
        )
        more = (names & defined) - kept
        if not more:
            break
        kept |= more
    return Facts(
        {label: each for label, each in facts.definitions.items() if each.owner in kept},
        tuple(each for each in facts.bindings if each[2] in names or each[2] == "*"),
    )


def bindings_of(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Yield all imports in a syntax tree, as ``Facts.bindings`` has them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, alias.name, alias.asname or alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            for alias in node.names:
                bound = alias.asname or alias.name
                yield node.level, module, bound
                yield node.level, f"{module}.{alias.name}".lstrip("."), bound


def _definitions(
    tree: ast.Module,
) -> Iterator[tuple[str, str, int, list[ast.stmt], bool]]:
    rest: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, _Function):
            yield f"{node.name}()", node.name, node.lineno, [node], bool(node.decorator_list)
        elif isinstance(node, ast.ClassDef):
            yield from _class(node)
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            rest.append(node)
    yield "", "", 1, rest, True


def _class(node: ast.ClassDef) -> Iterator[tuple[str, str, int, list[ast.stmt], bool]]:
    always = bool(node.bases or node.keywords or node.decorator_list)
    methods = [each for each in node.body if isinstance(each, _Function)]
    for method in methods:
        yield f"{node.name}.{method.name}()", node.name, method.lineno, [method], always
    body = [each for each in node.body if each not in methods]
    shell = ast.ClassDef(node.name, node.bases, node.keywords, body, node.decorator_list)
    yield node.name, node.name, node.lineno, [shell], always


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield all that could refer to a top-level name, the words of strings included."""
    for node in nodes:
        for each in ast.walk(node):
            if isinstance(each, ast.Name):
                yield each.id
            elif isinstance(each, ast.Attribute):
                yield each.attr
            elif isinstance(each, ast.Constant) and isinstance(each.value, str):
                if each.value.isidentifier():
                    yield each.value
            elif isinstance(each, ast.Import | ast.ImportFrom):
                yield from (to for _, _, to in bindings_of(each))


def digest_of(nodes: list[ast.stmt]) -> str:
    """Digest syntax trees, the same in every version of Python."""
    return hashlib.sha256("\n".join(map(_text, nodes)).encode()).hexdigest()[:24]


def _text(node: object) -> str:
    """Write a syntax tree as text, the same in every version of Python.

    ``ast.dump`` is not: fields come and go. Empty fields are left out for that reason.
    """
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields)
        inner = ",".join(f"{k}={_text(v)}" for k, v in fields if v is not None and v != [])
        return f"{type(node).__name__}({inner})"
    if isinstance(node, list):
        return "[" + ",".join(map(_text, node)) + "]"
    return repr(node)
