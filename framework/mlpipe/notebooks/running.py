"""Executing a notebook."""

import importlib.util
import json
import keyword
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from mlpipe.errors import StageError
from mlpipe.notebooks.code import assigned
from mlpipe.notebooks.source import INJECTED, CodeCell, code_of, display, load, tags_of, text_of

#: The parameter with the path that a notebook may write its results to.
RESULTS = "results"

_NEEDED = ("papermill", "ipykernel")
_SECONDS_TO_START = 120
_SECONDS_FOR_OUTPUT = 60
_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class _Failure:
    """What an executed notebook says of its first cell with an error."""

    cell: str
    code: str
    error: str
    traceback: Sequence[str]


def run_notebook(path: Path, parameters: Mapping[str, object], executed: Path) -> dict[str, Any]:
    """Execute a notebook through papermill, in a kernel of this interpreter.

    The kernel's working folder is the current one. What cells write appears on standard output
    while they run. An error in any cell fails the notebook, whatever the cell is tagged with.

    A notebook may give something back: where its cell tagged ``parameters`` has ``results``, that
    becomes a path, to which a cell may write a JSON object.

    Args:
        path: The notebook.
        parameters: Replace those of the cell tagged ``parameters``; where there is no such cell,
            they are defined before the first one. Values that JSON can hold, and paths, which
            arrive as text.
        executed: Where the notebook is written with its outputs, also when a cell fails, the
            kernel dies or SIGTERM ends this process.

    Returns:
        The JSON object that the notebook wrote to ``results``; empty where it wrote none.

    Raises:
        StageError: It is no notebook, a parameter does not go with it, a cell has an error, or
            the kernel died.
    """
    cells = code_of(path)
    given = _checked(parameters, cells, display(path))
    _require()
    executed.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=".kernel-", dir=executed.parent, ignore_cleanup_errors=True
    ) as folder:
        results = Path(folder, "results.json")
        if RESULTS in (_declared(cells) or ()):
            given.setdefault(RESULTS, str(results))
        _execute(path, given, executed, Path(folder))
        return _read(results, display(path))


def _require() -> None:
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise StageError(
            f"running a notebook needs {' and '.join(missing)}",
            fix='Install it: pip install "mlpipe-framework[notebooks]".',
        )


# -- parameters ---------------------------------------------------------------------------


def _declared(cells: Sequence[CodeCell]) -> frozenset[str] | None:
    """Give the parameters that a notebook has; ``None`` where that cannot be told."""
    cell = next((each for each in cells if "parameters" in each.tags), None)
    return assigned(cell.source) if cell else None


def _checked(
    parameters: Mapping[str, object], cells: Sequence[CodeCell], where: str
) -> dict[str, Any]:
    declared = _declared(cells)
    for name in parameters:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise StageError(f'"{name}" cannot name a parameter of a notebook', where=where)
        if declared is not None and name not in declared:
            known = ", ".join(sorted(declared)) or "(none)"
            fix = f"Those in its cell tagged parameters: {known}."
            raise StageError(f'has no parameter "{name}"', where=where, fix=fix)
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(parameters), default=_path))
    except (TypeError, ValueError) as error:
        raise StageError(f"cannot be given these parameters: {error}", where=where) from None
    return found


def _path(value: object) -> str:
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"JSON cannot hold a {type(value).__name__}")


# -- running ------------------------------------------------------------------------------


def _execute(path: Path, parameters: dict[str, Any], executed: Path, folder: Path) -> None:
    from papermill.exceptions import PapermillExecutionError

    from mlpipe.notebooks.kernel import Kernel

    kernel = Kernel(folder)
    where = display(path)
    try:
        with kernel.stopped_by_sigterm():
            _run_cells(path, parameters, executed, kernel.manager)
    except PapermillExecutionError as error:
        _raise_first_error(executed, where)
        raise StageError(f"{error.ename}: {error.evalue}", where=where) from None
    except RuntimeError as error:  # the kernel died, or did not start in time
        _say(kernel.last_words)
        raise StageError(
            _death(kernel.code) or str(error),
            where=_place(_last_begun(executed), where),
            fix="What its cells said before is above, and in the executed notebook.",
        ) from None
    except OSError as error:
        raise StageError(f"cannot be executed: {error.strerror or error}", where=where) from None
    finally:
        kernel.close()
    _raise_first_error(executed, where)  # of those that papermill lets pass, as sys.exit(0)


