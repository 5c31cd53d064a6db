"""The store: one object over all that ``.mlpipe/`` holds."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlpipe.errors import StoreError
from mlpipe.store.artifacts import ArtifactStore
from mlpipe.store.database import Database
from mlpipe.store.digests import status
from mlpipe.store.files import FileIndex
from mlpipe.store.journal import Journal
from mlpipe.store.lockfile import LockFile
from mlpipe.store.releases import Releases
from mlpipe.store.results import Record, Results
from mlpipe.store.runs import Runs

STATE_DIR = ".mlpipe"


class Store:
    """A project's state.

    Args:
        root: The project's folder.
        read_only: Change nothing; what does not exist is read as empty.

    Raises:
        StoreError: The state cannot be opened.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root = root
        self.folder = root / STATE_DIR
        if not read_only:
            _make(self.folder)
        self.database = Database(self.folder / "state.db", read_only=read_only)
        self.runs = Runs(self.database)
        self.results = Results(self.database)
        self.files = FileIndex(self.database, root)
        self.journal = Journal(self.database)
        self.releases = Releases(self.database)
        self.artifacts = ArtifactStore(root, self.folder / "artifacts")
        self.lockfile = LockFile(root)

    def run_folder(self, run: str) -> Path:
        """Give the folder of a run's logs and reports."""
        return self.folder / "runs" / run

    def log(self, run: str, stage: str, attempt: int) -> Path:
        """Give the log of an attempt. It exists once the attempt has written something."""
        return self.run_folder(run) / f"{stage}.{attempt}.log"

    def kept(self, run: str, stage: str, attempt: int) -> list[str]:
        """Give the files that an attempt kept for people (``Stage.keep``), relative to the root."""
        folder = self.log(run, stage, attempt).with_suffix("")
        return sorted(path.relative_to(self.root).as_posix() for path in folder.glob("[!.]*"))

    def put_definitions(self, definitions: Mapping[str, Any]) -> None:
        """Keep what modules define, by the modules' digest, to name later what changed."""
        rows: list[tuple[object, ...]] = [(k, json.dumps(v)) for k, v in definitions.items()]
        if rows:
            self.database.write_many("INSERT OR IGNORE INTO modules VALUES (?, ?)", rows)

    def restore(self, record: Record, names: Iterable[str]) -> Record:
        """Put outputs of a result at their declared paths again; take in what is only there.

        Returns:
            The result with what is true of its outputs now.
        """
        outputs = dict(record.outputs)
        for name, output in record.outputs.items():
            if not output.stored or not output.place:
                continue
            stored = self.root / output.location
            if not stored.exists() and (self.root / output.place).exists():
                self.artifacts.adopt(self.root / output.place, output.digest)
            if name in names:
                self.artifacts.place(stored, output.place)
            outputs[name] = replace(
                output,
                status=status(stored) or "",
                place_status=status(self.root / output.place) or output.place_status,
            )
        return replace(record, outputs=outputs)

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        """Commit what is written inside at once; see ``Database.transaction``."""
        return self.database.transaction(durable=durable)

    def close(self) -> None:
        """Close the database."""
        self.database.close()


@contextmanager
def opened(root: Path, *, read_only: bool = False) -> Iterator[Store]:
    """Open a project's store for the length of a block.

    Raises:
        StoreError: The state cannot be opened, or turns out damaged within the block.
    """
    store = Store(root, read_only=read_only)
    try:
        yield store
    except sqlite3.Error as error:
        raise store.database.unusable(error) from error
    finally:
        store.close()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("# mlpipe's state: made anew or found again, never committed.\n*\n")
    except OSError as error:
        raise StoreError(
            f"cannot be made: {error.strerror or error}",
            where=str(folder),
            fix="mlpipe keeps its state there; make the project's folder writable.",
        ) from error
