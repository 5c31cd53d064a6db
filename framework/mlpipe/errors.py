"""Every error a user can meet: what happened, where, and how to fix it."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the ``mlpipe`` process returns. Scripts may rely on these numbers."""

    OK = 0
    #: A stage failed, or a command could not do what it was asked.
    FAILED = 1
    #: The recipe, the command line or the project has a problem. Nothing was run.
    USAGE = 2
    #: Every stage that ran succeeded, but a metric missed its gate.
    GATE = 3
    #: A fault of mlpipe itself.
    INTERNAL = 70
    #: Stopped by Ctrl-C or SIGTERM; the same command continues.
    INTERRUPTED = 130


class MlpipeError(Exception):
    """The base of all errors that mlpipe raises on purpose.

    The command line shows them without a traceback.
    """

    exit_code = ExitCode.FAILED


class UserError(MlpipeError):
    """Something the user can put right.

    Args:
        what: What is wrong, one sentence, without a full stop.
        where: The file, stage or setting concerned; shown in front.
        fix: What to do about it, one or more sentences.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what, where, fix)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n   {self.fix}" if self.fix else head


class StageError(UserError):
    """A stage cannot do its work; fails this attempt (and may be retried)."""

    exit_code = ExitCode.FAILED


class GateMissed(StageError):
    """What a stage looked at misses a bound of the stage's own, as bad data does.

    The stage ends as one that misses a gate of the recipe: nothing it made is kept but what
    ``stage.keep()`` was given, ``gate_failed`` is told, and it is not retried.

    Args:
        what: What is wrong, a line for each failure.
        metric: What was measured.
        bound: What it is held against, as ``<= 0``.
        value: What it is.
        where: The file, column or setting concerned.
        fix: What to do about it.
    """

    exit_code = ExitCode.GATE

    def __init__(
        self,
        what: str,
        *,
        metric: str,
        bound: str,
        value: float,
        where: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.metric = metric
        self.bound = bound
        self.value = value


class StoreError(UserError):
    """The state in ``.mlpipe/`` cannot be read or written."""

    exit_code = ExitCode.FAILED
