"""What it means when an engine fails."""

import re

from mlpipe.errors import StageError
from mlpipe_container.config import BuildConfig
from mlpipe_container.engines import EngineFailed, last_line

#: What is no error, though it stands last.
_NOISE = re.compile(r"^(-+|\s*\d+ \||>>>|DEPRECATED|Install the buildx|\s+https?://|\s*BuildKit)")
_LINE = re.compile(r"(?:parse error (?:on )?line |Dockerfile:|[Ll]ine )(\d+)")
_SYNTAX = re.compile(r"(?i)unknown instruction|unknown flag|parse error|no such instruction")
_NOT_COPIED = re.compile(r"(?:COPY|ADD) failed:.*|copier: stat: .*|failed to compute cache key.*")

#: Patterns of what engines say, the fault, and what to do.
_MEANINGS = (
    (
        ("no such host", "dial tcp", "connection refused", "i/o timeout", "TLS handshake"),
        "the registry cannot be reached",
        (
            "Look at its address and the network, then run the recipe again: what is there "
            "already is not sent twice."
        ),
    ),
    (
        ("unauthorized", "authentication required", "denied", "no basic auth", "403 Forbidden"),
        "the registry does not let us in",
        (
            "Log in again, as the token may have expired, or name a user who may: username: and "
            "password:."
        ),
    ),
    (
        (
            *("manifest unknown", "manifest for .* not found", "name unknown", "No such image"),
            *("image not known", "short-name .* did not resolve", "does not exist"),
        ),
        "there is no such image",
        "Look at its name, and at whether you may see it.",
    ),
    (("no space left",), "the disk is full", "Make room, then run the recipe again."),
    (
        ("Cannot connect to the Docker daemon", "Is the docker daemon running"),
        "Docker does not run any more",
        "Start it, then run the recipe again.",
    ),
)


def of_build(error: EngineFailed, config: BuildConfig) -> StageError:
    """Say what a failed build means, with the engine's own words."""
    if _SYNTAX.search(error.said):
        line = _LINE.search(error.said)
        where = f"{config.dockerfile}:{line.group(1)}" if line else config.dockerfile
        return StageError(f"the Dockerfile is wrong: {_telling(error.said)}", where=where)
    if missing := _NOT_COPIED.search(error.said):
        return StageError(
            f"a file that is copied is not there: {last_line(missing.group(0))}",
            where=config.dockerfile,
            fix="Look at its path in the sources, and at .dockerignore.",
        )
    return explained(error, config.dockerfile)


def explained(error: EngineFailed, where: str) -> StageError:
    """Say what a failure means, with the engine's own words."""
    said = _telling(error.said)
    for patterns, fault, fix in _MEANINGS:
        if any(re.search(pattern, error.said, re.IGNORECASE) for pattern in patterns):
            return StageError(f"{fault}: {said}", where=where, fix=fix)
    return StageError(f"{error.engine} {error.command} failed: {said}", where=where)


def _telling(said: str) -> str:
    """Give the line that says most: the last that is an error, or else the last."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not _NOISE.match(line)]
    errors = [line for line in lines if re.match(r"(?i)(error|fatal)", line)]
    text = (errors or lines or ["it does not say why"])[-1]
    return re.sub(r"^(?i:error)( response from daemon)?[: ]*", "", text).rstrip(".") or text
