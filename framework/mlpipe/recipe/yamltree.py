"""YAML with positions: read by libyaml, typed by the YAML 1.2 core schema.

``lr: 1e-3`` is a number and ``on: push`` is a key, which YAML 1.1 (PyYAML's default) sees
otherwise. Positions are looked up in the tree of nodes only when there is a problem to show.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from mlpipe.recipe.problems import Place, Problem, RecipeError

MAX_BYTES = 8 << 20
_MAX_NODES = 1_000_000
_MAX_DEPTH = 64
_TAG = "tag:yaml.org,2002:"

Path_ = tuple[str | int, ...]


class _CoreSchema(BaseResolver):
    """Types of plain scalars by the core schema of YAML 1.2."""


for _name, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _CoreSchema.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), list(_first))

if yaml.__with_libyaml__:

    class _Loader(yaml.cyaml.CParser, _CoreSchema):  # type: ignore[misc,name-defined]
        def __init__(self, text: str) -> None:
            yaml.cyaml.CParser.__init__(self, text)  # type: ignore[attr-defined]
            _CoreSchema.__init__(self)

else:  # a PyYAML that was built without libyaml: the same, slower

    class _Loader(Reader, Scanner, Parser, Composer, _CoreSchema):  # type: ignore[no-redef]
        def __init__(self, text: str) -> None:
            Reader.__init__(self, text)
            Scanner.__init__(self)
            Parser.__init__(self)
            Composer.__init__(self)
            _CoreSchema.__init__(self)


@dataclass(slots=True)
class Tree:
    """A file's nodes, or those of several files merged.

    Attributes:
        root: The top node.
        files: The file that each node is from, by the node's identity, where it is not ``file``.
        file: The file that was read.
        sources: Lines by file.
    """

    root: MappingNode
    file: Path
    sources: dict[Path, list[str]]
    files: dict[int, Path] = field(default_factory=dict)

    def find(self, path: Sequence[str | int]) -> tuple[Node | None, Node]:
        """Give key and value at a path; those of the longest part of it that exists."""
        key: Node | None = None
        node: Node = self.root
        for part in path:
            if isinstance(node, MappingNode):
                pair = next((p for p in pairs(node) if p[0].value == str(part)), None)
                if pair is None:
                    break
                key, node = pair
            elif isinstance(node, SequenceNode) and isinstance(part, int):
                if part >= len(node.value):
                    break
                key, node = None, node.value[part]
            else:
                break
        return key, node

    def problem(
        self,
        path: Sequence[str | int],
        message: str,
        hint: str = "",
        *,
        key: bool = False,
        within: str = "",
    ) -> Problem:
        """Make a problem at a path: at its key, at its value, or at a text within its value."""
        key_node, node = self.find(path)
        scalar = isinstance(node, ScalarNode)
        at = key_node if key_node is not None and (key or not scalar) else node
        dotted = ".".join(map(str, path))
        problem = self.at(at, dotted, message, hint)
        if not within or at is not node:
            return problem
        file = problem.place.file
        for number in range(node.start_mark.line, node.end_mark.line + 1):
            first = node.start_mark.column if number == node.start_mark.line else 0
            line = self.sources[file][number] if number < len(self.sources[file]) else ""
            column = line.find(within, first)
            if column >= 0:
                return self.located(file, number, column, len(within), dotted, message, hint)
        return problem

    def at(self, node: Node, path: str, message: str, hint: str = "") -> Problem:
        """Make a problem at a node."""
        file = self.files.get(id(node), self.file)
        start, end = node.start_mark, node.end_mark
        length = end.column - start.column if end.line == start.line else 1
        return self.located(file, start.line, start.column, max(1, length), path, message, hint)

    def located(
        self, file: Path, line: int, column: int, length: int, path: str, message: str, hint: str
    ) -> Problem:
        """Make a problem at a line and column that count from 0."""
        lines = self.sources.get(file, [])
        source = lines[line] if line < len(lines) else ""
        return Problem(Place(file, line + 1, column + 1, length), path, message, hint, source)


def pairs(node: MappingNode) -> Iterator[tuple[Node, Node]]:
    """Yield the entries of a mapping, those of ``<<`` after its own that they do not override."""
    own = [(key, value) for key, value in node.value if key.tag != f"{_TAG}merge"]
    yield from own
    names = {key.value for key, _ in own if isinstance(key, ScalarNode)}
    for key, value in node.value:
        if key.tag == f"{_TAG}merge":
            for each in value.value if isinstance(value, SequenceNode) else [value]:
                for inner in pairs(each) if isinstance(each, MappingNode) else ():
                    if inner[0].value not in names:
                        names.add(inner[0].value)
                        yield inner


def read(file: Path) -> Tree:
    """Read a file.

    Raises:
        RecipeError: It cannot be read, or is no YAML mapping.
    """
    text = _text(file)
    lines = text.splitlines()
    empty = Tree(MappingNode("", []), file, {file: lines})
    _check_depth(text, empty)
    try:
        node = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise RecipeError([_syntax(error, empty)]) from None
    except yaml.YAMLError as error:
        raise _fail(file, f"is no YAML: {str(error).splitlines()[0]}") from None
    except (RecursionError, ValueError) as error:
        raise _fail(file, f"is no YAML: {type(error).__name__}") from None
    if node is None:
        raise _fail(file, "is empty", "A recipe has at least name: and stages:.")
    if not isinstance(node, MappingNode):
        problem = empty.at(node, "", "is no mapping", "A recipe has at least name: and stages:.")
        raise RecipeError([problem])
    tree = Tree(node, file, {file: lines})
    if "&" in text and "*" in text:
        _check_aliases(tree)
    return tree


def build(tree: Tree) -> tuple[dict[str, Any], list[Problem]]:
    """Give a tree's plain values, and what is wrong with its keys and tags."""
    problems: list[Problem] = []
    value = _value(tree.root, tree, (), problems)
    return value, problems


