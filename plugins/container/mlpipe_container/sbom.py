"""What is in an image: its bill of materials, in CycloneDX's form.

Found by the files that Debian's, Alpine's and Python's installers leave: the packages' own words,
not a guess. https://cyclonedx.org/docs/1.6/json/
"""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import IO, TYPE_CHECKING

from mlpipe_container.engines import Engine, EngineFailed

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

_DPKG, _DPKG_PARTS = "var/lib/dpkg/status", "var/lib/dpkg/status.d/"
_APK = "lib/apk/db/installed"
_RELEASE = ("etc/os-release", "usr/lib/os-release")
#: No such file is larger; what claims to be one and is, is not read.
_LARGEST = 64 * 2**20


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """A package.

    Attributes:
        kind: Of its package URL: ``pypi``, ``deb`` or ``apk``.
        name: Its name.
        version: Its version.
        license: As it says itself, if it does.
    """

    kind: str
    name: str
    version: str
    license: str = ""


def packages(engine: Engine, image: str) -> tuple[list[Package], str]:
    """List the packages in an image, and give the distribution's identifier, as ``debian``.

    Nothing in the image is run.

    Raises:
        EngineFailed: The image cannot be read.
    """
    container = engine.run("create", image, "-")
    try:
        process = engine.opened("export", container)
        assert process.stdout is not None
        with process, tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            found, system = _read(archive)
        if process.returncode:
            raise EngineFailed(engine.name, "export", f"exit code {process.returncode}")
    finally:
        engine.run("rm", "--force", container)
    return sorted(set(found)), system


def document(name: str, digest: str, found: list[Package], system: str) -> bytes:
    """Write the bill of materials as JSON: the same for the same image.

    Args:
        name: What the image is called.
        digest: Its ID.
        found: What is in it.
        system: The distribution's identifier.
    """
    from uuid import NAMESPACE_URL, uuid5

    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    subject = Component(name=name, version=digest, type=ComponentType.CONTAINER, bom_ref=digest)
    components = [_component(each, system) for each in found]
    bom = Bom(
        components=components,
        metadata=BomMetaData(component=subject),
        serial_number=uuid5(NAMESPACE_URL, f"{name}@{digest}"),
    )
    bom.register_dependency(subject, components)
    facts = json.loads(JsonV1Dot6(bom).output_as_string())
    facts["metadata"].pop("timestamp", None)
    return (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode()


def _component(package: Package, system: str) -> "Component":
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import DisjunctiveLicense
    from packageurl import PackageURL

    space = system if package.kind in ("deb", "apk") else None
    return Component(
        name=package.name,
        version=package.version,
        purl=PackageURL(package.kind, space, package.name, package.version),
        bom_ref=f"{package.kind}/{package.name}@{package.version}",
        licenses=[DisjunctiveLicense(name=package.license)] if package.license else None,
    )


def _read(archive: tarfile.TarFile) -> tuple[list[Package], str]:
    found: list[Package] = []
    system = "linux"
    for member in archive:
        name = member.name.removeprefix("./")
        if not member.isfile() or member.size > _LARGEST or not _tells(name):
            continue
        file = archive.extractfile(member)
        assert file is not None
        if name in _RELEASE:
            system = _identifier(file) or system
        else:
            found += _packages(name, file)
    return found, system


def _tells(name: str) -> bool:
    return (
        name in (_DPKG, _APK, *_RELEASE)
        or name.endswith((".dist-info/METADATA", ".egg-info/PKG-INFO"))
        or (name.startswith(_DPKG_PARTS) and not name.endswith(".md5sums"))
    )


def _packages(name: str, file: IO[bytes]) -> Iterator[Package]:
    text = file.read().decode(errors="replace")
    if name == _APK:
        for part in text.split("\n\n"):
            facts = dict(line.split(":", 1) for line in part.splitlines() if ":" in line)
            if "P" in facts:
                yield Package("apk", facts["P"], facts.get("V", ""), facts.get("L", ""))
        return
    kind = "deb" if name.startswith("var/lib/dpkg") else "pypi"
    for part in text.split("\n\n") if kind == "deb" else [text]:
        headers = HeaderParser().parsestr(part.lstrip("\n"))
        here = kind == "pypi" or "installed" in headers.get("Status", "installed").split()
        if here and headers["Package" if kind == "deb" else "Name"]:
            yield Package(
                kind,
                headers["Package" if kind == "deb" else "Name"],
                headers.get("Version", ""),
                headers.get("License-Expression") or _short(headers.get("License", "")),
            )


def _short(license_text: str) -> str:
    """Give a license's name; some packages put the whole text there."""
    return "" if "\n" in license_text or len(license_text) > 60 else license_text


def _identifier(file: IO[bytes]) -> str:
    for line in file.read().decode(errors="replace").splitlines():
        if line.startswith("ID="):
            return line[3:].strip().strip('"')
    return ""
