"""The built documentation: complete, and made of nothing that is fetched from elsewhere."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlpipe.errors import ExitCode
from mlpipe.plugins import hookspecs
from mlpipe.plugins.manager import PluginManager


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The site, built as strictly as ``make docs`` does."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(folder),
    ]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def page(site: Path, name: str) -> str:
    return (site / name / "index.html").read_text("utf-8")


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = re.compile(
        r'(?:src="|<link[^>]* href="|url\(["\']?|@import ["\']?)(?:https?:)?//[^")]+'
    )
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(files) > 10
    assert [
        (str(file), *found) for file in files if (found := fetched.findall(file.read_text()))
    ] == []


def test_every_hook_is_described(site: Path) -> None:
    text = page(site, "reference/hooks")
    specs = [
        name
        for name, value in vars(hookspecs).items()
        if inspect.isfunction(value) and hasattr(value, "mlpipe_spec")
    ]
    assert len(specs) > 20
    assert [name for name in specs if f'<h3 id="{name}">' not in text] == []
    assert [name for name in specs if not vars(hookspecs)[name].__doc__] == []


@pytest.mark.parametrize("name", ["reference/recipe", "reference/plugins"])
def test_every_key_has_a_meaning(site: Path, name: str) -> None:
    rows = re.findall(r"<tr>\s*<td><code>([^<]+)</code>.*?</tr>", page(site, name), re.DOTALL)
    silent = re.findall(
        r"<tr>\s*<td><code>([^<]+)</code></td>(?:(?!</tr>).)*<td></td>\s*</tr>",
        page(site, name),
        re.DOTALL,
    )
    assert len(rows) > 10
    assert silent == []


def test_every_installed_verb_is_described(site: Path) -> None:
    text = page(site, "reference/plugins")
    manager = PluginManager.discover()
    for plugin in map(manager.get, manager.names()):
        verbs = ["VERB"] if plugin.serves_all else plugin.verbs()
        assert [verb for verb in verbs if f">{plugin.name}.{verb}<" not in text] == []


def test_every_command_and_exit_code_is_described(site: Path) -> None:
    text = page(site, "reference/command-line")
    for command in ("run", "plan", "why", "runs list", "plugins show", "endpoint invoke"):
        assert f">mlpipe {command}<" in text
    assert [
        code for code in ExitCode if f"<td>{code.value}</td>\n<td>{code.name}</td>" not in text
    ] == []
