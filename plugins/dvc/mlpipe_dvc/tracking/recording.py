"""Writing ``.dvc`` files and lines of ``.gitignore`` as DVC itself does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.tracking.aside import aside
from mlpipe_dvc.tracking.values import Content, Made

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc_data.hashfile.meta import Meta


def record(repo: Repo, made: Made, content: Content, out: Output | None) -> Output:
    """Have DVC and Git know a version; a record that says so already is not written.

    Args:
        repo: DVC's repository, which is locked.
        made: What is in its place now.
        content: What it holds.
        out: What DVC tracks there already; its description and the like are kept.

    Returns:
        What DVC tracks there now.
    """
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.meta import Meta

    known = out
    out = out or _new(repo, made)
    meta = Meta(
        isdir=content.listing is not None,
        size=content.size,
        nfiles=None if content.listing is None else len(content.files),
        isexec=content.executable,
    )
    digest = HashInfo("md5", content.oid)
    same = (out.hash_info, _facts(out.meta)) == (digest, _facts(meta))
    out.ignore()
    if known is None or not same:
        out.hash_name, out.hash_info, out.meta, out.files = "md5", digest, meta, None
        _write(out, made)
    return out


def _facts(meta: Meta) -> tuple[int | None, int | None, bool]:
    return meta.size, meta.nfiles, meta.isexec


def _new(repo: Repo, made: Made) -> Output:
    from dvc.utils import resolve_paths

    file, folder, name = resolve_paths(repo, str(made.place))
    if os.path.exists(file):
        raise StageError(
            f"is not of {made.place.name}, as its name says",
            where=f"{made.label}.dvc",
            fix="Rename it, or name another output folder.",
        )
    stage = repo.stage.create(
        single_stage=True, validate=False, fname=file, wdir=folder, outs=[name], force=False
    )
    (out,) = stage.outs
    return out


def _write(out: Output, made: Made) -> None:
    """Write a ``.dvc`` file at once: half of one would stop every command of DVC."""
    from dvc.stage.serialize import to_single_stage_file
    from dvc.utils.serialize import dumps_yaml

    text = dumps_yaml(to_single_stage_file(out.stage))
    with aside(made.place) as folder:
        writing = folder / "record"
        writing.write_text(text, encoding="utf-8")
        os.replace(writing, out.stage.path)
