"""A cell's code as Python's own parser can read it, without IPython."""

import ast
import re
from collections.abc import Iterator

# Their body is Python; that of others is anything.
_PYTHON_MAGICS = frozenset({"capture", "prun", "time", "timeit"})
# A plain ast.parse() knows no await outside of functions.
_FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_MAGIC = re.compile(r"\s*[%!?]")
_ASSIGNED = re.compile(r"(?P<target>\s*[A-Za-z_][\w.,\[\] ]*=)\s*[%!]")
_RUN = re.compile(r"\s*%run\s+(?:-\S+\s+)*(?P<script>[\w./-]+)\.py\b")


def parse(source: str) -> ast.Module | None:
    """Parse a cell. What is IPython's own (``%magic``, ``!command``, ``help?``) becomes text.

    Lines of that kind are found where Python's parser stumbles, so that a ``%`` at the beginning
    of a line is taken for what it is.

    Returns:
        The syntax tree; ``None`` for what is neither Python nor IPython.
    """
    lines = _without_cell_magic(source).split("\n")
    while True:
        try:
            tree = compile("\n".join(lines), "<cell>", "exec", _FLAGS, dont_inherit=True)
        except SyntaxError as error:
            if not _quote(lines, (error.lineno or 0) - 1):
                return None
        except (ValueError, RecursionError, MemoryError):
            return None
        else:
            assert isinstance(tree, ast.Module)
            return tree


def scripts(source: str) -> Iterator[str]:
    """Yield the modules, as dotted names, that the cell executes with ``%run path.py``."""
    for line in source.splitlines():
        if found := _RUN.match(line):
            yield found["script"].removeprefix("./").replace("/", ".")


def assigned(source: str) -> frozenset[str] | None:
    """Give the names that a cell binds outside of functions; ``None`` where it does not parse."""
    tree = parse(source)
    if tree is None:
        return None
    found = (node for statement in tree.body for node in ast.walk(statement))
    return frozenset(
        node.id for node in found if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def _without_cell_magic(source: str) -> str:
    stripped = source.lstrip()
    if not stripped.startswith("%%"):
        return source
    head, _, body = stripped.partition("\n")
    if head[2:].split(" ", 1)[0].strip() in _PYTHON_MAGICS:
        return f"{_as_text(head)}\n{_without_cell_magic(body)}"
    return _as_text(stripped)


def _as_text(magic: str) -> str:
    return repr(f"IPython: {magic}")


def _quote(lines: list[str], index: int) -> bool:
    """Turn a line that is IPython's own into a string; tell whether it was one."""
    if not 0 <= index < len(lines):
        return False
    line = lines[index]
    if assignment := _ASSIGNED.match(line):
        head = assignment["target"] + " "
    elif _MAGIC.match(line) or line.rstrip().endswith("?"):
        head = line[: len(line) - len(line.lstrip())]
    else:
        return False
    last = index
    while lines[last].endswith("\\") and last + 1 < len(lines):
        last += 1
    text = "\n".join(lines[index : last + 1])[len(head) :]
    lines[index : last + 1] = [head + _as_text(text)] + [""] * (last - index)
    return True
