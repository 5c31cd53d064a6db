"""Bringing in the files of a revision."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from mlpipe import Stage, StageResult
from mlpipe.errors import StageError
from mlpipe_git import fetching, versions
from mlpipe_git.config import CheckoutConfig
from mlpipe_git.failures import explained
from mlpipe_git.git import Git, GitFailed, git_of
from mlpipe_git.revisions import Revision, place_of, resolve
from mlpipe_git.worktrees import objects_of, tree_of


def run(config: CheckoutConfig, stage: Stage) -> StageResult:
    """Check out the revision that the plan names.

    Raises:
        StageError: It cannot be had, or is not all there.
    """
    git = git_of(config, stage)
    try:
        revision = _planned(config, stage) or resolve(config, stage)
        repository = fetching.repository(git, config, stage, revision.commit)
        work = _work_tree(git, config, stage, repository, revision)
        _check_clean(git, work, revision)
        known = versions.describe(git, repository, revision.commit)
    except GitFailed as error:
        raise explained(error, config.repository) from error
    output = stage.output("source")
    _bare(work)
    os.replace(_within(work, config), output)
    shutil.rmtree(work, ignore_errors=True)
    values = {
        "commit": revision.commit,
        "short": revision.commit[:12],
        "ref": revision.ref,
        "date": known.date,
        "tag": known.tag,
        "version": known.version,
        "dirty": bool(revision.tree),
    }
    return StageResult(outputs={"source": output}, values=values, summary=_summary(revision, known))


def _summary(revision: Revision, known: versions.Known) -> str:
    name = revision.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    parts = [revision.commit[:12], name, known.tag if known.tag != name else ""]
    return " · ".join(filter(None, [*parts, "with changes" if revision.tree else ""]))


def _planned(config: CheckoutConfig, stage: Stage) -> Revision | None:
    commit = stage.identities.get("commit")
    if commit is None:
        return None
    ref = config.ref if config.ref != commit else ""
    return Revision(commit, ref, stage.identities.get("tree", ""))


def _work_tree(
    git: Git, config: CheckoutConfig, stage: Stage, repository: Path, revision: Revision
) -> Path:
    work = stage.scratch / "work"
    shutil.rmtree(work, ignore_errors=True)
    git.run("init", "--quiet", str(work))
    # Its objects are the other's: nothing is copied.
    alternates = work / ".git" / "objects" / "info" / "alternates"
    alternates.write_text(f"{objects_of(git, repository)}\n")
    git.run("checkout", "--quiet", "--force", "--detach", revision.commit, folder=work)
    if revision.tree:
        _take_along(git, stage, repository, work, revision)
    if config.submodules:
        _submodules(git, config, stage, work)
    return work


def _take_along(git: Git, stage: Stage, repository: Path, work: Path, revision: Revision) -> None:
    if tree_of(git, repository, stage.scratch) != revision.tree:
        raise StageError(
            "files were changed after the run was planned",
            where=str(repository),
            fix="Run the recipe again.",
        )
    more = str(stage.scratch / "objects")
    git.run(
        *("read-tree", "--reset", "-u", revision.tree),
        folder=work,
        GIT_ALTERNATE_OBJECT_DIRECTORIES=more,
    )


def _submodules(git: Git, config: CheckoutConfig, stage: Stage, work: Path) -> None:
    origin = place_of(config, stage)
    with suppress(GitFailed):  # a folder without one is its own
        if config.is_folder:
            origin = git.run("config", "remote.origin.url", folder=Path(origin)).strip()
    git.run("config", "remote.origin.url", origin, folder=work)
    local = config.is_folder or config.repository.startswith("file:")
    allowed = ["-c", "protocol.file.allow=always"] if local else []
    shallow = ["--depth", str(config.depth)] if config.depth is not None else []
    git.run(
        *allowed, "submodule", "--quiet", "update", "--init", "--recursive", *shallow, folder=work
    )


def _check_clean(git: Git, work: Path, revision: Revision) -> None:
    if revision.tree:
        return
    if left := git.run("status", "--porcelain", folder=work).strip():
        raise StageError(
            f"the files are not those of commit {revision.commit[:12]}: {left.splitlines()[0]}",
            fix="A filter changes them, as of .gitattributes: is its program installed?",
        )


def _within(work: Path, config: CheckoutConfig) -> Path:
    wanted = work / config.folder
    if wanted.is_dir() and not wanted.is_symlink():
        return wanted
    folders = sorted(each.name for each in work.iterdir() if each.is_dir())
    raise StageError(
        f'the commit has no folder "{config.folder}"',
        where=config.repository,
        fix=f"Its folders: {', '.join(folders) or 'none'}.",
    )


def _bare(work: Path) -> None:
    """Leave the files only: what Git keeps beside them is not the same twice."""
    for folder, folders, files in os.walk(work):
        if ".git" in folders:
            folders.remove(".git")
            shutil.rmtree(Path(folder) / ".git")
        if ".git" in files:
            (Path(folder) / ".git").unlink()
