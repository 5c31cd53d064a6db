"""The handle that a stage's code gets at run time."""

import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlpipe.errors import StageError
from mlpipe.types import Artifact, Target

_OUTPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Input:
    """An artifact of an earlier stage, as this stage sees it.

    Attributes:
        name: The input's name in this stage.
        artifact: What the earlier stage made.
        root: The project's folder, which relative locations start from.
    """

    name: str
    artifact: Artifact
    root: Path

    def path(self) -> Path:
        """Give a local path of the bytes. Read-only by convention: it may be a shared object.

        Raises:
            StageError: The artifact is not on this machine.
        """
        location = self.artifact.location
        scheme = urlsplit(location).scheme
        if len(scheme) > 1 and scheme != "file":
            raise StageError(
                f'input "{self.name}" is at {location}, which this stage cannot read as a file',
                fix="Use input.uri(), or run the stage on the target that made it.",
            )
        path = self.root / (urlsplit(location).path if scheme == "file" else location)
        if not path.exists():
            raise StageError(
                f'input "{self.name}" is no longer at {location}',
                fix="Run the recipe again: the stage that makes it will notice.",
            )
        return path

    def uri(self) -> str:
        """Give a URI of the bytes: the artifact's own, or a ``file:`` URI."""
        location = self.artifact.location
        return location if len(urlsplit(location).scheme) > 1 else self.path().resolve().as_uri()


@dataclass(frozen=True, slots=True)
class Stage:
    """One attempt of a stage: what it is given, where it writes, whom it tells.

    Attributes:
        name: The stage's name in the recipe.
        verb: The verb being called.
        recipe: The recipe's name.
        run: The run's identifier, or ``""`` while planning.
        attempt: 1 for the first.
        key: Idempotency key for side effects. The same after a crash of the runner, new when
            the stage is run anew. Lower-case letters, digits and hyphens, at most 40.
        root: The project's folder; also the working folder.
        state_dir: The project's ``.mlpipe`` folder. A plugin keeps what must outlive a
            stage in a folder of its own name below it.
        scratch: An empty folder of this attempt's own, removed after it.
        target: Where the recipe runs.
        params: The recipe's parameters that the stage's config names in ``parameters()``,
            by dotted name.
        inputs: By name.
        env: Variables that the recipe sets for the stage, for what it runs elsewhere; here they are
            set already.
        secrets: Values by name; only those that the stage's ``secrets:`` lists.
        identities: What ``resolve`` said, while planning, that outside inputs are, by name. A stage
            that uses these, and does not look again, does what the plan says. Empty where they
            are not known, as after ``--offline``.
    """

    name: str
    verb: str
    recipe: str
    run: str
    attempt: int
    key: str
    root: Path
    state_dir: Path
    scratch: Path
    target: Target
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Input] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    identities: Mapping[str, str] = field(default_factory=dict)
    _places: dict[str, str] = field(default_factory=dict, repr=False)
    _send: Callable[[str, dict[str, Any]], None] = field(
        default=lambda kind, payload: None, repr=False
    )

    def secret(self, name: str) -> str:
        """Give the value of a secret that the stage's settings name.

        Args:
            name: Its name.

        Raises:
            StageError: The stage's ``secrets:`` does not list it.
        """
        if name not in self.secrets:
            raise StageError(
                f"the secret {name} is not given to the stage",
                where=f"stages.{self.name}",
                fix=f"List it: secrets: [{name}]",
            )
        return self.secrets[name]

    def output(self, name: str, place: str | None = None, *, file: str | None = None) -> Path:
        """Give a path to write an output to: new, empty, its parents made.

        Return the path in ``StageResult.outputs``; on success it is digested, moved into the
        store and placed.

        Args:
            name: The output's name.
            place: Where the output belongs in the project, relative to its root; left out,
                the output lives in the store only.
            file: What the file or folder is called, extension included; the place's name, else
                the output's, when left out.
        """
        if not _OUTPUT_NAME.fullmatch(name):
            raise StageError(
                f'"{name}" cannot name an output',
                fix="Use letters, digits, _ and -, beginning with a letter.",
            )
        path = self.scratch / "outputs" / name / (file or (Path(place).name if place else name))
        path.parent.mkdir(parents=True, exist_ok=True)
        if place is not None:
            self._places[name] = os.path.normpath(place)
        return path

    @property
    def places(self) -> Mapping[str, str]:
        """Where outputs belong in the project, as told to ``output()``."""
        return self._places

    def keep(self, path: Path, name: str | None = None) -> Path:
        """Keep a file that people should see, whatever becomes of the stage.

        Reports and executed notebooks are kept so: they matter most when the stage fails. The
        file is copied at once, without the values of secrets, to the folder of the run's logs;
        observers are told of it as an artifact.

        Args:
            path: The file.
            name: What it is called there; its own name when left out.

        Returns:
            Where it is kept.
        """
        # The folder of the attempt's log, which ``Store.kept`` lists.
        folder = self.state_dir / "runs" / self.run / f"{self.name}.{self.attempt}"
        folder.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes()
        for value in filter(None, self.secrets.values()):
            data = data.replace(value.encode(), b"***")
        kept = folder / Path(name or path.name).name
        writing = folder / f".{secrets.token_hex(8)}"
        writing.write_bytes(data)
        writing.replace(kept)
        self._send("artifact", {"location": kept.relative_to(self.root).as_posix(), "kept": True})
        return kept

    def emit(self, kind: str, **payload: Any) -> None:
        """Tell the run's observers something; see the hook ``stage_event`` for kinds.

        Args:
            kind: What it is.
            payload: JSON values.
        """
        self._send(kind, payload)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Report metrics while the stage runs, live, to terminal and observers.

        Args:
            metrics: Numbers by name.
            step: The training step or epoch they belong to.
        """
        self._send("metrics", {"metrics": dict(metrics), "step": step, "time": time.time()})

    def log_dataset(self, name: str, artifact: Artifact, **facts: Any) -> None:
        """Report a data set that the stage reads or makes.

        Args:
            name: What people call it.
            artifact: Its bytes.
            facts: JSON values, as ``rows`` and ``columns``.
        """
        self._send(
            "dataset",
            {
                "name": name,
                "digest": artifact.digest,
                "location": artifact.location,
                "size": artifact.size,
                **facts,
            },
        )
