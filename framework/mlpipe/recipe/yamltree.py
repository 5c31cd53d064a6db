"""A recipe's values, and where each of them stands.

Positions are looked up in the tree of nodes only when there is a problem to show.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mlpipe.recipe.problems import Place, Problem
from mlpipe.recipe.yamlsource import TAG, children, read_nodes, read_scalar

_MERGE = f"{TAG}merge"
_STR = f"{TAG}str"
_COLLECTIONS = (f"{TAG}map", f"{TAG}seq")

KeyPath = tuple[str | int, ...]


@dataclass(slots=True)
class Tree:
    """A file's nodes, or those of several files merged.

    Attributes:
        root: The top node.
        file: The file that was read.
        sources: Lines by file.
        files: The file that each node is from, by the node's identity, where it is not ``file``.
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
        if within and not key:
            found = self._search(node, within)
            if found is not None:
                return self._located(self._file(node), *found, len(within), dotted, message, hint)
        return self.at(at, dotted, message, hint)

    def at(self, node: Node, path: str, message: str, hint: str = "") -> Problem:
        """Make a problem at a node."""
        start, end = node.start_mark, node.end_mark
        length = max(1, end.column - start.column) if end.line == start.line else 1
        file = self._file(node)
        return self._located(file, start.line, start.column, length, path, message, hint)

    def _file(self, node: Node) -> Path:
        return self.files.get(id(node), self.file)

    def _search(self, node: Node, text: str) -> tuple[int, int] | None:
        """Find a text in the lines of a node, rather as a word than as part of one.

        Gives line and column, which count from 0.
        """
        lines = self.sources[self._file(node)]
        start, end = node.start_mark, node.end_mark
        for pattern in (rf"(?<![\w-]){re.escape(text)}(?![\w-])", re.escape(text)):
            for number in range(start.line, min(end.line + 1, len(lines))):
                first = start.column if number == start.line else 0
                found = re.compile(pattern).search(lines[number], first)
                if found is not None:
                    return number, found.start()
        return None

    def _located(
        self, file: Path, line: int, column: int, length: int, path: str, message: str, hint: str
    ) -> Problem:
        lines = self.sources.get(file, [])
        source = lines[line] if line < len(lines) else ""
        return Problem(Place(file, line + 1, column + 1, length), path, message, hint, source)


def read(file: Path, form: str = "A recipe has at least name: and stages:.") -> Tree:
    """Read a file.

    Args:
        file: The file.
        form: What such a file holds, said of one that does not.

    Raises:
        RecipeError: It cannot be read, or is no YAML mapping.
    """
    root, lines = read_nodes(file, form)
    return Tree(root, file, {file: lines})


def build(tree: Tree) -> tuple[dict[str, Any], list[Problem]]:
    """Give a tree's plain values, and what is wrong with its keys and tags."""
    problems: list[Problem] = []
    value = _value(tree.root, tree, (), problems)
    return value, problems


def parse_value(text: str) -> Any:
    """Read a value as a recipe's would be read: ``1e-3`` is a number, ``on`` a text.

    Raises:
        ValueError: It is no YAML, or has a key or tag that recipes do not take.
    """
    node = read_scalar(text)
    if node is None:
        return ""
    nowhere = Path()
    problems: list[Problem] = []
    value = _value(node, Tree(MappingNode("", []), nowhere, {}), (), problems)
    if problems:
        raise ValueError(problems[0].message)
    return value


def merge(base: Tree, over: Tree) -> Tree:
    """Lay one tree over another: mappings are merged, all else replaced, ``null`` removes."""
    files = {**base.files, **over.files}

    def remember(node: Node, file: Path) -> None:
        if id(node) not in files:
            files[id(node)] = file
            for child in children(node):
                remember(child, file)

    remember(base.root, base.file)
    root = _merged(base.root, over.root)
    return Tree(root, over.file, {**base.sources, **over.sources}, files)