def merge(base: Tree, over: Tree) -> Tree:
    """Lay one tree over another: mappings are merged, all else replaced, ``null`` removes."""
    files = {**base.files, **over.files}

    def remember(node: Node, file: Path) -> None:
        files[id(node)] = file
        for child in _children(node):
            remember(child, file)

    remember(base.root, base.file) if not base.files else None
    root = _merged(base.root, over.root)
    return Tree(root, over.file, {**base.sources, **over.sources}, files)


def _merged(base: MappingNode, over: MappingNode) -> MappingNode:
    entries = {key.value: (key, value) for key, value in pairs(base)}
    for key, value in pairs(over):
        old = entries.get(key.value)
        if value.tag == f"{_TAG}null":
            entries.pop(key.value, None)
        elif old and isinstance(old[1], MappingNode) and isinstance(value, MappingNode):
            entries[key.value] = (key, _merged(old[1], value))
        else:
            entries[key.value] = (key, value)
    return MappingNode(over.tag, list(entries.values()), over.start_mark, over.end_mark)


def _text(file: Path) -> str:
    if file.is_dir():
        raise _fail(file, "is a folder, not a recipe", "Name the recipe's file.")
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _fail(file, "there is no such file") from None
    except OSError as error:
        raise _fail(file, f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise _fail(file, f"is larger than {MAX_BYTES >> 20} MiB, which no recipe should be")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8 text (byte {error.start}, line {line})"
        raise _fail(file, message, "Save it as UTF-8.") from None
    if "\0" in text:
        raise _fail(file, "is a binary file, not a recipe")
    return text


def _check_depth(text: str, tree: Tree) -> None:
    """Refuse what would overflow the parser's stack, before it is parsed."""
    depth = 0
    for match in re.finditer(r"[\[\]{}]|^ {64,}|^(?:[ ]*[-?:] ){64,}", text, re.MULTILINE):
        token = match[0]
        depth += 1 if token in "[{" else -1 if token in "]}" else 0
        if depth > _MAX_DEPTH or (len(token) > 1 and _levels(token) > _MAX_DEPTH):
            line = text.count("\n", 0, match.start())
            column = match.start() - text.rfind("\n", 0, match.start()) - 1
            message = f"is nested more than {_MAX_DEPTH} levels deep"
            raise RecipeError([tree.located(tree.file, line, column, 1, "", message, "")])


def _levels(token: str) -> int:
    return len(token.split()) if token.strip() else len(token) // 2


def _check_aliases(tree: Tree) -> None:
    """Refuse an alias within what it stands for, and aliases that multiply beyond measure."""
    sizes: dict[int, int] = {}
    open_: set[int] = set()

    def size(node: Node) -> int:
        if id(node) in open_:
            raise RecipeError([tree.at(node, "", "this anchor is used within itself")])
        if id(node) not in sizes:
            open_.add(id(node))
            sizes[id(node)] = 1 + sum(map(size, _children(node)))
            open_.discard(id(node))
        return sizes[id(node)]

    if size(tree.root) > _MAX_NODES:
        message = f"its aliases stand for more than {_MAX_NODES:,} values"
        raise _fail(tree.file, message, "Use fewer aliases, or extends:.")


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, SequenceNode):
        yield from node.value


