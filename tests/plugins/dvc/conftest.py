"""A project on disk, with or without Git, and its surroundings kept out."""

import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mlpipe import StageResult
from mlpipe.testing.stages import StageProbe, make_stage
from mlpipe_dvc import prepare
from mlpipe_dvc.config import PrepareConfig


@dataclass(frozen=True)
class Project:
    """A project's folder, which is also the working folder."""

    root: Path
    rows: ClassVar[str] = "id,age,label\n" + "".join(
        f"{n},{20 + n % 50},{n % 2}\n" for n in range(60)
    )

    def at(self, root: Path) -> "Project":
        """Give another project."""
        return Project(root)

    def module(self, code: str) -> str:
        """Write a module of a name that no other test uses."""
        name = f"part_{uuid.uuid4().hex}"
        self.write(f"{name}.py", textwrap.dedent(code))
        return name

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def stage(self) -> StageProbe:
        return make_stage(self.root, "prepare", name="data")

    def prepare(self, **settings: Any) -> StageResult:
        """Run the verb; reads rows.csv and writes data/ where nothing else is said."""
        settings = {"source": "rows.csv", "output": "data", **settings}
        return prepare(PrepareConfig.model_validate(settings), self.stage().stage)

    def dvc(self, *arguments: str) -> str:
        return _command(self.root, str(Path(sys.executable).with_name("dvc")), *arguments)

    def git(self, *arguments: str) -> str:
        return _command(self.root, "git", *arguments)

    def commit(self, message: str) -> str:
        """Commit everything that Git does not ignore, and give the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def files(self) -> dict[str, bytes]:
        """Every file that a user could commit or edit, with its bytes."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file()
            and "__pycache__" not in path.parts
            and not {".git", ".mlpipe"} & set(path.parts)
            if not {"tmp", "cache"} & set(path.parts) or ".dvc" not in path.parts
        }


def _command(folder: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of DVC and Git that are not those of whoever runs the tests."""
    folder = tmp_path / "surroundings"
    folder.mkdir()
    (folder / "gitconfig").write_text("[user]\nname = Test\nemail = test@example.org\n")
    for name in [name for name in os.environ if name.startswith(("GIT_", "DVC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(folder / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(folder / "dvc"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(folder / "dvc-system"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(folder / "dvc-site-cache"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    return folder


@pytest.fixture
def bare_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project without Git."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(root)
    project = Project(root)
    project.write("rows.csv", Project.rows)
    yield project
    for name in [name for name in sys.modules if name.startswith("part_")]:
        del sys.modules[name]


@pytest.fixture
def project(bare_project: Project) -> Project:
    """A project in Git, as the core leaves it: ``.mlpipe`` is ignored."""
    bare_project.git("init", "--quiet")
    bare_project.write(".mlpipe/.gitignore", "*\n")
    return bare_project
