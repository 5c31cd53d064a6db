"""Wheels of installed packages, made from what is installed: nothing is downloaded."""

import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def repacked(names: list[str], folder: Path) -> list[str]:
    """Make wheels of packages and of all that they need; give the packages' names."""
    folder.mkdir(parents=True, exist_ok=True)
    done: dict[str, Distribution] = {}
    left = list(names)
    while left:
        name = canonicalize_name(left.pop())
        if name not in done:
            done[name] = distribution(name)
            left += _needs(done[name])
    for each in done.values():
        _pack(each, folder)
    return sorted(done)


def _needs(found: Distribution) -> list[str]:
    wanted = map(Requirement, found.requires or ())
    return [each.name for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})]


def _pack(found: Distribution, folder: Path) -> None:
    tag = next(
        line.split(": ")[1]
        for line in (found.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag: ")
    )
    name = canonicalize_name(found.metadata["Name"]).replace("-", "_")
    with zipfile.ZipFile(folder / f"{name}-{found.version}-{tag}.whl", "w") as wheel:
        for file in found.files or ():
            if ".." not in file.parts and not file.name.endswith(".pyc"):
                wheel.write(str(found.locate_file(file)), str(file))
