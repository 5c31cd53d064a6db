"""Each block of the README and of the documentation is run or checked, page by page."""

import ast
import doctest
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from tests.docs.blocks import Block, blocks_of, commands_of
from tests.engines import Engine, shell

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = (REPOSITORY / "README.md", *sorted(REPOSITORY.glob("framework/docs/**/*.md")))
#: Pages whose commands build and run containers.
NEEDS_ENGINE = ("services.md",)
LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass
class Session:
    """A page's project: an empty folder, and where its commands have gone to from there.

    Attributes:
        root: The folder.
        more: Variables of its commands' environment.
    """

    root: Path
    more: dict[str, str] = field(default_factory=dict)
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.root

    def write(self, block: Block) -> Path:
        """Make the file that a block is, or one of its own for a block without a title."""
        path = self.folder / (block.title or f"block-{block.line}.{block.language}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, "utf-8")
        return path

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command where the one before ended; output and errors come as one text."""
        here = self.root / ".folder"
        done = subprocess.run(
            ["bash", "-c", f"trap 'pwd >{here}' EXIT\n{command}"],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        self.folder = Path(here.read_text().strip())
        return done

    def environment(self) -> dict[str, str]:
        """What commands see: this environment's programs, a home and a Git identity."""
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root),
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "COLUMNS": "120",
            "GIT_AUTHOR_NAME": "reader",
            "GIT_AUTHOR_EMAIL": "reader@example.com",
            "GIT_COMMITTER_NAME": "reader",
            "GIT_COMMITTER_EMAIL": "reader@example.com",
            **self.more,
        }

    def close(self) -> None:
        """Stop the endpoints and services that the page's commands left up."""
        for state in self.root.rglob(".mlpipe/services/*/"):
            self.folder = state.parents[2]
            self.run(f"mlpipe container stop {state.name}")
        for state in self.root.rglob(".mlpipe/endpoints/*/"):
            self.folder = state.parents[2]
            self.run(f"mlpipe endpoint stop {state.name}")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    root = tmp_path / "page"
    root.mkdir()
    opened = Session(root)
    yield opened
    opened.close()


def check_console(block: Block, session: Session) -> None:
    commands = commands_of(block)
    for number, command in enumerate(commands, 1):
        done = session.run(command.text)
        wanted_code = block.exit_code if number == len(commands) else 0
        told = f"{block.where}: $ {command.text}\n{done.stdout}"
        assert done.returncode == wanted_code, f"{told}exit code {done.returncode}"
        if command.output.strip():
            matches = doctest.OutputChecker().check_output(command.output, done.stdout, LOOSELY)
            assert matches, f"{told}--- wanted\n{command.output}"


def check_yaml(block: Block, session: Session) -> None:
    value = yaml.safe_load(block.text)
    if block.fragment:
        assert is_fragment(value), f"{block.where}: no part of a recipe"
        return
    assert block.title or "stages" in value, f"{block.where}: neither a recipe nor a file"
    path = session.write(block)
    if "stages" in value:
        done = session.run(f"mlpipe plan --offline {path.relative_to(session.folder)}")
        assert done.returncode == 0, f"{block.where}:\n{done.stdout}"


def is_fragment(value: object) -> bool:
    """Whether this is some top-level keys of a recipe, some keys of a stage, or some stages."""
    from mlpipe.recipe.models import Recipe, StageSpec

    def within(keys: Mapping[str, object], model: type[Recipe] | type[StageSpec]) -> bool:
        return set(keys) <= {info.alias or name for name, info in model.model_fields.items()}

    if not isinstance(value, dict):
        return False
    stages = all(isinstance(item, dict) and within(item, StageSpec) for item in value.values())
    return within(value, Recipe) or within(value, StageSpec) or stages


def check_python(block: Block, session: Session) -> None:
    ast.parse(block.text, block.where)
    path = session.write(block)
    if not block.title:
        done = session.run(f"python {path.name}")
        assert done.returncode == 0, f"{block.where}:\n{done.stdout}"


