"""What a recipe says to ``checks.check``."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, Field, model_validator

from mlpipe import Declares, Duration, SecretName, StageConfig
from mlpipe_checks.toolconfig import Block, Quality, Security, Tool, Within

#: The input that holds what is checked.
SOURCE = "source"
#: The name of unit tests among tools.
UNIT = "unit"
#: Without a level of its own, a tool has that of this name.
DEFAULT = "default"

Level = Literal["low", "medium", "high", "critical", "never"]
_RESERVED = (DEFAULT, "failing", "known")
LEVELS = ("low", "medium", "high", "critical")


def _specifier(value: str) -> str:
    """Read ``0.14.*`` and ``==0.14.*`` as the same."""
    wanted = f"=={value}" if value[:1].isdigit() else value
    try:
        SpecifierSet(wanted)
    except InvalidSpecifier:
        raise ValueError(f'"{value}" is no version: write 0.14.2, 0.14.* or >=0.14,<0.16') from None
    return wanted


def is_pytest(command: list[str]) -> bool:
    """Tell whether a command is pytest itself."""
    return PurePosixPath(command[0]).name == "pytest"


class Coverage(Block):
    """How much of the code the unit tests must run."""

    minimum: Annotated[float, Field(ge=0, le=100)] | None = Field(
        default=None, description="Percent; below it the stage misses its gate."
    )
    of: list[str] = Field(
        default=[], description="Packages or folders to measure; the folder when left out."
    )
    branch: bool = Field(default=False, description="Whether branches count, beside lines.")
    report: Within | None = Field(
        default=None,
        description="A Cobertura XML that the command writes itself; else coverage.py measures.",
    )


class Unit(Block):
    """A command that runs unit tests."""

    command: Annotated[list[str], Field(min_length=1)] = Field(
        default=["pytest", "-q"], description="The program and its arguments."
    )
    junit: Within | None = Field(
        default=None, description="The JUnit XML that the command writes; pytest is told to."
    )
    coverage: Coverage | None = Field(default=None, description="Whether to measure coverage.")
    secrets: list[SecretName] = Field(
        default=[], description="Secrets of the stage's that the tests get; none when left out."
    )
    timeout: Duration | None = Field(default=None, description="How long it may take.")

    @model_validator(mode="after")
    def _can_measure(self) -> Self:
        measured = self.coverage is not None and self.coverage.report is None
        if measured and not is_pytest(self.command):
            raise ValueError(
                "coverage is measured of pytest only: have the command write a Cobertura XML, "
                "and name it, as coverage: {report: coverage.xml}"
            )
        return self

    @property
    def counts(self) -> bool:
        """Whether it says how many tests there are."""
        return self.junit is not None or is_pytest(self.command)


class CheckConfig(StageConfig):
    """Test sources: unit tests, quality and security, side by side and in one report."""

    folder: Within | None = Field(
        default=None,
        description="The project's folder to check, as . for all of it, where no input source "
        "is given.",
    )
    unit: Unit | None = Field(default=None, description="The unit tests.")
    quality: list[Quality] = Field(default=[], description="Tools that look at quality.")
    security: list[Security] = Field(default=[], description="Tools that look at security.")
    fail_on: Level | dict[str, Level] = Field(
        default="medium",
        description="From which severity on a finding fails the stage: of all tools, or by tool, "
        "with default for the others.",
    )
    baseline: Within | None = Field(
        default=None,
        description="A file of known findings, which fail nothing: mlpipe checks baseline "
        "writes it.",
    )
    versions: dict[str, Annotated[str, AfterValidator(_specifier)]] = Field(
        default={}, description="Versions that tools must have, as ruff: 0.14.*"
    )
    timeout: Duration = Field(default=600.0, description="How long each tool may take.")

    @model_validator(mode="after")
    def _fit(self) -> Self:
        names = self.names
        if not names:
            raise ValueError("nothing to check: give unit, quality or security")
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f'two tools are called "{twice}": give commands a name')
        if taken := next((name for name in names if name in (*LEVELS, *_RESERVED)), ""):
            raise ValueError(f'"{taken}" cannot be a tool\'s name: give the command another')
        levels = self.fail_on if isinstance(self.fail_on, dict) else {}
        for name in (*self.versions, *(key for key in levels if key != DEFAULT)):
            if name not in names:
                raise ValueError(f'"{name}" is no tool of this stage: {", ".join(names)}')
        return self

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What is run beside the unit tests."""
        return (*self.quality, *self.security)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that is run."""
        unit = (UNIT,) if self.unit else ()
        return (*unit, *(tool.label for tool in self.tools))

    def level(self, tool: str) -> str:
        """Say from which severity on a tool's findings fail the stage."""
        if isinstance(self.fail_on, dict):
            return self.fail_on.get(tool, self.fail_on.get(DEFAULT, "medium"))
        return self.fail_on

    def sources(self) -> tuple[str, ...]:
        """Name the baseline, which may not be there yet."""
        return (self.baseline,) if self.baseline else ()

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """The reports, and counts of what was found."""
        if (SOURCE in inputs) == (self.folder is not None):
            raise ValueError(
                "say what to check, in one way: inputs: {source: STAGE.OUTPUT}, or "
                "with: {folder: .} for the project's own"
            )
        return Declares(
            outputs=("sarif", "junit", "page"), metrics=self._metrics(), values=("tools",)
        )

    def _metrics(self) -> tuple[str, ...]:
        names = [
            "findings",
            "findings.failing",
            "findings.known",
            *(f"findings.{level}" for level in LEVELS),
        ]
        names += [f"findings.{name}" for name in self.names]
        if self.unit and self.unit.counts:
            names += ["tests", "tests.failed", "tests.skipped"]
        if self.unit and self.unit.coverage:
            names.append("coverage")
        return tuple(names)
