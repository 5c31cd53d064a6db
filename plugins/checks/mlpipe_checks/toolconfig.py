"""What a recipe says of a tool, and which tools there are."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from mlpipe import Duration, InputFile

#: Tools by the list that they stand in.
QUALITY = ("ruff-format", "ruff", "mypy")
SECURITY = ("bandit", "pip-audit", "detect-secrets", "hadolint", "licences")

Word = Literal["low", "medium", "high", "critical"]


def _within(value: str) -> str:
    path = PurePosixPath(value)
    if not value or path.is_absolute() or ".." in path.parts:
        raise ValueError(f'"{value}" is not within the folder')
    return path.as_posix()


#: A path, from the project's folder or from the one that is checked, and within it.
Within = Annotated[str, AfterValidator(_within)]


class Block(BaseModel):
    """Settings that know no other keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Tool(Block):
    timeout: Duration | None = Field(default=None, description="How long it may take.")

    @property
    def label(self) -> str:
        """What reports call it."""
        return str(getattr(self, "tool", ""))


class QualityTool(_Tool):
    """A tool that looks at quality."""

    tool: Literal["ruff-format", "ruff", "mypy"] = Field(description="Which tool.")
    paths: list[str] = Field(default=[], description="What to look at; all when left out.")
    args: list[str] = Field(default=[], description="Further arguments.")


class ScanTool(_Tool):
    """A tool that scans sources."""

    tool: Literal["bandit", "detect-secrets"] = Field(description="Which tool.")
    paths: list[str] = Field(default=[], description="What to look at; all when left out.")
    args: list[str] = Field(default=[], description="Further arguments.")


class HadolintTool(_Tool):
    """Looks at Dockerfiles."""

    tool: Literal["hadolint"] = Field(description="Which tool.")
    paths: list[Within] = Field(
        default=["**/Dockerfile", "**/Dockerfile.*", "**/*.Dockerfile"],
        description="Patterns of Dockerfiles.",
    )
    args: list[str] = Field(default=[], description="Further arguments.")


class AuditTool(_Tool):
    """Looks for known vulnerabilities of packages."""

    tool: Literal["pip-audit"] = Field(description="Which tool.")
    requirements: list[Within] = Field(
        default=[],
        description="Requirements files with exact versions; requirements.txt where there is "
        "one, else the packages that are installed.",
    )
    advisories: InputFile | None = Field(
        default=None,
        description="A folder of advisories in OSV's JSON, used instead of a service.",
    )
    service: Literal["pypi", "osv"] = Field(default="pypi", description="Whom to ask.")
    url: str | None = Field(default=None, description="Another address of the OSV service.")
    ignore: list[str] = Field(default=[], description="Advisories that do not count.")


def _licence(value: str) -> str:
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return canonicalize_license_expression(value)
    except InvalidLicenseExpression:
        raise ValueError(f'"{value}" is no SPDX identifier: https://spdx.org/licenses') from None


Licence = Annotated[str, AfterValidator(_licence)]


class LicencesTool(_Tool):
    """Looks at the licences of packages."""

    tool: Literal["licences"] = Field(description="Which tool.")
    requirements: list[Within] = Field(
        default=[],
        description="Requirements files that name packages, which must be installed; "
        "requirements.txt where there is one, else the packages that are installed.",
    )
    allow: list[Licence] = Field(default=[], description="SPDX identifiers that are fine.")
    deny: list[Licence] = Field(default=[], description="SPDX identifiers that are not.")
    ignore: list[str] = Field(default=[], description="Packages that do not count.")


SecurityTool = ScanTool | HadolintTool | AuditTool | LicencesTool


class CommandTool(_Tool):
    """Any command, judged by the SARIF that it writes or by its exit code."""

    command: list[str] = Field(min_length=1, description="The program and its arguments.")
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][\w.-]*$",
        description="What reports call it; the program's name when left out.",
    )
    sarif: Within | None = Field(
        default=None, description="The SARIF file that it writes, - for its output."
    )
    severity: Word = Field(default="high", description="Of an exit code other than 0.")

    @property
    def label(self) -> str:
        """What reports call it."""
        return self.name or PurePosixPath(self.command[0]).name


Tool = QualityTool | SecurityTool | CommandTool


def _reader(section: str, known: Sequence[str], other: Sequence[str]) -> Callable[[Any], Any]:
    """Give what turns a tool's name into its settings, and refuses others."""

    def read(value: Any) -> Any:
        entry = {"tool": value} if isinstance(value, str) else value
        if not isinstance(entry, Mapping) or "command" in entry:
            return entry
        name = entry.get("tool")
        if name in known:
            return entry
        if name in other:
            raise ValueError(f'"{name}" does not belong to {section}, whose tools are {_all()}')
        close = difflib.get_close_matches(str(name), known, n=1)
        asked = f" Did you mean {close[0]}?" if close else ""
        said = f'unknown tool "{name}".{asked}' if name is not None else "a tool without a name."
        raise ValueError(f"{said} Tools of {section}: {_all()}")

    def _all() -> str:
        return f"{', '.join(known)}, or {{command: […]}}"

    return read


def _kind(value: Any) -> str:
    given = value if isinstance(value, Mapping) else vars(value)
    return "command" if "command" in given else str(given.get("tool"))


_Command = Annotated[CommandTool, Tag("command")]

#: An entry of ``quality:``.
Quality = Annotated[
    Annotated[QualityTool, Tag("ruff-format")]
    | Annotated[QualityTool, Tag("ruff")]
    | Annotated[QualityTool, Tag("mypy")]
    | _Command,
    Discriminator(_kind),
    BeforeValidator(
        _reader("quality", QUALITY, SECURITY),
        json_schema_input_type=Literal["ruff-format", "ruff", "mypy"] | QualityTool | CommandTool,
    ),
]
#: An entry of ``security:``.
Security = Annotated[
    Annotated[ScanTool, Tag("bandit")]
    | Annotated[ScanTool, Tag("detect-secrets")]
    | Annotated[HadolintTool, Tag("hadolint")]
    | Annotated[AuditTool, Tag("pip-audit")]
    | Annotated[LicencesTool, Tag("licences")]
    | _Command,
    Discriminator(_kind),
    BeforeValidator(
        _reader("security", SECURITY, QUALITY),
        json_schema_input_type=Literal[
            "bandit", "pip-audit", "detect-secrets", "hadolint", "licences"
        ]
        | SecurityTool
        | CommandTool,
    ),
]
