"""What a recipe says to ``git.checkout``."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from mlpipe import Declares, InputFile, SecretName, StageConfig

_SCHEMES = ("https", "http", "ssh", "file")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: ``user@host:path``, which is SSH too.
_SCP = re.compile(r"^(?:[\w.+-]+@)?[\w.-]+:(?!//)\S+$")

#: What ``git.checkout`` gives beside the sources.
VALUES = ("commit", "short", "ref", "date", "tag", "version", "dirty")


def _repository(value: str) -> str:
    if not value or value.startswith("-") or "::" in value:
        raise ValueError(f'"{value}" is no repository: give a URL, or a folder')
    if "://" in value:
        parts = urlsplit(value)
        if parts.scheme not in _SCHEMES:
            raise ValueError(f"{parts.scheme}: is not supported, as {', '.join(_SCHEMES)} are")
        if parts.password is not None or (parts.scheme != "ssh" and parts.username is not None):
            raise ValueError(
                "credentials do not belong in a URL: name the secret that holds them, as "
                "token: GIT_TOKEN"
            )
    return value


def _ref(value: str) -> str:
    if value.startswith("-") or re.search(r"[\s~^:?*\[\\]|\.\.|@\{", value):
        raise ValueError(f'"{value}" is no branch, tag or commit')
    return value


def _folder(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or ".git" in path.parts:
        raise ValueError(f'"{value}" is no folder of the repository')
    return "" if value in (".", "") else path.as_posix()


class CheckoutConfig(StageConfig):
    """Bring in the sources of one exact commit of a Git repository."""

    repository: Annotated[str, AfterValidator(_repository)] = Field(
        default=".",
        description="A URL (https, ssh, file, or user@host:path), or a folder on this machine, "
        "relative to the project's.",
    )
    ref: Annotated[str, AfterValidator(_ref)] = Field(
        default="",
        description="A branch, a tag or a commit. When left out: what is checked out in a folder, "
        "the default branch of a URL.",
    )
    folder: Annotated[str, AfterValidator(_folder)] = Field(
        default="", description="A folder of the repository; the rest is left out."
    )
    submodules: bool = Field(default=False, description="Whether to bring in submodules.")
    depth: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="How many commits of history to fetch; all when left out. The version is "
        "counted from tags that are found in it.",
    )
    dirty: Literal["refuse", "include"] = Field(
        default="refuse",
        description="What to do with changes in a folder that are not committed, where no ref "
        "is given.",
    )
    token: SecretName | None = Field(
        default=None, description="The secret that holds the password or token, for https."
    )
    username: str = Field(default="git", description="Who the token is of, for https.")
    ssh_key: SecretName | None = Field(
        default=None, description="The secret that holds a private key, for ssh."
    )
    known_hosts: InputFile | None = Field(
        default=None, description="A file with the hosts' keys, for ssh; the user's if left out."
    )

    @model_validator(mode="after")
    def _credentials_fit(self) -> Self:
        parts = urlsplit(self.repository)
        if self.token is not None and parts.scheme not in ("https", "http"):
            raise ValueError("token: is for https; give ssh_key for ssh")
        if self.token is not None and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("token: would be readable by all on the way; use https")
        if self.ssh_key is not None and not self.is_ssh:
            raise ValueError("ssh_key: is for ssh, and the repository is none of those")
        return self

    @property
    def is_ssh(self) -> bool:
        """Whether the repository is reached by SSH."""
        return self.repository.startswith("ssh://") or (
            "://" not in self.repository and bool(_SCP.match(self.repository))
        )

    @property
    def is_folder(self) -> bool:
        """Whether the repository is a folder of this machine, by its path."""
        return "://" not in self.repository and not self.is_ssh

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """The sources, and what is known of the commit."""
        return Declares(outputs=("source",), metrics=(), values=VALUES)
