"""What a notebook's file says: its code cells, and itself without what running it leaves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpipe.errors import StageError

#: The tag of the cell that papermill puts parameters into.
INJECTED = "injected-parameters"

# What nbstripout takes off without being told to.
_VOLATILE = frozenset({"signature", "widgets"})
_VOLATILE_OF_CELL = frozenset(
    {"collapsed", "ExecuteTime", "execution", "heading_collapsed", "hidden", "scrolled"}
)


@dataclass(frozen=True, slots=True)
class CodeCell:
    """A code cell that says something.

    Attributes:
        number: 1 for the first: the count that Jupyter shows beside it after `Restart Kernel and
            Run All Cells`. Empty cells have none.
        source: Its text, magics and all.
        tags: Its tags, as ``parameters``.
    """

    number: int
    source: str
    tags: frozenset[str]


def code_of(path: Path) -> tuple[CodeCell, ...]:
    """Read the code cells of a Python notebook, in order.

    Args:
        path: The notebook.

    Raises:
        StageError: It is not there, or is no notebook that Python could run.
    """
    where = display(path)
    try:
        notebook = load(path.read_bytes())
    except OSError as error:
        raise StageError(f"cannot be read: {error.strerror}", where=where) from None
    except ValueError as error:
        fix = "Open it in Jupyter and save it again."
        raise StageError(str(error), where=where, fix=fix) from None
    language = _language(notebook)
    if language != "python":
        raise StageError(
            f"is a notebook in {language}",
            where=where,
            fix="Only notebooks in Python can be stages; run others from a shell stage.",
        )
    cells = tuple(_code_cells(notebook))
    if not cells:
        raise StageError("has no code cell", where=where, fix="Add one, or remove the stage.")
    return cells


def strip(notebook: bytes) -> bytes:
    """Give a notebook without outputs, execution counts and what else running it changes.

    The result is, as a notebook, what ``nbstripout`` gives. The same source gives the same bytes.

    Args:
        notebook: The file's bytes.

    Raises:
        ValueError: They are no notebook.
    """
    stripped = load(notebook)
    _drop(stripped["metadata"], _VOLATILE)
    for index, cell in enumerate(stripped["cells"]):
        _drop(cell["metadata"], _VOLATILE_OF_CELL)
        if cell["cell_type"] == "code":
            cell["outputs"] = []
            cell["execution_count"] = None
        if "id" in cell:
            cell["id"] = str(index)
    text = json.dumps(stripped, indent=1, ensure_ascii=False, sort_keys=True)
    return text.encode() + b"\n"


def load(data: bytes) -> dict[str, Any]:
    """Read a notebook of format 4.

    Raises:
        ValueError: It is none; the message says why.
    """
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("is no notebook: its text is not JSON") from None
    notebook: dict[str, Any] = found if isinstance(found, dict) else {}
    version = notebook.get("nbformat")
    if version not in (None, 4):
        raise ValueError(f"is a notebook of format {version}, where format 4 is needed")
    whole = isinstance(notebook.get("metadata"), dict) and _is_list_of_cells(notebook.get("cells"))
    if version is None or not whole:
        raise ValueError("is no notebook: it lacks its format, metadata or list of cells")
    return notebook


def display(path: Path) -> str:
    """Give a path as people know it: relative to the working folder, if it is below."""
    folder = Path.cwd()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def text_of(source: str | list[str]) -> str:
    """Give a text of a notebook, which may be written as a list of lines."""
    return source if isinstance(source, str) else "".join(source)


def tags_of(cell: dict[str, Any]) -> frozenset[str]:
    """Give the tags of a cell."""
    tags = cell["metadata"].get("tags", [])
    return frozenset(map(str, tags)) if isinstance(tags, list) else frozenset()


def _is_list_of_cells(cells: object) -> bool:
    return isinstance(cells, list) and all(
        isinstance(cell, dict)
        and isinstance(cell.get("cell_type"), str)
        and isinstance(cell.get("source"), str | list)
        and isinstance(cell.get("metadata"), dict)
        and all(isinstance(line, str) for line in cell["source"])
        for cell in cells
    )


def _code_cells(notebook: dict[str, Any]) -> Iterator[CodeCell]:
    number = 0
    for cell in notebook["cells"]:
        source = text_of(cell["source"])
        if cell["cell_type"] == "code" and source.strip():
            number += 1
            yield CodeCell(number, source, tags_of(cell))


def _language(notebook: dict[str, Any]) -> str:
    for block, key in (("kernelspec", "language"), ("language_info", "name")):
        facts = notebook["metadata"].get(block)
        if isinstance(facts, dict) and isinstance(facts.get(key), str):
            return str(facts[key]).lower()
    return "python"


def _drop(metadata: dict[str, Any], names: frozenset[str]) -> None:
    for name in names & metadata.keys():
        del metadata[name]
