"""Which installed distribution an import comes from, and its version."""

from importlib import metadata


def version_of(name: str) -> tuple[str, str] | None:
    """Give the distribution and version that provide a top-level import name.

    The standard library's ``packages_distributions`` reads every distribution's file list
    into objects (0.4 s for 200 of them); this asks for the distribution of the same name
    first and searches the lists as text only for the others.

    Args:
        name: A top-level import name, as ``sklearn``.

    Returns:
        As ``("scikit-learn", "1.6.0")``, or ``None`` where nothing installed provides it.
    """
    try:
        return name, metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
    needles = (f"\n{name}/__init__.py,", f"\n{name}.py,", f"\n{name}/", f"\n{name}.")
    for distribution in metadata.distributions():
        listing = "\n" + (distribution.read_text("RECORD") or "")
        if any(needle in listing for needle in needles):
            return distribution.name, distribution.version
    return None
