"""What people call releases: ``[KIND/]NAME``, and a label."""

from difflib import get_close_matches

from mlpipe.errors import UserError
from mlpipe.store.store import Store
from mlpipe.types import Release


def find_service(store: Store, name: str) -> tuple[str, str]:
    """Give kind and name of what ``[KIND/]NAME`` means.

    Raises:
        UserError: Nothing of that name was released, or more than one kind has it.
    """
    known = sorted({(each.kind, each.name) for each in store.releases.all()})
    kind, slash, what = name.rpartition("/")
    found = [each for each in known if each[1] == what and (not slash or each[0] == kind)]
    if len(found) == 1:
        return found[0]
    names = [f"{each[0]}/{each[1]}" for each in known]
    if found:
        options = ", ".join(f"{each[0]}/{each[1]}" for each in found)
        raise UserError(f'"{name}" is ambiguous', fix=f"Say which: {options}.")
    near = get_close_matches(name, [*names, *(each[1] for each in known)], 1)
    hint = f'Did you mean "{near[0]}"? ' if near else ""
    raise UserError(
        f'nothing named "{name}" was released', fix=f"{hint}Released: {', '.join(names) or 'none'}."
    )


def find_release(store: Store, name: str, label: str | None) -> Release:
    """Give a release by label; what is in service where no label is given.

    Raises:
        UserError: There is none.
    """
    kind, what = find_service(store, name)
    release = store.releases.get(kind, what, label) if label else store.releases.current(kind, what)
    if release is None:
        labels = [
            each.label for each in store.releases.all() if (each.kind, each.name) == (kind, what)
        ]
        raise UserError(
            f'{kind}/{what} has no release "{label}"', fix=f"Its releases: {', '.join(labels)}."
        )
    return release


def choose(store: Store, name: str, label: str | None) -> Release:
    """Give the release to roll back to: the one named, or the one in service before the present.

    Raises:
        UserError: There is none.
    """
    if label is not None:
        return find_release(store, name, label)
    kind, what = find_service(store, name)
    history = store.releases.history(kind, what)
    for each in history[1:]:
        if each.release.label != history[0].release.label:
            return each.release
    raise UserError(
        f"{kind}/{what} has one release only, {history[0].release.label}",
        fix="There is nothing earlier to roll back to.",
    )
