"""Having a commit on this machine: a repository of our own for each that is elsewhere."""

import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpipe import Stage
from mlpipe_git.config import CheckoutConfig
from mlpipe_git.git import Git, GitFailed
from mlpipe_git.revisions import place_of

_UNKNOWN = ("not our ref", "unadvertised object", "couldn't find remote ref")


def repository(git: Git, config: CheckoutConfig, stage: Stage, commit: str) -> Path:
    """Give a repository that has a commit, with its history and tags.

    A folder is used where it is; of others there is a copy in the project's ``.mlpipe/git``,
    which each checkout adds to.

    Raises:
        GitFailed: The commit cannot be fetched.
    """
    if config.is_folder:
        return Path(place_of(config, stage))
    name = hashlib.sha256(config.repository.encode()).hexdigest()[:16]
    home = stage.state_dir / "git" / name
    with _locked(home):
        try:
            _fetch(git, config, home, commit)
        except GitFailed as error:
            if "corrupt" not in error.said and "bad object" not in error.said:
                raise
            shutil.rmtree(home)
            _fetch(git, config, home, commit)
    return home


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for left in home.rglob("*.lock"):  # of a fetch that was killed
            left.unlink()
        yield


def _fetch(git: Git, config: CheckoutConfig, home: Path, commit: str) -> None:
    git.run("init", "--quiet", "--bare", str(home))
    depth = ["--depth", str(config.depth)] if config.depth is not None else []
    if not depth and (home / "shallow").exists():
        depth = ["--unshallow"]
    fetch = ("fetch", "--quiet", "--force", "--no-write-fetch-head", *depth)
    try:
        git.run(
            *fetch, "--tags", "--", config.repository, f"{commit}:refs/mlpipe/{commit}", folder=home
        )
    except GitFailed as error:
        if not any(each in error.said for each in _UNKNOWN):
            raise
        # Servers that give no commit by its hash give it as part of a branch.
        git.run(
            *fetch, "--tags", "--", config.repository, "+refs/heads/*:refs/heads/*", folder=home
        )
    git.run("cat-file", "-e", f"{commit}^{{commit}}", folder=home)
