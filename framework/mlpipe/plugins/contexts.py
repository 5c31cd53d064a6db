"""What hooks other than verbs are given besides their arguments."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlpipe.types import Release, Target


@dataclass(frozen=True)
class ObserverContext:
    """What an observer may use.

    Attributes:
        root: The project's folder.
        state_dir: ``.mlpipe``; runs' folders are at ``runs/<id>``.
        memory: Lives as long as the observers' process; the observer's own (clients, ids).
        report: Shows one line to the user, for what they should know (never for progress).
    """

    root: Path
    state_dir: Path
    memory: dict[str, Any] = field(default_factory=dict)
    report: Callable[[str], None] = print


@dataclass(frozen=True)
class RollbackContext:
    """What a rollback may use.

    Attributes:
        root: The project's folder.
        state_dir: ``.mlpipe``.
        target: Where the release was made.
        current: What the ledger says is in service, or ``None``.
        secrets: By name, those that the release's stage had.
    """

    root: Path
    state_dir: Path
    target: Target
    current: Release | None
    secrets: Mapping[str, str] = field(default_factory=dict)