def check_toml(block: Block, session: Session) -> None:
    settings = tomllib.loads(block.text)
    session.write(block)
    if block.title == "pyproject.toml":
        install(settings["project"], session.root)


def install(project: Mapping[str, Any], folder: Path) -> None:
    """Record a distribution and its entry points beside its modules, as an installer does."""
    name, version = project["name"].replace("-", "_"), project["version"]
    record = folder / f"{name}-{version}.dist-info"
    record.mkdir()
    needs = "".join(f"Requires-Dist: {text}\n" for text in project["dependencies"])
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    (record / "METADATA").write_text(head + needs)
    groups = [
        "\n".join([f"[{group}]", *(f"{point} = {value}" for point, value in points.items())])
        for group, points in project["entry-points"].items()
    ]
    (record / "entry_points.txt").write_text("\n".join(groups) + "\n")


def check_json(block: Block, session: Session) -> None:
    json.loads(block.text)
    session.write(block)


def check_text(block: Block, session: Session) -> None:
    assert not any(line.startswith("$ ") for line in block.text.splitlines()), (
        f"{block.where}: a block with commands is a console block"
    )


def check_dockerfile(block: Block, session: Session) -> None:
    assert block.title, f"{block.where}: which file is it?"
    session.write(block)


CHECKS: Mapping[str, Callable[[Block, Session], None]] = MappingProxyType(
    {
        "console": check_console,
        "dockerfile": check_dockerfile,
        "json": check_json,
        "python": check_python,
        "text": check_text,
        "toml": check_toml,
        "yaml": check_yaml,
    }
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_blocks(page: Path, session: Session, request: pytest.FixtureRequest) -> None:
    if page.name in NEEDS_ENGINE:
        engine: Engine = request.getfixturevalue("podman_engine")
        engine.load("docker.io/library/busybox:1.36", shell())  # nothing is downloaded
        session.more.update(engine.variables)
    for block in blocks_of(page):
        if block.reason:
            continue
        assert block.language in CHECKS, (
            f'{block.where}: no check for "{block.language}";'
            f" use {', '.join(CHECKS)}, or say why it is not run"
        )
        CHECKS[block.language](block, session)


# -- the runner itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ false\n```",
        "```console\n$ echo yes\nno\n```",
        "<!-- exit: 2 -->\n```console\n$ true\n```",
        "```console\nno command\n```",
        "```python\nraise SystemExit(1)\n```",
        '```python title="a.py"\n1 +\n```',
        "```toml\n[\n```",
        "```json\n{\n```",
        "```dockerfile\nFROM scratch\n```",
        "```yaml\nwhat: ever\n```",
        "<!-- fragment -->\n```yaml\nwhat: ever\n```",
        "```yaml\nstages: {a: {uses: shell.nothing}}\n```",
        "```text\n$ ls\n```",
        "```sh\nls\n```",
        "```\nls\n```",
        "- in a list\n\n  ```console\n  $ false\n  ```",
        "!!! note\n    ```console\n    $ false\n    ```",
    ],
)
def test_a_wrong_block_is_found(
    text: str, tmp_path: Path, session: Session, request: pytest.FixtureRequest
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises((AssertionError, ValueError, SyntaxError)):
        test_blocks(page, session, request)


def test_a_right_page_passes(
    tmp_path: Path, session: Session, request: pytest.FixtureRequest
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '```python title="code/one.py"\nprint("one")\n```\n'
        "```console\n$ cd code\n$ python \\\n    one.py\none\n$ ls -l\n...one.py\n```\n"
        "<!-- exit: 3 -->\n```console\n$ exit 3\n```\n"
        "<!-- not run: it would take all day -->\n```bash\nsleep 86400\n```\n"
    )
    test_blocks(page, session, request)
    assert [block.line for block in blocks_of(page)] == [1, 4, 13, 17]
