"""Where a tool works, and how it runs commands there."""

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlpipe_checks import processes, programs
from mlpipe_checks.values import Trouble


@dataclass(frozen=True, slots=True)
class Bench:
    """A tool's place of work.

    Attributes:
        source: The folder that is checked.
        scratch: A folder of the tool's own, which is there.
        root: The project's folder.
        state: A folder for what a tool wants to find again in the next run.
        seconds: How long the tool may take.
        baseline: The name of the file of known findings; it is ours, and holds digests.
        variables: That the recipe sets for commands of the user's.
        secrets: That the recipe gives to unit tests.
    """

    source: Path
    scratch: Path
    root: Path
    state: Path
    seconds: float
    baseline: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def run(
        self,
        command: Sequence[str],
        *,
        fine: Collection[int] | None = (0, 1),
        variables: Mapping[str, str] | None = None,
    ) -> processes.Done:
        """Run a command in the folder that is checked, in an environment without secrets.

        Args:
            command: The program and its arguments.
            fine: Exit codes of a tool that did its work; any when ``None``.
            variables: Of its environment, beside those that all have.

        Raises:
            Trouble: It could not do its work.
        """
        home = self.scratch / "home"
        home.mkdir(exist_ok=True)
        environment = {**programs.environment(home), **(variables or {})}
        done = processes.run(
            command, folder=self.source, environment=environment, seconds=self.seconds
        )
        if fine is not None and done.code not in fine:
            raise Trouble(f"it ended with code {done.code}: {done.said}")
        return done

    def program(self, tool: str) -> str:
        """Give the path of a tool's program.

        Raises:
            Trouble: It is not installed.
        """
        return str(programs.find(programs.programs()[tool]))

    def own(self, command: Sequence[str]) -> list[str]:
        """Find the program of a command of the user's: in the folder, beside mlpipe, on the PATH.

        Raises:
            Trouble: There is none.
        """
        name = command[0]
        path = str(self.source / name) if "/" in name else programs.search_path()
        found = shutil.which(path) if "/" in name else shutil.which(name, path=path)
        if found is None:
            raise Trouble(
                f'there is no program "{name}"',
                "Install it, or write its path from the folder that is checked.",
            )
        return [found, *command[1:]]

    def relative(self, path: str) -> str:
        """Give a path as reports write it: from the folder that is checked."""
        whole = (self.source / path.removeprefix("file://")).resolve()
        source = self.source.resolve()
        return whole.relative_to(source).as_posix() if whole.is_relative_to(source) else path
