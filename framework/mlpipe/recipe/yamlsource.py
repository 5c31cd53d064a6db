"""From a file to YAML nodes: read by libyaml, tagged by the YAML 1.2 core schema.

``lr: 1e-3`` is a number and ``on: push`` is a key, which YAML 1.1 (PyYAML's default) sees
otherwise.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from mlpipe.recipe.problems import Place, Problem, RecipeError

#: No recipe should be larger.
MAX_BYTES = 8 << 20
#: How deep mappings and lists may stand in each other. libyaml's composer recurses.
MAX_DEPTH = 64
#: How many values a file may stand for once its aliases are written out.
MAX_VALUES = 1_000_000
#: What the tags of the core schema begin with.
TAG = "tag:yaml.org,2002:"

_STR, _MAP, _SEQ = f"{TAG}str", f"{TAG}map", f"{TAG}seq"


class _CoreSchema(BaseResolver):
    """Types of plain scalars by the core schema of YAML 1.2.

    Types depend on nothing but the scalar, so that nothing needs to be known of where it
    stands; that takes a third off the time to read a file.
    """

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """Enter a node: nothing to note."""

    def ascend_resolver(self) -> None:
        """Leave a node."""

    def resolve(self, kind: type[Node], value: str, implicit: Any) -> str:
        """Give the tag of a node that has none; ``implicit[0]`` tells whether it is plain."""
        if kind is not ScalarNode:
            return _MAP if kind is MappingNode else _SEQ
        if implicit[0]:
            for tag, pattern in self.yaml_implicit_resolvers.get(value[:1], ()):
                if pattern.match(value):
                    return str(tag)
        return _STR


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
    _CoreSchema.add_implicit_resolver(TAG + _name, re.compile(rf"^(?:{_pattern})$"), list(_first))

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


def read_nodes(file: Path, form: str) -> tuple[MappingNode, list[str]]:
    """Read a file; give its top node and its lines.

    Args:
        file: The file.
        form: What such a file holds, said of one that does not.

    Raises:
        RecipeError: It cannot be read, is no YAML mapping, or is too large or too deep.
    """
    text = _text(file)
    lines = split_lines(text)

    def at(mark: Any, message: str, hint: str = "", length: int = 1) -> RecipeError:
        line = lines[mark.line] if mark.line < len(lines) else ""
        place = Place(file, mark.line + 1, mark.column + 1, length)
        return RecipeError([Problem(place, "", message, hint, line)])

    try:
        if _may_be_deep(text):
            _check_depth(text, at)
        node = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, lines, at) from None
    except ReaderError as error:
        raise _unreadable(error, text, file, lines) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise failure(file, f"is no YAML: {_first_line(error)}") from None
    if node is None:
        raise failure(file, "is empty", form)
    if not isinstance(node, MappingNode):
        raise at(node.start_mark, "is no mapping", form)
    if "&" in text and "*" in text:
        _check_aliases(node, file, at)
    return node, lines


def read_scalar(text: str) -> Node | None:
    """Read a value that is given outside a file, as ``3`` or ``[1, 2]``; ``None`` if empty.

    Raises:
        ValueError: It is no YAML.
    """
    try:
        if _may_be_deep(text):
            raise ValueError("is nested too deep")
        node: Node | None = _Loader(text).get_single_node()
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(_first_line(error)) from None
    return node


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes right below a node, keys included."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, SequenceNode):
        yield from node.value


def split_lines(text: str) -> list[str]:
    """Split a text where YAML's line numbers count."""
    return re.split(r"\r\n|[\n\r\x85\u2028\u2029]", text)


def failure(file: Path, message: str, hint: str = "") -> RecipeError:
    """Make the error of a file that is wrong as a whole."""
    return RecipeError([Problem(Place(file), "", message, hint)])


_At = Callable[..., RecipeError]


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise failure(file, "there is no such file") from None
    except IsADirectoryError:
        raise failure(file, "is a folder, not a recipe", "Name the recipe's file.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise failure(file, f"cannot be read: {reason}") from None
    if len(data) > MAX_BYTES:
        raise failure(file, f"is larger than {MAX_BYTES >> 20} MiB, which no recipe should be")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8 text (byte {error.start}, line {line})"
        raise failure(file, message, "Save it as UTF-8.") from None
    if "\0" in text:
        raise failure(file, "is a binary file, not a recipe")
    return text


def _may_be_deep(text: str) -> bool:
    """Tell, erring on the safe side, whether a text may be nested too deep."""
    half = MAX_DEPTH // 2 - 1
    if text.count("[") + text.count("{") > half:
        return True
    return re.search(rf"^(?:[ ]|[-?:][ \t]){{{half},}}", text, re.MULTILINE) is not None


def _check_depth(text: str, at: _At) -> None:
    """Refuse what would overflow the composer's stack; the event parser has none."""
    depth = 0
    for event in _events(text):
        if isinstance(event, yaml.events.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.events.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise at(event.start_mark, f"is nested more than {MAX_DEPTH} levels deep")


def _events(text: str) -> Iterator[Any]:
    parser = _Loader(text)
    while parser.check_event():
        yield parser.get_event()


def _check_aliases(root: Node, file: Path, at: _At) -> None:
    """Refuse an alias within what it stands for, and aliases that multiply or nest too far."""
    sizes: dict[int, tuple[int, int]] = {}
    unfinished: set[int] = set()

    def measure(node: Node) -> tuple[int, int]:
        if isinstance(node, ScalarNode):
            return 1, 0
        if id(node) in unfinished:
            raise at(node.start_mark, "this anchor is used within itself", length=_length(node))
        if id(node) not in sizes:
            unfinished.add(id(node))
            inner = [measure(each) for each in children(node)]
            unfinished.discard(id(node))
            depth = 1 + max((depth for _, depth in inner), default=0)
            if depth > MAX_DEPTH:
                raise at(node.start_mark, f"is nested more than {MAX_DEPTH} levels deep")
            sizes[id(node)] = 1 + sum(size for size, _ in inner), depth
        return sizes[id(node)]

    if measure(root)[0] > MAX_VALUES:
        message = f"its aliases stand for more than {MAX_VALUES:,} values"
        raise failure(file, message, "Use fewer aliases, or extends:.")


def _length(node: Node) -> int:
    start, end = node.start_mark, node.end_mark
    return max(1, end.column - start.column) if end.line == start.line else 1


def _syntax(error: yaml.MarkedYAMLError, lines: list[str], at: _At) -> RecipeError:
    mark = error.problem_mark or error.context_mark
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    hint = "YAML is indented by spaces, not tabs." if "\t" in line else ""
    problem = error.problem or error.context or "it cannot be read"
    if error.context and problem.startswith("but "):
        problem = f"{error.context}, {problem}"
    elif error.context and error.context_mark is not None:
        context = f"{error.context.strip()}, which begins on line {error.context_mark.line + 1}."
        hint = hint or context[0].upper() + context[1:]
    return at(mark, f"is no YAML: {problem}", hint)


def _unreadable(error: ReaderError, text: str, file: Path, lines: list[str]) -> RecipeError:
    """Locate a character that YAML forbids; the parser counts bytes."""
    where = text.find(chr(error.character))
    before = split_lines(text[: max(0, where)])
    place = Place(file, len(before), len(before[-1]) + 1)
    message = f"is no YAML: the control character U+{error.character:04X}"
    hint = "Leave it out, or write it as an escape in double quotes."
    return RecipeError([Problem(place, "", message, hint, lines[len(before) - 1])])


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
