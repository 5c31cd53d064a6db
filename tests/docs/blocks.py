"""Fenced blocks of a Markdown page, and what its author says of each.

A comment right above a block says how it is to be taken; readers do not see it:

``<!-- not run: REASON -->``
    The block cannot be run here.
``<!-- exit: 2 -->``
    The last command of the block ends with this code.
``<!-- fragment -->``
    The YAML is a part of a recipe.

``title="path"`` in the info string makes the block a file of the page's project.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

_DIRECTIVE = re.compile(r"<!--\s*(not run|exit|fragment)(?::\s*(.+?))?\s*-->\s*")
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: The Markdown file.
        line: Of the opening fence, from 1.
        language: The first word of the info string, or an empty string.
        title: The file that it is, or an empty string.
        text: What is between the fences.
        reason: Why it is not run, or an empty string.
        exit_code: What its last command ends with.
        fragment: Whether it is a part of a recipe.
    """

    page: Path
    line: int
    language: str
    title: str
    text: str
    reason: str = ""
    exit_code: int = 0
    fragment: bool = False

    @property
    def where(self) -> str:
        """File and line, as editors take them."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a console block, and what is shown below it."""

    text: str
    output: str


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order, those in lists and admonitions included."""
    directive: tuple[str, str] = ("", "")
    for token in MarkdownIt("commonmark").parse(_dedented(page.read_text("utf-8"))):
        if token.type == "html_block" and (match := _DIRECTIVE.fullmatch(token.content)):
            directive = (match[1], match[2] or "")
        elif token.type == "fence" and token.map is not None:
            yield _block(page, token.map[0] + 1, token.info.strip(), token.content, directive)
            directive = ("", "")
        elif token.type.endswith("_open"):
            directive = ("", "")


def _dedented(text: str) -> str:
    """Bring blocks inside ``!!!`` and ``===`` containers, which CommonMark lacks, to the margin."""
    lines, inside = [], False
    for line in text.splitlines():
        if re.match(r"(!!!|\?\?\?\+?|===) ", line):
            inside = True
            lines.append("")
        elif inside and (line.startswith("    ") or not line):
            lines.append(line.removeprefix("    "))
        else:
            inside = False
            lines.append(line)
    return "\n".join(lines)


def _block(page: Path, line: int, info: str, text: str, directive: tuple[str, str]) -> Block:
    kind, value = directive
    title = _TITLE.search(info)
    return Block(
        page=page,
        line=line,
        language=info.split(maxsplit=1)[0] if info else "",
        title=title[1] if title else "",
        text=text,
        reason=value if kind == "not run" else "",
        exit_code=int(value) if kind == "exit" else 0,
        fragment=kind == "fragment",
    )


def commands_of(block: Block) -> list[Command]:
    """Split a console block at its ``$ `` lines; a trailing backslash continues a command."""
    commands: list[Command] = []
    continues = False
    for line in block.text.splitlines():
        if continues or line.startswith("$ "):
            head = commands.pop().text + "\n" if continues else ""
            commands.append(Command(head + (line if continues else line[2:]), ""))
            continues = line.endswith("\\")
        elif commands:
            last = commands.pop()
            commands.append(Command(last.text, last.output + line + "\n"))
        else:
            raise ValueError(f"{block.where}: the block begins with output, not with a command")
    return commands
