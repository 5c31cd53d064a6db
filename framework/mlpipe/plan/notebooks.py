"""What a notebook is made of, cell by cell."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from mlpipe.errors import StageError
from mlpipe.notebooks.code import parse, scripts
from mlpipe.notebooks.source import INJECTED, CodeCell, code_of
from mlpipe.plan.modules import Definition, Facts, bindings_of, digest_of

# Papermill puts parameters after or in place of these, and leaves that one out.
_TAGS_THAT_MATTER = frozenset({"parameters", INJECTED, "skip-execution"})


def read_notebook(path: Path) -> dict[str, Any]:
    """Give the facts of a notebook as JSON: each code cell is a definition, its line its number.

    Outputs, execution counts, text cells, comments and other metadata are not among them. A file
    that is no notebook is digested as bytes.
    """
    try:
        cells = code_of(path)
    except StageError:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Facts({"": Definition("", 1, digest, frozenset(), True)}).to_json()
    definitions = {
        f"cell {cell.number}": Definition("", cell.number, _digest(cell), frozenset(), True)
        for cell in cells
    }
    bindings = {binding for cell in cells for binding in _bindings(cell)}
    return Facts(definitions, tuple(sorted(bindings))).to_json()


def compare_cells(
    old: Iterable[Sequence[Any]], new: Iterable[Sequence[Any]]
) -> Iterator[tuple[str, str]]:
    """Tell two versions of a notebook apart: yield cell and what became of it.

    A cell that was put in or taken out does not make those below it changed.

    Args:
        old: Number and digest of each cell before.
        new: The same now.
    """
    before, after = (sorted(each, key=lambda cell: int(cell[0])) for each in (old, new))
    matcher = SequenceMatcher(
        None, [digest for _, digest in before], [digest for _, digest in after], autojunk=False
    )
    for kind, old_begin, old_end, new_begin, new_end in matcher.get_opcodes():
        if kind == "equal":
            continue
        both = min(old_end - old_begin, new_end - new_begin)
        for number, _ in after[new_begin : new_begin + both]:
            yield f"cell {number}", "changed"
        for number, _ in after[new_begin + both : new_end]:
            yield f"cell {number}", "is new"
        for number, _ in before[old_begin + both : old_end]:
            yield f"cell {number}", "is gone"


def _digest(cell: CodeCell) -> str:
    tree = parse(cell.source)
    code = digest_of(tree.body) if tree else hashlib.sha256(cell.source.encode()).hexdigest()
    tags = ",".join(sorted(cell.tags & _TAGS_THAT_MATTER))
    return f"{code}:{tags}" if tags else code


def _bindings(cell: CodeCell) -> Iterator[tuple[int, str, str]]:
    if tree := parse(cell.source):
        yield from bindings_of(tree)
    for module in scripts(cell.source):
        yield 0, module, "*"
