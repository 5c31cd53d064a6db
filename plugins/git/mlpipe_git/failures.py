"""What it means when Git fails."""

import re

from mlpipe.errors import StageError
from mlpipe_git.git import GitFailed

#: Patterns of what Git says, the fault, and what to do.
_MEANINGS = (
    (
        ("Authentication failed", "could not read (Username|Password)", "error: 40[13]"),
        "the server does not let us in",
        (
            "Name the secret with a token that may read it: token: GIT_TOKEN, and secrets: "
            "[GIT_TOKEN]. One that was right before may have expired."
        ),
    ),
    (
        ("Host key verification failed",),
        "the server's SSH key is not known",
        "Give a file with it: known_hosts: known_hosts, made by ssh-keyscan and checked.",
    ),
    (
        (r"Permission denied \(", "Load key"),
        "the server does not let us in by SSH",
        (
            "Name the secret with a private key that may read it: ssh_key: DEPLOY_KEY, or load the "
            "key into the SSH agent."
        ),
    ),
    (
        ("Could not resolve host", "Connection refused", "Failed to connect", "timed out"),
        "the server cannot be reached",
        "Look at the address and the network, then run the recipe again.",
    ),
    (
        ("not appear to be a git repo", "not a git repo", "epository .*not found", "not exist"),
        "there is no Git repository",
        "Look at the address, and at whether you may see it.",
    ),
    (("No space left",), "the disk is full", "Make room, then run the recipe again."),
)


def explained(error: GitFailed, repository: str) -> StageError:
    """Say what a failure means, with Git's own words."""
    said = _telling(error.said)
    for patterns, fault, fix in _MEANINGS:
        if any(re.search(pattern, error.said) for pattern in patterns):
            return StageError(f"{fault}: {said}", where=repository, fix=fix)
    return StageError(f"git {error.command} failed: {said}", where=repository)


def _telling(said: str) -> str:
    """Give the line that says most."""
    lines = [line for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:"))]
    text = (telling or lines or ["no reason given"])[0]
    return text.removeprefix("fatal: ").removeprefix("error: ").rstrip(".")
