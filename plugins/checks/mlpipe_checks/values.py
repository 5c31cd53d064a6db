"""What tools find, and what became of a tool."""

from dataclasses import dataclass, field
from enum import IntEnum


class Severity(IntEnum):
    """How bad a finding is."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The severity as recipes and reports write it."""
        return self.name.lower()


def severity(word: str) -> Severity:
    """Give the severity of a word, as ``high``; ``KeyError`` where it is none."""
    return Severity[word.upper()]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a tool found wrong.

    Attributes:
        tool: Who found it.
        rule: The tool's name for what is wrong, as ``F401``.
        severity: How bad it is.
        message: What is wrong, in a line.
        path: The file, relative to the folder that was checked; empty where there is none.
        line: From 1; 0 where there is none.
        column: The same.
        help: An address that says more.
    """

    tool: str
    rule: str
    severity: Severity
    message: str
    path: str = ""
    line: int = 0
    column: int = 0
    help: str = ""

    @property
    def place(self) -> str:
        """File and line, as editors take them."""
        return f"{self.path}:{self.line}" if self.line else self.path


class Trouble(Exception):
    """A tool could not do its work, which is not a finding.

    Args:
        what: What happened.
        fix: What to do about it.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what, fix)
        self.what = what
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Tests:
    """How unit tests went.

    Attributes:
        total: How many there are.
        failed: How many failed, errors included.
        skipped: How many were not run.
        junit: The JUnit XML that said so.
    """

    total: int
    failed: int
    skipped: int
    junit: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a tool gave.

    Attributes:
        findings: What is wrong.
        tests: Of unit tests, where the command wrote JUnit XML.
        coverage: Of unit tests, in percent, where it was measured.
    """

    findings: tuple[Finding, ...] = ()
    tests: Tests | None = None
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a tool.

    Attributes:
        tool: Its name.
        version: That ran; empty where that is not known.
        seconds: How long it took.
        given: What it found; ``None`` where it could not do its work.
        trouble: Why it could not.
    """

    tool: str
    version: str
    seconds: float
    given: Findings | None = None
    trouble: Trouble | None = None
