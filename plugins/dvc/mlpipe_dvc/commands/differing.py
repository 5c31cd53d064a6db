"""Getting hold of what a comparison needs."""

from __future__ import annotations

from mlpipe_dvc.commands.catalogue import Version
from mlpipe_dvc.commands.comparing import compare_columns, compare_files
from mlpipe_dvc.commands.knowledge import described
from mlpipe_dvc.commands.project import Project
from mlpipe_dvc.commands.views import Difference


def difference(before: Version, after: Version, project: Project) -> Difference:
    """Compare two versions; what is not known of them is found out.

    Raises:
        StageError: The bytes that this takes are nowhere.
    """
    if before.digest == after.digest:
        return Difference(before, after)
    if before.is_folder and after.is_folder:
        from mlpipe_dvc.commands.contents import opened

        with opened(project) as (_, contents):
            files = compare_files(contents.listing(before), contents.listing(after))
        return Difference(before, after, files=files)
    before, after = described(before, project), described(after, project)
    old, new = before.description, after.description
    return Difference(before, after, compare_columns(old, new) if old and new else None)
