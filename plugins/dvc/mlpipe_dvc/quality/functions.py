"""Checks that are functions of the project."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.quality.outcomes import Outcome

if TYPE_CHECKING:
    from pandas import DataFrame

#: More messages than this are counted and not kept.
_KEPT = 1000


class FunctionCheck:
    """Asks a function what is wrong. Of a table in batches it is asked batch by batch.

    Args:
        function: Takes a table, or paths by name; returns a list of messages, or raises.
        label: How users know it.
    """

    def __init__(self, function: Callable[..., object], label: str) -> None:
        self.label = label
        self._function = function
        self._messages: list[tuple[str, str]] = []
        self._unkept = 0
        self._total = 0

    def add(self, batch: DataFrame, where: str) -> None:
        """Ask of a batch; a copy is all that the function can change.

        Args:
            batch: Its index counts the table's rows from 0.
            where: Which rows it holds, in words.
        """
        self._keep(self._ask(batch.copy()), where)
        self._total += len(batch)

    def add_files(self, files: Mapping[str, Path]) -> None:
        """Ask of files, which the function is given by name."""
        self._keep(self._ask(dict(files)), "")
        self._total += len(files)

    def _keep(self, messages: list[str], where: str) -> None:
        room = _KEPT - len(self._messages)
        self._messages += [(message, where) for message in messages[:room]]
        self._unkept += len(messages[room:])

    def _ask(self, data: object) -> list[str]:
        try:
            found = self._function(data)
        except Exception as error:  # a check may say that something is wrong by raising anything
            return [f"{type(error).__name__}: {error}" if str(error) else type(error).__name__]
        if found is None:
            return []
        if not isinstance(found, (list, tuple)) or not all(isinstance(each, str) for each in found):
            raise StageError(
                f"returned {type(found).__name__}, not a list of messages",
                where=self.label,
                fix="Return what is wrong, one text each; an empty list when nothing is.",
            )
        return list(found)

    def outcomes(self, batches: int) -> list[Outcome]:
        """Give each message as a failure, or that there was none.

        Args:
            batches: How many there were; of one, nobody wants to know where it was.
        """
        if not self._messages:
            return [Outcome(self.label, "", "nothing wrong", True, self._total)]
        texts = [
            f"{message} (in {where})" if batches > 1 else message
            for message, where in self._messages
        ]
        if self._unkept:
            texts.append(f"and {self._unkept:,} more messages")
        return [Outcome(self.label, "", text, False, self._total) for text in texts]