def _run_cells(path: Path, parameters: dict[str, Any], executed: Path, manager: object) -> None:
    import papermill

    from mlpipe.notebooks.kernel import NAME

    papermill.execute_notebook(
        _literally(path),
        _literally(executed),
        parameters,
        kernel_name=NAME,
        language="python",
        progress_bar=False,
        start_timeout=_SECONDS_TO_START,
        stdout_file=sys.stdout,
        stderr_file=sys.stdout,
        km=manager,
        force_raise_errors=True,  # also in cells that are tagged raises-exception
        iopub_timeout=_SECONDS_FOR_OUTPUT,
        on_cell_executed=_show,
    )


def _literally(path: Path) -> str:
    """Papermill fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _show(cell: Mapping[str, Any], **_: object) -> None:
    """Write what a cell gives back as its last expression, or displays, as text.

    Stop at an error that the kernel does not report as one, as it does in cells that begin with
    ``%%time`` or ``%%capture``.
    """
    from nbclient.exceptions import CellExecutionError

    for output in cell["outputs"]:
        if output["output_type"] == "error":
            raise CellExecutionError("", output["ename"], output["evalue"])
        text = output.get("data", {}).get("text/plain")
        if text is not None:
            _say(text_of(text))


def _say(text: str) -> None:
    if text:
        print(text, flush=True)  # noqa: T201 - a stage's standard output is its log


def _death(code: int | None) -> str | None:
    if code is None:
        return None
    if code >= 0:
        return f"its kernel ended by itself, with exit code {code}"
    name = signal.Signals(-code).name
    hint = " (out of memory?)" if name == "SIGKILL" else ""
    return f"its kernel was killed by {name}{hint}"


# -- what came of it ----------------------------------------------------------------------


def _raise_first_error(executed: Path, where: str) -> None:
    failure = next(_failures(executed), None)
    if failure is None:
        return
    _say("\n".join(failure.traceback))
    raise StageError(
        failure.error,
        where=_place(failure.cell, where),
        fix=f"The cell begins with: {failure.code}",
    )


def _failures(executed: Path) -> Iterator[_Failure]:
    for label, cell in _numbered(executed):
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error":
                message = _plain(str(output.get("evalue", ""))).strip()
                name = output.get("ename", "error")
                yield _Failure(
                    label,
                    _first_line(text_of(cell["source"])),
                    f"{name}: {message.splitlines()[0]}" if message else str(name),
                    [_plain(line) for line in output.get("traceback", [])],
                )


def _last_begun(executed: Path) -> str:
    begun = [
        label
        for label, cell in _numbered(executed)
        if cell["metadata"].get("papermill", {}).get("start_time")
    ]
    return begun[-1] if begun else ""


def _numbered(executed: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the code cells of an executed notebook, numbered as those of its source are."""
    number = 0
    for cell in load(executed.read_bytes())["cells"]:
        if cell["cell_type"] != "code" or not text_of(cell["source"]).strip():
            continue
        if INJECTED in tags_of(cell):
            yield "the injected parameters", cell
        else:
            number += 1
            yield f"cell {number}", cell


def _place(cell: str, where: str) -> str:
    return f"{where}, {cell}" if cell else where


def _plain(text: str) -> str:
    return _CODES.sub("", text)


def _first_line(source: str) -> str:
    lines = [line.strip() for line in source.splitlines()]
    return next((line for line in lines if line and not line.startswith("#")), lines[0])


def _read(results: Path, where: str) -> dict[str, Any]:
    if not results.exists():
        return {}
    try:
        found = json.loads(results.read_bytes())
    except ValueError as error:
        raise StageError(f"wrote results that are not JSON: {error}", where=where) from None
    if not isinstance(found, dict):
        fix = "Write an object: its numbers become metrics, its other values values."
        raise StageError("wrote results that are no JSON object", where=where, fix=fix)
    return found
