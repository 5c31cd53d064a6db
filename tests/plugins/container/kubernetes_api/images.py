"""The images that nodes can pull, and what their programs do."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Program:
    """What a container of an image does.

    Attributes:
        ready: Whether its readiness probe ever succeeds.
        crashes: Whether it ends with an error as soon as it starts.
        seconds: It takes to be ready.
        log: What it writes.
        answers: Status and body by path; others are 404.
    """

    ready: bool = True
    crashes: bool = False
    seconds: float = 0.0
    log: str = ""
    answers: Mapping[str, tuple[int, str]] = field(default_factory=lambda: {"/": (200, "ok")})


@dataclass
class Images:
    """A registry, as nodes see it.

    Attributes:
        programs: By digest. Without a registry, these are the images that there are.
        registry: Address of a registry that is asked whether an image is there; or empty.
        troubles: What a registry says instead of giving an image, by digest, a word for each time.
        nodes: Digests that nodes report instead, by digest.
        tags: The digests of images that are not named by theirs, by reference.
    """

    programs: dict[str, Program] = field(default_factory=dict)
    registry: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    troubles: dict[str, list[str]] = field(default_factory=dict)

    def identity(self, reference: str) -> str:
        """Give an image as a node reports it."""
        if reference in self.tags:
            return f"{reference.rpartition(':')[0]}@{self.tags[reference]}"
        name, _, digest = reference.rpartition("@")
        return f"{name}@{self.nodes.get(digest, digest)}"

    def program(self, reference: str) -> Program:
        """Give what an image does."""
        return self.programs.get(reference.rpartition("@")[2], Program())

    def missing(self, reference: str) -> str:
        """Say why an image cannot be pulled, in containerd's words, or ``""``."""
        troubles = self.troubles.get(reference.rpartition("@")[2], [])
        if not troubles and self._is_there(reference):
            return ""
        said = troubles.pop(0) if troubles else f"{reference}: not found"
        code = "Unknown" if troubles else "NotFound"
        return (
            f'rpc error: code = {code} desc = failed to pull and unpack image "{reference}": '
            f'failed to resolve reference "{reference}": {said}'
        )

    def _is_there(self, reference: str) -> bool:
        name, _, digest = reference.rpartition("@")
        if reference in self.tags:
            return True
        if not self.registry:
            return digest in self.programs
        path = name.partition("/")[2]
        accept = (
            "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
        )
        request = urllib.request.Request(
            f"{self.registry}/v2/{path}/manifests/{digest}",
            method="HEAD",
            headers={"Accept": accept},
        )
        try:
            with urllib.request.urlopen(request, timeout=10):
                return True
        except urllib.error.HTTPError:
            return False
