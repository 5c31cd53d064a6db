"""Registries, as the OCI distribution specification has them.

https://github.com/opencontainers/distribution-spec (version 1.1).
"""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from mlpipe.errors import StageError
from mlpipe_container import credentials
from mlpipe_container.credentials import Login
from mlpipe_container.engines import Engine

_HUB, _HUB_HOST = "docker.io", "registry-1.docker.io"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_SECONDS = 60
_TIMES = 4

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFESTS = (
    OCI_MANIFEST,
    "application/vnd.docker.distribution.manifest.v2+json",
    OCI_INDEX,
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of a registry.

    Attributes:
        host: The registry's, with its port.
        name: Within it.
    """

    host: str
    name: str

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, where engines speak HTTP."""
        return self.host.rpartition(":")[0] in _LOOPBACK or self.host in _LOOPBACK

    @property
    def base(self) -> str:
        """The URL that paths start from."""
        host = _HUB_HOST if self.host == _HUB else self.host
        return f"{'http' if self.is_loopback else 'https'}://{host}/v2/{self.name}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a registry says of an image.

    Attributes:
        digest: Of its bytes.
        media_type: What kind it is.
        body: What it says.
        size: Of its bytes.
    """

    digest: str
    media_type: str
    body: dict[str, Any]
    size: int

    @property
    def config(self) -> str:
        """The digest of the image's configuration: what an engine calls the image's ID."""
        return str(self.body.get("config", {}).get("digest", ""))

    @property
    def bytes_of_layers(self) -> int:
        """How large the layers are in the registry."""
        return sum(layer.get("size", 0) for layer in self.body.get("layers", []))


def split(image: str) -> tuple[Repository, str]:
    """Take an image's name apart, as Docker does, into repository and tag or digest."""
    name, at, digest = image.partition("@")
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        path, tag = name, "latest"
    first, slash, rest = path.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return Repository(first, rest), digest if at else tag
    official = path if slash else f"library/{path}"
    return Repository(_HUB, official), digest if at else tag


def client(engine: Engine, repository: Repository, login: Login | None = None) -> "Registry":
    """Give a client that logs in as told, or else as the engine would."""
    return Registry(repository, login or credentials.stored(engine, repository.host))


@dataclass(slots=True)
class Registry:
    """Asks and tells a repository.

    Attributes:
        repository: The repository.
        login: Who asks; nobody if ``None``.
    """

    repository: Repository
    login: Login | None = field(default=None, repr=False)
    _session: Any = field(default=None, init=False, repr=False)

    def manifest(self, reference: str) -> Manifest | None:
        """Give the manifest of a tag or digest; ``None`` where there is none.

        Raises:
            StageError: The registry does not answer, or not us.
        """
        answer = self._ask(
            "GET", f"/manifests/{reference}", headers={"Accept": ", ".join(_MANIFESTS)}
        )
        if answer.status_code == 404:
            return None
        self._check(answer)
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        digest = answer.headers.get("Docker-Content-Digest") or credentials.sha256(answer.content)
        return Manifest(digest, kind, answer.json(), len(answer.content))

    def put_manifest(self, reference: str, body: bytes, media_type: str) -> None:
        """Store a manifest under a tag or its digest.

        Raises:
            StageError: It was not taken.
        """
        path = f"/manifests/{reference}"
        self._check(self._ask("PUT", path, data=body, headers={"Content-Type": media_type}))

    def put_blob(self, data: bytes) -> str:
        """Store bytes; give their digest.

        Raises:
            StageError: They were not taken.
        """
        digest = credentials.sha256(data)
        if self._ask("HEAD", f"/blobs/{digest}").status_code == 200:
            return digest
        begun = self._ask("POST", "/blobs/uploads/")
        self._check(begun)
        place = urljoin(f"{self.repository.base}/", begun.headers["Location"])
        place += f"{'&' if urlsplit(place).query else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream"}
        self._check(self._ask("PUT", place, data=data, headers=headers))
        return digest

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        """List what refers to an image, as its bill of materials.

        Registries that do not know the question keep the list under a tag.
        """
        accept = {"Accept": OCI_INDEX}
        answer = self._ask("GET", f"/referrers/{digest}", headers=accept)
        if answer.status_code != 200:
            answer = self._ask("GET", f"/manifests/{fallback_tag(digest)}", headers=accept)
        return list(answer.json().get("manifests", [])) if answer.status_code == 200 else []

    def knows_referrers(self, digest: str) -> bool:
        """Tell whether the registry lists referrers by itself."""
        return bool(self._ask("GET", f"/referrers/{digest}").status_code == 200)

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        import requests

        url = path if "://" in path else self.repository.base + path
        try:
            session = self._opened()
            answer = session.request(method, url, timeout=_SECONDS, **more)
            if answer.status_code == 401:
                session.headers["Authorization"] = self._authorized(answer)
                answer = session.request(method, url, timeout=_SECONDS, **more)
        except requests.RequestException as error:
            raise StageError(
                f"the registry does not answer: {credentials.plainly(error)}",
                where=str(self.repository),
                fix="Look at its address and the network, then run the recipe again: what is "
                "there already is not sent twice.",
            ) from None
        return answer

    def _opened(self) -> Any:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3 import Retry

        if self._session is None:
            again = Retry(
                total=_TIMES,
                backoff_factor=0.2,
                status_forcelist=(429, 500, 502, 503, 504),
                allowed_methods={"GET", "HEAD", "PUT"},  # each says the same when said twice
                raise_on_status=False,
            )
            self._session = requests.Session()
            self._session.trust_env = not self.repository.is_loopback
            self._session.mount(
                f"{urlsplit(self.repository.base).scheme}://", HTTPAdapter(max_retries=again)
            )
        return self._session

    def _authorized(self, refused: Any) -> str:
        """Give the header that a registry asks for: a password, or a token that one gives."""
        from requests.utils import parse_dict_header

        scheme, _, rest = refused.headers.get("WWW-Authenticate", "").partition(" ")
        basic = self.login.basic if self.login else ""
        if scheme.lower() != "bearer":
            return basic
        asked = parse_dict_header(rest)
        wanted = {key: value for key, value in asked.items() if key in ("service", "scope")}
        headers = {"Authorization": basic} if basic else {}
        given = self._opened().get(asked["realm"], params=wanted, headers=headers, timeout=_SECONDS)
        self._check(given)
        facts = given.json()
        return f"Bearer {facts.get('token') or facts.get('access_token', '')}"

    def _check(self, answer: Any) -> None:
        if answer.ok:
            return
        where = str(self.repository)
        if answer.status_code in (401, 403):
            raise StageError(
                f"the registry does not let us in ({answer.status_code})",
                where=where,
                fix="Log in again, as the token may have expired, or name a user who may: "
                "username: and password:.",
            )
        raise StageError(
            f"the registry answered {answer.status_code}: {_reason(answer)}", where=where
        )


def fallback_tag(digest: str) -> str:
    """Give the tag that lists an image's referrers where a registry does not."""
    return digest.replace(":", "-", 1)


def _reason(answer: Any) -> str:
    try:
        first = answer.json()["errors"][0]
        return str(first.get("message") or first.get("code"))
    except (ValueError, LookupError, TypeError, json.JSONDecodeError):
        return str(answer.text[:200] or answer.reason)
