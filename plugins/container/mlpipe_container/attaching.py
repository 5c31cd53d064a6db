"""Attaching a bill of materials to an image in its registry.

As an OCI artifact that refers to the image: https://github.com/opencontainers/distribution-spec,
"Listing Referrers". Registries that do not list what refers to an image keep a list under a tag.
"""

import json

from mlpipe import Stage
from mlpipe_container import credentials, registries
from mlpipe_container.registries import OCI_INDEX, OCI_MANIFEST, Registry

_TYPE = "application/vnd.cyclonedx+json"
_EMPTY, _EMPTY_TYPE = b"{}", "application/vnd.oci.empty.v1+json"


def bill_of(stage: Stage) -> bytes | None:
    """Read the input ``sbom``, if the stage has one."""
    given = stage.inputs.get("sbom")
    return given.path().read_bytes() if given else None


def is_attached(registry: Registry, image: str, bill: bytes) -> bool:
    """Tell whether a bill of materials is among what refers to an image.

    Args:
        registry: That has both.
        image: The digest of the image's manifest.
        bill: The document.
    """
    digest = credentials.sha256(_manifest(registry, image, bill))
    return any(each.get("digest") == digest for each in registry.referrers(image))


def attach(registry: Registry, image: str, bill: bytes) -> None:
    """Store a bill of materials that refers to an image; nothing is done where it is.

    Raises:
        StageError: The registry does not take it.
    """
    if is_attached(registry, image, bill):
        return
    registry.put_blob(_EMPTY)
    registry.put_blob(bill)
    body = _manifest(registry, image, bill)
    registry.put_manifest(credentials.sha256(body), body, OCI_MANIFEST)
    if not registry.knows_referrers(image):
        _list(registry, image, body)


def _list(registry: Registry, image: str, body: bytes) -> None:
    entry = {**_descriptor(OCI_MANIFEST, body), "artifactType": _TYPE}
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [*registry.referrers(image), entry],
    }
    registry.put_manifest(registries.fallback_tag(image), json.dumps(index).encode(), OCI_INDEX)


def _manifest(registry: Registry, image: str, bill: bytes) -> bytes:
    there = registry.manifest(image)
    assert there is not None  # it was read back
    subject = {"mediaType": there.media_type, "digest": image, "size": there.size}
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": _TYPE,
        "config": _descriptor(_EMPTY_TYPE, _EMPTY),
        "layers": [_descriptor(_TYPE, bill)],
        "subject": subject,
    }
    return json.dumps(manifest, sort_keys=True).encode()


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": credentials.sha256(data), "size": len(data)}
