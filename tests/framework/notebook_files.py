"""Writing notebooks as Jupyter writes them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Cell = str | tuple[str, ...]


def make_notebook(cells: Sequence[Cell], **metadata: Any) -> dict[str, Any]:
    """Make a notebook of code cells; one that is a tuple is its text, then its tags."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": [_cell(index, cell) for index, cell in enumerate(cells)],
        "metadata": {"kernelspec": kernel, **metadata},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(index: int, cell: Cell) -> dict[str, Any]:
    source, *tags = (cell,) if isinstance(cell, str) else cell
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": f"cell-{index}",
        "metadata": {"tags": tags} if tags else {},
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }


def save_notebook(path: Path, notebook: dict[str, Any]) -> None:
    """Write a notebook."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, indent=1) + "\n")


def write_notebook(path: Path, *cells: Cell) -> Path:
    """Make a notebook of code cells and write it."""
    save_notebook(path, make_notebook(cells))
    return path


def outputs_of(path: Path) -> list[list[str]]:
    """Give what each code cell of an executed notebook has written or given back, as text."""
    return [
        [
            "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
            for output in cell["outputs"]
        ]
        for cell in json.loads(path.read_text())["cells"]
        if cell["cell_type"] == "code"
    ]
