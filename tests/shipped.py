"""What the repository ships, in a project of its own, as a user runs it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass
class Shipped:
    """A project of a user's.

    Attributes:
        root: Its folder.
        environment: Variables that commands get beside this process's own.
    """

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def take(self, source: str, place: str = ".") -> None:
        """Copy a folder of the repository here."""
        shutil.copytree(
            REPOSITORY / source,
            self.root / place,
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project, with this environment's programs."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "AWS_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return subprocess.run(
            arguments,
            cwd=self.root,
            env={**kept, "PATH": path, "GIT_CONFIG_GLOBAL": "/dev/null", **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def succeed(self, *arguments: str) -> str:
        """Run a command, which must succeed; give its standard output."""
        done = self.command(*arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def mlpipe(self, *arguments: str) -> str:
        """Run ``mlpipe``, which must succeed; give its standard output."""
        return self.succeed(sys.executable, "-m", "mlpipe", *arguments)

    def run(self, recipe: str, *arguments: str) -> dict[str, str]:
        """Run a recipe; give how each stage ended."""
        lines = self.mlpipe("run", recipe, "--json", *arguments).splitlines()
        events = [json.loads(line) for line in lines]
        return {e["name"]: e["state"] for e in events if e["event"] == "stage_finished"}

    def git(self, *arguments: str) -> str:
        """Run git, which must succeed; give its standard output."""
        who = ("-c", "user.name=reader", "-c", "user.email=reader@example.com")
        return self.succeed("git", *who, *arguments)
