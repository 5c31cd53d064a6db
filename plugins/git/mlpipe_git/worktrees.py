"""The files of a work tree that are not committed."""

from pathlib import Path

from mlpipe_git.git import Git

#: What runs themselves write: no change of the sources.
_OURS = (":(exclude,glob)**/mlpipe.lock", ":(exclude,glob)**/.mlpipe/**")


def changes(git: Git, top: Path) -> list[str]:
    """List files that differ from the commit, new ones included and ignored ones not."""
    if git.run("rev-parse", "--is-bare-repository", folder=top).strip() == "true":
        return []
    listed = git.run(
        *(
            "status",
            "--porcelain",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            "--",
            ".",
            *_OURS,
        ),
        folder=top,
        GIT_OPTIONAL_LOCKS="0",
    )
    return [entry[3:] for entry in listed.split("\0") if entry]


def tree_of(git: Git, top: Path, scratch: Path) -> str:
    """Make a tree of the files as they are, without a change to the repository.

    Args:
        git: Git.
        top: The work tree's.
        scratch: A folder whose ``objects`` gets what the repository does not have.

    Returns:
        The tree's hash.
    """
    variables = elsewhere(git, top, scratch)
    git.run("read-tree", "HEAD", folder=top, **variables)
    git.run("add", "--all", "--", ".", *_OURS, folder=top, **variables)
    return git.run("write-tree", folder=top, **variables).strip()


def elsewhere(git: Git, top: Path, scratch: Path) -> dict[str, str]:
    """Give the variables by which Git writes objects and index to a folder of ours."""
    objects = scratch / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    return {
        "GIT_INDEX_FILE": str(scratch / "index"),
        "GIT_OBJECT_DIRECTORY": str(objects),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects_of(git, top)),
    }


def objects_of(git: Git, repository: Path) -> Path:
    """Give the folder of a repository's objects."""
    place = git.run("rev-parse", "--git-path", "objects", folder=repository).rstrip("\n")
    return repository / place
