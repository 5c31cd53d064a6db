"""What the commands print: each view is lines of text, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpipe_dvc.commands.catalogue import DataSet, Version
from mlpipe_dvc.commands.comparing import Change, Columns, Files
from mlpipe_dvc.commands.texts import NONE, columns, count, moment, plain, size, value

_HEAD = (" ", "version", "rows", "columns", "size", "created", "run", "commit")
#: How many files of each kind of difference are listed as text.
_FILES = 20


def version_json(version: Version) -> dict[str, Any]:
    """Give what is known of a version, but for its columns."""
    description, entry = version.description, version.entry
    return {
        "dataset": version.label,
        "digest": version.digest,
        "current": version.current,
        "rows": description.rows if description else None,
        "columns": len(description.columns) if description else None,
        "size": version.size,
        "files": version.files,
        "created": version.created,
        "recipe": entry.recipe if entry and entry.recipe else None,
        "stage": entry.stage if entry and entry.stage else None,
        "runs": list(version.runs),
        "commits": [
            {"id": commit.id, "time": commit.time, "author": commit.author}
            for commit in version.commits
        ],
        "tags": list(version.tags),
    }


def list_json(sets: Sequence[DataSet]) -> list[dict[str, Any]]:
    """Give the versions of all data sets."""
    return [
        {"dataset": each.label, "versions": [version_json(version) for version in each.versions]}
        for each in sets
    ]


def list_lines(sets: Sequence[DataSet]) -> list[str]:
    """List the versions of all data sets, the current ones marked with a star."""
    rows = [_row(version) for each in sets for version in each.versions]
    if not rows:
        return []
    head, *laid_out = columns([_HEAD, *rows])
    remaining = iter(laid_out)
    lines = [head]
    for each in sets:
        lines.append(plain(each.label))
        lines.extend(next(remaining) for _ in each.versions)
    return lines


def _row(version: Version) -> tuple[str, ...]:
    description = version.description
    return (
        "*" if version.current else " ",
        version.short,
        f"{description.rows:,}" if description else NONE,
        f"{len(description.columns):,}" if description else NONE,
        _size(version),
        moment(version.created),
        version.runs[0] if version.runs else NONE,
        _commit(version),
    )


def _size(version: Version) -> str:
    number = f", {count(version.files, 'file')}" if version.is_folder else ""
    return size(version.size) + number


def _commit(version: Version) -> str:
    oldest = [version.commits[-1].id[:7]] if version.commits else []
    tags = [plain(", ".join(version.tags))] if version.tags else []
    return " ".join(oldest + tags) or NONE


def show_json(version: Version) -> dict[str, Any]:
    """Give what is known of a version and its columns."""
    description = version.description
    schema = description.to_json()["columns"] if description else None
    return {**version_json(version), "schema": schema}


def show_lines(version: Version) -> list[str]:
    """Show a version: where it is from, and its columns with their statistics."""
    mark = "  (current)" if version.current else ""
    lines = [f"{plain(version.label)} @ {version.short}{mark}", *columns(_facts(version))]
    if version.description is None:
        return lines
    head = ("column", "kind", "missing", "distinct", "min", "max", "mean")
    table = (
        (
            plain(column.name),
            column.kind,
            f"{column.missing:,}",
            f"{column.distinct:,}",
            value(column.minimum),
            value(column.maximum),
            value(column.mean),
        )
        for column in version.description.columns
    )
    return [*lines, "", *columns((head, *table))]


def _facts(version: Version) -> list[tuple[str, str]]:
    description, entry = version.description, version.entry
    facts = [("digest", version.digest), ("size", _size(version))]
    if description:
        facts.append(("rows", f"{description.rows:,}"))
        facts.append(("columns", f"{len(description.columns):,}"))
    facts.append(("created", moment(version.created)))
    if entry and entry.stage:
        facts.append(("made by", f"stage {entry.stage} of {entry.recipe}"))
    if version.runs:
        facts.append(("runs", ", ".join(version.runs)))
    for commit in reversed(version.commits):
        text = f"{commit.id[:7]}  {moment(commit.time)}  {plain(commit.author)}"
        facts.append(("commit", text))
    if version.tags:
        facts.append(("tags", plain(", ".join(version.tags))))
    return facts


def got_line(version: Version, path: Path) -> str:
    """Say which version was written where."""
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{plain(str(shown))}  {version.short}  {_size(version)}"


@dataclass(frozen=True, slots=True)
class Difference:
    """Two versions, and how they differ.

    Attributes:
        before: The first version.
        after: The second version.
        columns: How their tables differ; ``None`` when one is no table.
        files: How their folders differ; ``None`` when one is no folder.
    """

    before: Version
    after: Version
    columns: Columns | None = None
    files: Files | None = None


def diff_json(found: Difference) -> dict[str, Any]:
    """Give all that differs."""
    return {
        "dataset": found.after.label,
        "before": version_json(found.before),
        "after": version_json(found.after),
        "columns": _columns_json(found.columns) if found.columns else None,
        "files": _files_json(found.files) if found.files else None,
    }


def _columns_json(found: Columns) -> dict[str, Any]:
    return {
        "added": [{"column": each.name, "kind": each.kind} for each in found.added],
        "removed": [{"column": each.name, "kind": each.kind} for each in found.removed],
        "retyped": [
            {"column": old.name, "before": old.kind, "after": new.kind}
            for old, new in found.retyped
        ],
        "statistics": [
            {
                "column": each.column,
                "statistic": each.statistic,
                "before": each.before,
                "after": each.after,
                "notable": each.notable,
            }
            for each in found.changes
        ],
    }


def _files_json(found: Files) -> dict[str, Any]:
    return {
        "added": list(found.added),
        "removed": list(found.removed),
        "changed": list(found.changed),
    }


def diff_lines(found: Difference) -> list[str]:
    """Show what differs; what is notable is marked with an exclamation mark."""
    before, after = found.before, found.after
    lines = [f"{plain(after.label)}  {before.short} → {after.short}"]
    if before.digest == after.digest:
        return [*lines, "  no differences"]
    lines += columns(_totals(before, after))
    if found.columns:
        lines += _columns_lines(found.columns)
    if found.files:
        lines += _files_lines(found.files)
    return lines


def _totals(before: Version, after: Version) -> list[tuple[str, str]]:
    old, new = before.description, after.description
    totals = [("size", f"{size(before.size)} → {size(after.size)}")]
    if before.is_folder or after.is_folder:
        totals.append(("files", _from_to(before.files, after.files)))
    if old and new:
        totals.append(("rows", _from_to(old.rows, new.rows)))
        totals.append(("columns", _from_to(len(old.columns), len(new.columns))))
    return totals


def _from_to(before: int | None, after: int | None) -> str:
    if before is None or after is None:
        return f"{value(before)} → {value(after)}"
    delta = f"  ({after - before:+,})" if after != before else ""
    return f"{before:,} → {after:,}{delta}"


def _columns_lines(found: Columns) -> list[str]:
    rows = [
        *(("!", plain(each.name), "added", "", "", each.kind) for each in found.added),
        *(("!", plain(each.name), "removed", each.kind, "", "") for each in found.removed),
        *(("!", plain(a.name), "kind", a.kind, "→", b.kind) for a, b in found.retyped),
        *(_change(each) for each in found.changes),
    ]
    return ["", *columns(rows)] if rows else []


def _change(change: Change) -> tuple[str, ...]:
    def write(found: Any) -> str:
        return f"{found:.1%}" if change.statistic == "missing" else value(found)

    return (
        "!" if change.notable else " ",
        plain(change.column),
        change.statistic,
        write(change.before),
        "→",
        write(change.after),
    )


def _files_lines(found: Files) -> list[str]:
    lines = [""]
    for mark, names in (("+", found.added), ("-", found.removed), ("~", found.changed)):
        lines += [f"  {mark} {plain(name)}" for name in names[:_FILES]]
        if len(names) > _FILES:
            lines.append(f"  {mark} … and {len(names) - _FILES:,} more")
    return lines if len(lines) > 1 else []
