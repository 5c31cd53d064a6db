"""Executing notebooks: real kernels, and all the ways in which they end."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpipe.errors import StageError
from mlpipe.notebooks import code_of, run_notebook, strip
from tests.framework.notebook_files import make_notebook, outputs_of, save_notebook, write_notebook


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, with a kernel that must not be used, and a working folder."""
    home = tmp_path / "home"
    impostor = home / ".local" / "share" / "jupyter" / "kernels" / "python3"
    impostor.mkdir(parents=True)
    spec = {"argv": ["/bin/false"], "display_name": "another", "language": "python"}
    (impostor / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("HOME", str(home))
    for name in ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.delenv(name, raising=False)
    project = tmp_path / "a {project}"
    project.mkdir()
    monkeypatch.chdir(project)
    return home


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_notebook_runs_in_this_interpreter_and_project(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("helpers.py").write_text("def double(x):\n    return 2 * x\n")
    path = write_notebook(
        Path("notebooks/n.ipynb"),
        ("source = 'default'\nfactor = 1\nresults = 'results.json'", "parameters"),
        "import os, sys\nfrom helpers import double\n(sys.executable, os.getcwd())",
        "%env PLACE=here\n!echo from the shell",
        "import json\nprint(double(factor))\nopen(results, 'w').write(json.dumps({'rows': 3}))",
    )
    before = files_below(home)
    results = run_notebook(
        path.absolute(), {"source": Path("/data/raw.csv"), "factor": 21}, Path("out/x.ipynb")
    )
    assert results == {"rows": 3}
    assert files_below(home) == before
    _, injected, place, shell, last = outputs_of(Path("out/x.ipynb"))
    assert injected == []
    assert ast.literal_eval(place[0]) == (sys.executable, str(Path.cwd()))
    assert "from the shell" in shell[0]
    assert last[0] == "42\n"
    shown = capfd.readouterr().out
    assert "from the shell" in shown
    assert "42" in shown
    assert repr(str(Path.cwd())) in shown
    assert r"source = \"/data/raw.csv\"" in Path("out/x.ipynb").read_text()
    assert files_below(Path("out")) == {"x.ipynb"}
    assert outputs_of(path) == [[], [], [], []]


def test_an_error_cell_fails_the_notebook_and_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    path = write_notebook(
        Path("n.ipynb"), "x = 1", "", "# why\ntotal(\n  x)", "print('not reached')"
    )
    with pytest.raises(StageError) as caught:
        run_notebook(path.absolute(), {"y": 1}, Path("out.ipynb"))
    error = caught.value
    assert error.where == "n.ipynb, cell 2"
    assert error.what == "NameError: name 'total' is not defined"
    assert error.fix == "The cell begins with: total("
    assert "not reached" not in Path("out.ipynb").read_text().replace("print('not reached')", "")
    shown = capfd.readouterr().out
    assert "Traceback" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "cell",
    [
        ("1 / 0", "raises-exception"),
        ("import sys\nsys.exit(0)",),
        ("%%capture\n1 / 0",),
        ("%%time\n1 / 0",),
        ("%%bash\nexit 3",),
        ("if True print(1)",),
    ],
    ids=["tagged", "exit", "captured", "timed", "shell", "syntax"],
)
def test_an_error_cell_can_never_pass(cell: tuple[str, ...]) -> None:
    path = write_notebook(Path("n.ipynb"), "1", cell, "2")
    with pytest.raises(StageError, match="cell 2"):
        run_notebook(path, {}, Path("out.ipynb"))
    assert outputs_of(Path("out.ipynb"))[-1] == []


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import os\nos._exit(0)", "its kernel ended by itself, with exit code 0"),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
            "its kernel was killed by SIGKILL (out of memory?)",
        ),
    ],
)
def test_a_kernel_that_dies_is_an_error(code: str, what: str) -> None:
    path = write_notebook(Path("n.ipynb"), "print('first')", code, "2")
    with pytest.raises(StageError) as caught:
        run_notebook(path, {}, Path("out.ipynb"))
    assert (caught.value.what, caught.value.where) == (what, "n.ipynb, cell 2")
    assert outputs_of(Path("out.ipynb"))[0] == ["first\n"]


