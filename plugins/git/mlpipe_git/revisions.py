"""Which commit a repository and a ref are now."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_git.config import CheckoutConfig
from mlpipe_git.failures import explained
from mlpipe_git.git import Git, GitFailed, git_of
from mlpipe_git.worktrees import changes, tree_of

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-f]{4,63}")
_KINDS = ("refs/heads/", "refs/tags/")


@dataclass(frozen=True, slots=True)
class Revision:
    """One exact state of the sources.

    Attributes:
        commit: The commit's full hash.
        ref: The branch or tag that it was found by, in full; empty for a commit.
        tree: The tree of files that are not committed, where there are such.
    """

    commit: str
    ref: str = ""
    tree: str = ""

    def identities(self) -> dict[str, str]:
        """Give what the fingerprint is made of."""
        return {"commit": self.commit, **({"tree": self.tree} if self.tree else {})}


def place_of(config: CheckoutConfig, stage: Stage) -> str:
    """Give what Git takes as the repository: a URL, or an absolute path."""
    return (
        str((stage.root / config.repository).resolve()) if config.is_folder else config.repository
    )


def resolve(config: CheckoutConfig, stage: Stage) -> Revision:
    """Find the commit, read-only.

    Raises:
        StageError: There is no such ref, or the repository cannot be asked.
    """
    git = git_of(config, stage)
    try:
        if config.is_folder:
            return _in_folder(git, config, stage)
        if _COMMIT.fullmatch(config.ref):
            return Revision(config.ref)
        return _at(git, config)
    except GitFailed as error:
        raise explained(error, config.repository) from error


def _in_folder(git: Git, config: CheckoutConfig, stage: Stage) -> Revision:
    folder = Path(place_of(config, stage))
    if not folder.is_dir():
        raise StageError("there is no such folder", where=config.repository)
    top = _top(git, folder, config)
    if config.ref:
        known = {name: name for name in _refs(git.run("for-each-ref", folder=top))}
        full = _full(config.ref, known, config)
        return Revision(_commit(git, top, full or config.ref, known, config), full)
    head = _commit(git, top, "HEAD", {}, config)
    ref = git.run("rev-parse", "--symbolic-full-name", "HEAD", folder=top).strip()
    changed = changes(git, top)
    if changed and config.dirty == "refuse":
        raise _is_dirty(changed, config)
    tree = tree_of(git, top, stage.scratch) if changed else ""
    return Revision(head, "" if ref == "HEAD" else ref, tree)


def _top(git: Git, folder: Path, config: CheckoutConfig) -> Path:
    """Give the folder that Git starts from: a work tree's top, or a bare repository."""
    try:
        if git.run("rev-parse", "--is-bare-repository", folder=folder).strip() == "true":
            return folder
        return Path(git.run("rev-parse", "--show-toplevel", folder=folder).rstrip("\n"))
    except GitFailed as error:
        raise StageError(
            "this is no Git repository",
            where=config.repository,
            fix="Make it one: git init, git add and git commit. Or give another repository.",
        ) from error


def _commit(
    git: Git, top: Path, name: str, known: Mapping[str, str], config: CheckoutConfig
) -> str:
    try:
        return git.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", folder=top).strip()
    except GitFailed:
        if name == "HEAD":
            raise StageError(
                "the repository has no commit yet",
                where=config.repository,
                fix="Make one: git add and git commit.",
            ) from None
        raise _unknown(config, known) from None


def _at(git: Git, config: CheckoutConfig) -> Revision:
    """Ask a server."""
    lines = git.run("ls-remote", "--symref", "--", config.repository).splitlines()
    refs = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
    if not config.ref:
        return _default(lines, refs, config)
    full = _full(config.ref, refs, config)
    if not full:
        raise _unknown(config, refs)
    return Revision(refs.get(f"{full}^{{}}", refs[full]), full)


def _default(lines: list[str], refs: Mapping[str, str], config: CheckoutConfig) -> Revision:
    symbolic = [line for line in lines if line.startswith("ref: ") and line.endswith("\tHEAD")]
    if "HEAD" not in refs:
        raise StageError(
            "the repository has no default branch, or no commit yet",
            where=config.repository,
            fix="Say which branch, tag or commit: ref: main",
        )
    commit = next(line.partition("\t")[0] for line in lines if re.match(r"[0-9a-f]+\tHEAD$", line))
    ref = symbolic[0].removeprefix("ref: ").partition("\t")[0] if symbolic else ""
    return Revision(commit, ref)


def _full(ref: str, refs: Mapping[str, str], config: CheckoutConfig) -> str:
    """Give the full name of a ref; empty where there is none."""
    if ref in refs:
        return ref
    found = [kind + ref for kind in _KINDS if kind + ref in refs]
    if len(found) > 1:
        raise StageError(
            f'"{ref}" is a branch and a tag',
            where=config.repository,
            fix=f"Say which: ref: {found[0]}, or ref: {found[1]}",
        )
    return found[0] if found else ""


def _refs(lines: str) -> list[str]:
    return [line.partition("\t")[2] for line in lines.splitlines()]


def _unknown(config: CheckoutConfig, refs: Mapping[str, str]) -> StageError:
    names = [name.removeprefix(kind) for name in refs for kind in _KINDS if name.startswith(kind)]
    names = [name for name in names if not name.endswith("^{}")]
    close = difflib.get_close_matches(config.ref, names, n=3)
    if not config.is_folder and _SHORT.fullmatch(config.ref):
        fix = "A server knows commits by their whole hash only: give all of it."
    elif close:
        fix = f"Did you mean {' or '.join(close)}?"
    else:
        fix = f"It has: {', '.join(names[:10]) or 'none'}{', …' if len(names) > 10 else ''}."
    return StageError(
        f'there is no branch, tag or commit "{config.ref}"', where=config.repository, fix=fix
    )


def _is_dirty(changed: list[str], config: CheckoutConfig) -> StageError:
    shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
    return StageError(
        f"there are changes that are not committed: {shown}",
        where=config.repository,
        fix="Commit them, name what to check out with ref:, or take them along: dirty: include",
    )
