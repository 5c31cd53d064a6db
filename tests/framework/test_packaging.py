"""The workspace, its lock, its constraints, and installing it with pip alone."""

import re
import shlex
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest

import mlpipe

BIN = Path(sys.executable).parent


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def settings(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


@pytest.fixture(scope="module")
def root(repository: Path) -> dict[str, Any]:
    return settings(repository / "pyproject.toml")


@pytest.fixture(scope="module")
def members(repository: Path) -> dict[str, dict[str, Any]]:
    """The settings of each distribution under plugins/, by folder name."""
    found = {
        path.parent.name: settings(path) for path in repository.glob("plugins/*/pyproject.toml")
    }
    assert found
    return found


# -- lock and constraints -----------------------------------------------------------------


def test_the_lock_is_in_step(repository: Path) -> None:
    run(BIN / "uv", "lock", "--check", cwd=repository)


def test_the_constraints_are_in_step(repository: Path) -> None:
    lines = (repository / "constraints.txt").read_text().splitlines()
    command = shlex.split(lines[1].removeprefix("#"))
    del command[command.index("--output-file") :]
    assert command[:2] == ["uv", "export"]
    exported = run(BIN / "uv", *command[1:], "--quiet", "--no-header", cwd=repository)
    assert [line for line in lines if not line.startswith("#")] == exported.splitlines()


def test_the_constraints_are_names_and_versions_only(repository: Path) -> None:
    pin = re.compile(r"[a-z0-9][a-z0-9-]*==[0-9][A-Za-z0-9.+!-]*( ; [^/@]+)?")
    lines = (repository / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 20
    assert [line for line in pins if not pin.fullmatch(line)] == []


def test_the_constraints_cover_what_is_needed(
    repository: Path, root: dict[str, Any], members: dict[str, dict[str, Any]]
) -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
    from packaging.version import Version

    lines = (repository / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    for project in (root, *members.values()):
        for text in project["project"]["dependencies"]:
            wanted = Requirement(text)
            if canonicalize_name(wanted.name).startswith("mlpipe-framework"):
                continue
            versions = [
                Version(next(iter(pin.specifier)).version)
                for pin in pinned
                if pin.name == canonicalize_name(wanted.name)
            ]
            assert versions, f"{text} has no constraint"
            assert all(version in wanted.specifier for version in versions), text


# -- the workspace --------------------------------------------------------------------------


def test_each_plugin_is_a_distribution_of_its_own(members: dict[str, dict[str, Any]]) -> None:
    for name, member in members.items():
        project = member["project"]
        assert project["name"] == f"mlpipe-framework-{name}"
        assert project["version"] == mlpipe.__version__
        assert project["license"] == "Apache-2.0"
        assert project["requires-python"] == ">=3.11,<3.14"
        names = {re.split(r"[^\w-]", needed)[0] for needed in project["dependencies"]}
        if "entry-points" in project:  # else it is a library, which may be of use without mlpipe
            assert "mlpipe-framework" in names
        assert member["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [
            f"mlpipe_{name}"
        ]


def test_each_entry_point_is_named_as_its_folder(members: dict[str, dict[str, Any]]) -> None:
    for name, member in members.items():
        points = member["project"].get("entry-points", {})
        assert points.get("mlpipe", {name: f"mlpipe_{name}"}) == {name: f"mlpipe_{name}"}


def test_the_tools_know_each_plugin(
    root: dict[str, Any], members: dict[str, dict[str, Any]]
) -> None:
    tool = root["tool"]
    packages = {f"mlpipe_{name}" for name in members}
    contracts = {contract["id"]: contract for contract in tool["importlinter"]["contracts"]}
    plugins = {
        f"mlpipe_{name}"
        for name, member in members.items()
        if "mlpipe" in member["project"].get("entry-points", {})
    }
    assert set(tool["uv"]["sources"]) == {
        "mlpipe-framework",
        *(f"mlpipe-framework-{name}" for name in members),
    }
    sources = {"framework", *(f"plugins/{name}" for name in members)}
    assert set(tool["mypy"]["mypy_path"]) == {*sources, "recipes/service"}  # users' sources
    assert set(tool["importlinter"]["root_packages"]) == {"mlpipe", *packages}
    assert set(contracts["core"]["forbidden_modules"]) == packages
    assert set(contracts["plugins"]["modules"]) == plugins
    assert set(contracts["public"]["source_modules"]) == packages


def test_the_core_depends_on_little(root: dict[str, Any]) -> None:
    names = {re.split(r"[<>=!]", text)[0] for text in root["project"]["dependencies"]}
    assert names == {"packaging", "pluggy", "pydantic", "pyyaml", "rich", "typer"}


def test_packages_say_that_they_are_typed(
    repository: Path, members: dict[str, dict[str, Any]]
) -> None:
    folders = [repository / "framework" / "mlpipe"]
    folders += [repository / "plugins" / name / f"mlpipe_{name}" for name in members]
    assert [str(folder) for folder in folders if not (folder / "py.typed").is_file()] == []


# -- pip, without uv ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an empty environment with pip."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True, symlinks=True)
    return folder / "bin" / "python"


def test_pip_installs_a_working_core_with_no_plugin(
    bare: Path, repository: Path, tmp_path: Path
) -> None:
    command = (bare, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*command, "-c", "constraints.txt", ".", cwd=repository)
    installed = bare.with_name("mlpipe")
    assert run(installed, "--version", cwd=tmp_path) == f"mlpipe {mlpipe.__version__}\n"
    listed = run(installed, "plugins", "list", cwd=tmp_path)
    assert [line.split()[0] for line in listed.splitlines()] == ["python", "shell"]
    (tmp_path / "hello.yaml").write_text(
        'stages: {greet: {uses: shell.prepare, with: {command: "echo hello"}}}\n'
    )
    run(installed, "run", "hello", cwd=tmp_path)
    assert "cached" in run(installed, "plan", "hello", cwd=tmp_path)


@pytest.mark.slow
def test_pip_resolves_everything_without_backtracking(bare: Path, repository: Path) -> None:
    plugins = [f"./{path.relative_to(repository)}" for path in repository.glob("plugins/*/")]
    pip = (bare, "-m", "pip", "install", "--disable-pip-version-check")
    # The build backend once, and not in an environment of each distribution's own.
    run(*pip, "--quiet", "hatchling", cwd=repository)
    command = (*pip, "--dry-run", "--no-build-isolation")
    output = run(*command, "-c", "constraints.txt", ".", *sorted(plugins), cwd=repository)
    assert "This could take a while" not in output
    assert "multiple versions" not in output
    would_install = output.rsplit("Would install", 1)[1]
    for name in ("mlflow-3", "dvc-3", "mlpipe-framework-0.1.0", "mlpipe-framework-endpoint-0.1.0"):
        assert name in would_install