def _value(node: Node, tree: Tree, path: Path_, problems: list[Problem]) -> Any:
    if isinstance(node, ScalarNode):
        return _scalar(node, tree, path, problems)
    if isinstance(node, SequenceNode):
        return [_value(each, tree, (*path, i), problems) for i, each in enumerate(node.value)]
    found: dict[str, Any] = {}
    seen: dict[str, Node] = {}
    assert isinstance(node, MappingNode)
    own = {id(key) for key, _ in node.value}
    for key, value in pairs(node):
        if not isinstance(key, ScalarNode) or key.tag != f"{_TAG}str":
            where = ".".join(map(str, path))
            text = key.value if isinstance(key, ScalarNode) else "this"
            problems.append(tree.at(key, where, f"{text} is no text, and keys are", "Quote it."))
            continue
        if key.value in seen and id(key) in own:
            first = seen[key.value].start_mark.line + 1
            where = ".".join(map(str, (*path, key.value)))
            problems.append(
                tree.at(key, where, f"is given twice, first on line {first}", "Keep one of them.")
            )
            continue
        seen[key.value] = key
        found[key.value] = _value(value, tree, (*path, key.value), problems)
    return found


def _scalar(node: ScalarNode, tree: Tree, path: Path_, problems: list[Problem]) -> Any:
    text, kind = node.value, node.tag.removeprefix(_TAG)
    if kind in ("str", "merge"):
        return text
    if kind == "int":
        return _integer(text)
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if kind == "bool":
        return text[0] in "tT"
    if kind == "null":
        return None
    where = ".".join(map(str, path))
    problems.append(tree.at(node, where, f"the tag {node.tag} is not supported", "Leave it out."))
    return None


def _integer(text: str) -> int | str:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    try:
        return int(text[2:], base) if base != 10 else int(text)
    except ValueError:  # more digits than Python converts
        return text


def _syntax(error: yaml.MarkedYAMLError, tree: Tree) -> Problem:
    mark = error.problem_mark or error.context_mark
    message = f"is no YAML: {error.problem or error.context}"
    if mark is None:
        return Problem(Place(tree.file), "", message)
    lines = tree.sources[tree.file]
    line = lines[mark.line] if mark.line < len(lines) else ""
    hint = "YAML is indented by spaces, not tabs." if "\t" in line else ""
    if error.context and error.context_mark is not None:
        context = f"{error.context.strip()}, which begins on line {error.context_mark.line + 1}."
        hint = hint or context[0].upper() + context[1:]
    return tree.located(tree.file, mark.line, mark.column, 1, "", message, hint)


def _fail(file: Path, message: str, hint: str = "") -> RecipeError:
    return RecipeError([Problem(Place(file), "", message, hint)])
