"""What may be replaced: nothing that DVC has not recorded, and nobody else's files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.tracking import listing
from mlpipe_dvc.tracking.index import Index
from mlpipe_dvc.tracking.reading import Ignored, digest_all, look, scan
from mlpipe_dvc.tracking.values import Content, Files, Made

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo


@dataclass(frozen=True, slots=True)
class Present:
    """What is in a place; empty where nothing is.

    Attributes:
        files: The files.
        md5: Of each of them.
    """

    files: Files
    md5: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Guard:
    """Looks at places before anything is put there.

    Attributes:
        index: What is known of files.
        ignored: What ``.dvcignore`` names, which DVC neither tracks nor minds.
        fetch: Gives an object's bytes from the cache, else from the remote, else ``None``.
        explain: Gives what to add when data was edited, from DVC's name of what was recorded.
    """

    index: Index
    ignored: Ignored
    fetch: Callable[[str], bytes | None]
    explain: Callable[[str], str]

    def look(
        self, made: Made, content: Content, out: Output | None, recalled: Iterable[str]
    ) -> Present:
        """Give what is in a place, where all of it may be replaced.

        Args:
            made: What belongs there.
            content: What that holds.
            out: What DVC tracks there.
            recalled: DVC's names of what earlier attempts may have put there.

        Raises:
            StageError: Something in the place would be lost.
        """
        _require_kind(made, folder=content.listing is not None)
        if not os.path.lexists(made.place):
            return Present(Files({}, {}), {})
        recorded = out.hash_info.value if out is not None and out.hash_info else None
        names = [each for each in (recorded, *recalled) if each]
        if content.listing is None:
            files = look([""], [str(made.place)], made.label)
            versions = [content.md5, *({"": each} for each in names)]
        else:
            files = scan(str(made.place), made.label)
            files = files.without(self.ignored(str(made.place), files.paths))
            versions = [content.md5]
        md5 = digest_all(files, str(made.place), self.index)
        if not md5.items() <= content.md5.items():
            if content.listing is not None:
                versions += self._listings(made, recorded, recalled)
            self._require_expendable(made, md5, versions, recorded)
        return Present(files, md5)

    def _listings(
        self, made: Made, recorded: str | None, recalled: Iterable[str]
    ) -> list[Mapping[str, str]]:
        known = {each: self._listing(each) for each in (recorded, *recalled) if each}
        if recorded and recorded.endswith(".dir") and known[recorded] is None:
            raise StageError(
                "may hold edits: what DVC recorded is neither in its cache nor in the remote",
                where=made.label,
                fix="Move the folder away, or get what was recorded: dvc fetch",
            )
        return [each for each in known.values() if each]

    def _listing(self, oid: str) -> Mapping[str, str] | None:
        data = self.fetch(oid) if oid.endswith(".dir") else None
        return None if data is None else listing.read(data)

    def _require_expendable(
        self,
        made: Made,
        md5: Mapping[str, str],
        versions: Sequence[Mapping[str, str]],
        recorded: str | None,
    ) -> None:
        """Refuse files that are in none of the versions that may be in this place."""
        bad = [n for n, each in md5.items() if not any(v.get(n) == each for v in versions)]
        if not bad:
            return
        known = [name for name in bad if any(name in version for version in versions[1:])]
        first = min(known or bad)
        where = f"{made.label}/{first}" if first else made.label
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        if recorded is None:
            raise StageError(
                f"is there already, with other content, and DVC does not track it{more}",
                where=where,
                fix="Move or delete it, or name another output folder.",
            )
        if not known:
            raise StageError(
                f"is in a folder that DVC tracks, and DVC has not recorded it{more}",
                where=where,
                fix="Move it out of the folder.",
            )
        raise StageError(
            f"was edited after DVC recorded it{more}{self.explain(recorded)}",
            where=where,
            fix=f"Keep the edit elsewhere, or drop it: dvc checkout --force {made.label}",
        )


def _require_kind(made: Made, *, folder: bool) -> None:
    if folder and made.place.is_symlink():
        raise StageError("is a link, where a folder belongs", where=made.label, fix="Remove it.")
    if folder and made.place.exists() and not made.place.is_dir():
        raise StageError("is a file, where a folder belongs", where=made.label, fix="Move it away.")
    if not folder and made.place.is_dir():
        raise StageError("is a folder, where a file belongs", where=made.label, fix="Move it away.")


def tracked_at(made: Made, outs: Sequence[Output]) -> Output | None:
    """Give DVC's output at a place.

    Raises:
        StageError: DVC tracks something around it or within it, or a pipeline makes it.
    """
    for out in outs:
        known = Path(out.fs_path)
        if known == made.place:
            return _require_source(made, out)
        if made.place.is_relative_to(known):
            raise StageError(
                f"lies in {known.name}, which DVC tracks as one whole",
                where=made.label,
                fix=f"Name another output folder, or run: dvc remove {out.stage.relpath}",
            )
        if known.is_relative_to(made.place):
            raise StageError(
                f"cannot be tracked as one whole, for DVC tracks {known.name} in it",
                where=made.label,
                fix=f"Name another output folder, or run: dvc remove {out.stage.addressing}",
            )
    return None


def _require_source(made: Made, out: Output) -> Output:
    if not out.stage.is_data_source:
        raise StageError(
            f"is an output of {out.stage.addressing} in DVC's own pipeline",
            where=made.label,
            fix="Name another output folder, or take the output out of dvc.yaml.",
        )
    return out


def require_trackable(made: Made, repo: Repo) -> None:
    """Refuse a place that Git tracks, or that Git or DVC is told to ignore.

    Raises:
        StageError: It is such a place.
    """
    from dvc.scm import NoSCM

    if repo.dvcignore.is_ignored(repo.fs, str(made.place)):
        raise StageError(
            "is ignored by DVC", where=made.label, fix="Take the pattern out of .dvcignore."
        )
    if isinstance(repo.scm, NoSCM):
        return
    if repo.scm.is_tracked(str(made.place)):
        raise StageError(
            "is tracked by Git, so DVC cannot track it",
            where=made.label,
            fix=f"Take it out of Git: git rm {'-r ' * made.place.is_dir()}--cached {made.label}",
        )
    if repo.scm.is_ignored(f"{made.place}.dvc"):
        raise StageError(
            "is ignored by Git, so the data's version could not be committed",
            where=f"{made.label}.dvc",
            fix="Take the pattern out of .gitignore; DVC itself tells Git to ignore the data.",
        )