def test_what_a_kernel_that_cannot_start_says_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "zmq.py").write_text("raise ImportError('no sockets today')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    with pytest.raises(StageError, match="its kernel ended by itself, with exit code 1"):
        run_notebook(write_notebook(Path("n.ipynb"), "1"), {}, Path("out.ipynb"))
    assert "no sockets today" in capfd.readouterr().out


ENDLESS = """
import os, subprocess
other = subprocess.Popen(["sleep", "600"])
with open("begun.tmp", "w") as file:
    file.write(f"{os.getpid()} {other.pid}")
os.rename("begun.tmp", "begun")
sum(range(10 ** 12))  # never gives the interpreter's lock away, so that no thread can watch
"""

RUN = """
import os, sys
from pathlib import Path
from mlpipe.notebooks import run_notebook
os.setsid()
run_notebook(Path("n.ipynb"), {}, Path("out.ipynb"))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_kernel_dies_with_the_group_of_who_runs_it(number: signal.Signals) -> None:
    write_notebook(Path("n.ipynb"), "print('first')", ENDLESS)
    process = subprocess.Popen([sys.executable, "-c", RUN], stderr=subprocess.DEVNULL)
    wait_for(Path("begun").exists)
    kernel, other = map(int, Path("begun").read_text().split())
    os.killpg(process.pid, number)
    assert process.wait(60) != 0
    wait_for(lambda: not (is_running(kernel) or is_running(other)))
    assert outputs_of(Path("out.ipynb"))[0] == ["first\n"]


def test_the_kernel_does_not_outlive_a_process_that_is_killed_alone() -> None:
    listening = ENDLESS.replace('"600"', '"1"').partition("sum(")[0] + "other.wait()\nimport time\n"
    write_notebook(Path("n.ipynb"), listening + "time.sleep(600)")
    process = subprocess.Popen([sys.executable, "-c", RUN], stderr=subprocess.DEVNULL)
    wait_for(Path("begun").exists)
    kernel, _ = map(int, Path("begun").read_text().split())
    process.kill()
    process.wait(60)
    wait_for(lambda: not is_running(kernel))


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


# -- what is no notebook, and parameters that do not go with one --------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("not JSON", "is no notebook: its text is not JSON"),
        ("[]", "is no notebook: it lacks its format, metadata or list of cells"),
        ("{}", "is no notebook: it lacks its format, metadata or list of cells"),
        ('{"nbformat": 3, "worksheets": []}', "is a notebook of format 3, where format 4 is"),
        ('{"nbformat": 4, "metadata": {}, "cells": [3]}', "is no notebook: it lacks its format"),
        ('{"nbformat": 4, "metadata": {}, "cells": []}', "has no code cell"),
        (json.dumps(make_notebook(["x <- 1"], language_info={"name": "R"})), None),
    ],
)
def test_what_is_no_notebook_is_an_error(text: str, what: str | None) -> None:
    notebook = json.loads(text) if what is None else None
    if notebook is not None:
        del notebook["metadata"]["kernelspec"]
        text, what = json.dumps(notebook), "is a notebook in r"
    Path("n.ipynb").write_text(text)
    with pytest.raises(StageError) as caught:
        run_notebook(Path("n.ipynb").absolute(), {}, Path("out.ipynb"))
    assert caught.value.where == "n.ipynb"
    assert caught.value.what.startswith(str(what))
    assert caught.value.fix


def test_a_missing_notebook_is_an_error() -> None:
    with pytest.raises(StageError, match=r"n\.ipynb: cannot be read: No such file"):
        run_notebook(Path("n.ipynb"), {}, Path("out.ipynb"))


def test_an_unknown_parameter_is_an_error() -> None:
    path = write_notebook(Path("n.ipynb"), ("a, b = 1, 2\nc: int = 3", "parameters"), "a")
    with pytest.raises(StageError) as caught:
        run_notebook(path, {"a": 1, "d": 2}, Path("out.ipynb"))
    assert caught.value.what == 'has no parameter "d"'
    assert caught.value.fix == "Those in its cell tagged parameters: a, b, c."


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"my-data": 1}, '"my-data" cannot name a parameter'),
        ({"class": 1}, '"class" cannot name a parameter'),
        ({"x": object()}, "JSON cannot hold a object"),
    ],
)
def test_parameters_that_cannot_be_given(parameters: dict[str, object], what: str) -> None:
    path = write_notebook(Path("n.ipynb"), "1")
    with pytest.raises(StageError, match=what):
        run_notebook(path, parameters, Path("out.ipynb"))


@pytest.mark.parametrize(
    ("written", "what"), [("{", "results that are not JSON"), ("[1]", "results that are no JSON")]
)
def test_results_that_are_none(written: str, what: str) -> None:
    path = write_notebook(
        Path("n.ipynb"), ("results = None", "parameters"), f"open(results, 'w').write({written!r})"
    )
    with pytest.raises(StageError, match=what):
        run_notebook(path, {}, Path("out.ipynb"))


def test_without_papermill_the_extra_is_named(tmp_path: Path) -> None:
    path = write_notebook(Path("n.ipynb"), "1")
    (tmp_path / "bare").mkdir()
    code = f"""
import sys
from importlib.machinery import PathFinder
class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in ("papermill", "ipykernel"):
            return None
        return PathFinder.find_spec(name, path, target)
sys.meta_path = [each for each in sys.meta_path if each is not PathFinder] + [Hidden]
from pathlib import Path
from mlpipe.notebooks import run_notebook
run_notebook(Path({str(path)!r}), {{}}, Path("out.ipynb"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "running a notebook needs papermill and ipykernel" in done.stderr
    assert 'pip install "mlpipe-framework[notebooks]"' in done.stderr


# -- the source ---------------------------------------------------------------------------


def test_code_cells_are_counted_as_jupyter_does() -> None:
    path = write_notebook(Path("n.ipynb"), "a = 1", "  \n", ("b = 2", "parameters"))
    assert [(cell.number, cell.source, set(cell.tags)) for cell in code_of(path)] == [
        (1, "a = 1", set()),
        (2, "b = 2", {"parameters"}),
    ]


def executed_in_jupyter(path: Path) -> None:
    """Execute a notebook in place, with what Jupyter leaves in it."""
    subprocess.run(
        [Path(sys.executable).with_name("jupyter-execute"), "--inplace", path.name],
        cwd=path.parent,
        check=True,
        capture_output=True,
        env={**os.environ, "JUPYTER_PREFER_ENV_PATH": "1", "HOME": str(Path.cwd())},
    )


def git(*arguments: str) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return done.stdout


def test_a_re_execution_is_no_change_for_git_and_strip_is_what_nbstripout_gives() -> None:
    language = {"name": "python", "version": "3.0.0"}
    notebook = make_notebook(["print(6 * 7)", "7 * 6"], language_info=language)
    notebook["cells"][0]["metadata"] = {"collapsed": True, "tags": ["parameters"]}
    save_notebook(Path("n.ipynb"), notebook)
    executed_in_jupyter(Path("n.ipynb").absolute())  # brings language_info up to date
    git("init", "--quiet")
    Path(".gitattributes").write_text("*.ipynb filter=nbstripout\n")
    nbstripout = Path(sys.executable).with_name("nbstripout")
    subprocess.run(
        [nbstripout, "--install"], check=True, env={**os.environ, "HOME": str(Path.cwd())}
    )
    git("add", ".gitattributes", "n.ipynb")
    git("commit", "--quiet", "-m", "first")

    first = Path("n.ipynb").read_bytes()
    edited = json.loads(first)
    edited["cells"][0]["outputs"] = []
    edited["cells"][1]["execution_count"] = 99
    save_notebook(Path("n.ipynb"), edited)
    executed_in_jupyter(Path("n.ipynb").absolute())
    assert "42" in json.dumps(json.loads(first)["cells"])
    assert git("status", "--porcelain", "--untracked-files=no") == ""

    versioned = json.loads(git("show", "HEAD:n.ipynb"))
    assert json.loads(strip(first)) == versioned
    assert strip(Path("n.ipynb").read_bytes()) == strip(first)
    assert strip(strip(first)) == strip(first)


def test_strip_refuses_what_is_no_notebook() -> None:
    with pytest.raises(ValueError, match="is no notebook"):
        strip(b"{}")