def pairs(node: MappingNode) -> Iterator[tuple[Node, Node]]:
    """Yield the entries of a mapping, those of ``<<`` after its own that they do not override."""
    merged: list[Node] = []
    names: set[object] = set()
    for key, value in node.value:
        if key.tag == _MERGE:
            merged += value.value if isinstance(value, SequenceNode) else [value]
        else:
            yield key, value
            names.add(_name(key))
    for each in merged:
        for inner in pairs(each) if isinstance(each, MappingNode) else ():
            name = _name(inner[0])
            if name not in names:
                names.add(name)
                yield inner


def _name(key: Node) -> object:
    """Give what tells keys apart: a key that is no text is none other's equal."""
    return key.value if isinstance(key, ScalarNode) else id(key)


def _merged(base: MappingNode, over: MappingNode) -> MappingNode:
    entries = {_name(key): (key, value) for key, value in pairs(base)}
    for key, value in pairs(over):
        old = entries.get(_name(key))
        if value.tag == f"{TAG}null":
            entries.pop(_name(key), None)
        elif old and isinstance(old[1], MappingNode) and isinstance(value, MappingNode):
            entries[_name(key)] = (key, _merged(old[1], value))
        else:
            entries[_name(key)] = (key, value)
    return MappingNode(over.tag, list(entries.values()), over.start_mark, over.end_mark)


def _value(node: Node, tree: Tree, path: KeyPath, problems: list[Problem]) -> Any:
    if isinstance(node, ScalarNode):
        if node.tag == _STR:
            return node.value
        return _scalar(node, tree, path, problems)
    if node.tag not in _COLLECTIONS:
        problems.append(_unsupported(node, tree, path))
        return None
    if isinstance(node, SequenceNode):
        return [_value(each, tree, (*path, i), problems) for i, each in enumerate(node.value)]
    assert isinstance(node, MappingNode)  # there are three kinds of nodes
    return _mapping(node, tree, path, problems)


def _mapping(
    node: MappingNode, tree: Tree, path: KeyPath, problems: list[Problem]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    entries: Iterable[tuple[Node, Node]] = node.value
    if any(key.tag == _MERGE for key, _ in node.value):
        problems.extend(_wrong_merges(node, tree, path))
        entries = pairs(node)
    for key, value in entries:
        if key.tag != _STR:
            where = ".".join(map(str, path))
            plain = isinstance(key, ScalarNode) and bool(key.value)
            hint = f'Quote it: "{key.value}".' if plain else ""
            problems.append(tree.at(key, where, "this key is no text", hint))
        elif key.value in found:
            first = next(k for k, _ in pairs(node) if k.value == key.value).start_mark.line + 1
            where = ".".join(map(str, (*path, key.value)))
            message = f"is given twice, first on line {first}"
            problems.append(tree.at(key, where, message, "Keep one of them."))
        else:
            found[key.value] = _value(value, tree, (*path, key.value), problems)
    return found


def _wrong_merges(node: MappingNode, tree: Tree, path: KeyPath) -> Iterator[Problem]:
    for key, value in node.value:
        if key.tag == _MERGE:
            merged = value.value if isinstance(value, SequenceNode) else [value]
            if not all(isinstance(each, MappingNode) for each in merged):
                where = ".".join(map(str, (*path, "<<")))
                hint = "Write <<: *NAME, of an anchor on a mapping."
                yield tree.at(value, where, "is no mapping to merge", hint)


def _scalar(node: ScalarNode, tree: Tree, path: KeyPath, problems: list[Problem]) -> Any:
    text, kind = node.value, node.tag.removeprefix(TAG)
    if kind == "merge":
        return text
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if kind == "int":
            return _integer(text)
        if kind == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        where = ".".join(map(str, path))
        problems.append(tree.at(node, where, f"{text[:40]!r} cannot be read as {kind}"))
        return None
    problems.append(_unsupported(node, tree, path))
    return None


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text[2:], base) if base != 10 else int(text)


def _unsupported(node: Node, tree: Tree, path: KeyPath) -> Problem:
    where = ".".join(map(str, path))
    tag = node.tag.replace(TAG, "!!")
    return tree.at(node, where, f"the tag {tag} is not supported", "Leave it out.")
