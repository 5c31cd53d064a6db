"""Calls of the Kubernetes API, by the official client; each can be repeated, and is."""

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

from mlpipe.errors import StageError
from mlpipe_container.kubernetes.access import Access
from mlpipe_container.kubernetes.refusals import Refusal, is_passing, refusal
from mlpipe_container.kubernetes.values import Json

#: Who owns the fields that are set here.
MANAGER = "mlpipe"
_APPLY = "application/apply-patch+yaml"
_ATTEMPTS = 8
#: Seconds to connect, and to answer.
_TIMEOUTS = (10, 60)
#: Seconds that a server may ask to be left alone.
_LONGEST = 30.0
_UNAUTHORIZED, _NOT_FOUND = 401, 404


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: Of HTTP; 0 where nothing came.
        text: The body, or why nothing came.
        wait: Seconds that the server asks to be left alone.
    """

    status: int
    text: str
    wait: float = 0.0


@dataclass(frozen=True)
class Api:
    """The API of a cluster.

    Attributes:
        access: How it is reached.
        pauses: Seconds before the second attempt of a call, and at most before any.
    """

    access: Access
    pauses: tuple[float, float] = (0.1, 5.0)
    _discovered: dict[str, Mapping[str, Json]] = field(default_factory=dict, repr=False)

    def get(self, path: str, **query: str) -> Json:
        """Read.

        Raises:
            Refusal: The server does not give it.
        """
        return dict(json.loads(self._asked("GET", path, query)))

    def find(self, path: str) -> Json | None:
        """Read what may not be there."""
        try:
            return self.get(path)
        except Refusal as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def items(self, path: str, **query: str) -> list[Json]:
        """List."""
        return list(self.get(path, **query)["items"])

    def text(self, path: str, **query: str) -> str:
        """Read what is no object, as a log."""
        return self._asked("GET", path, query)

    def apply(self, path: str, body: Json, *, force: bool, dry: bool = False) -> Json:
        """Apply an object on the server's side; give what it is then.

        Args:
            path: Where it is.
            body: All that is to be said of it.
            force: Take fields from others.
            dry: Change nothing.
        """
        query = {"fieldManager": MANAGER, "force": str(force).lower()}
        query |= {"dryRun": "All"} if dry else {}
        return dict(json.loads(self._asked("PATCH", path, query, body)))

    def path(self, body: Json, namespace: str) -> str:
        """Say where an object is, by its kind.

        Raises:
            StageError: The cluster does not know the kind.
        """
        group, kind = str(body["apiVersion"]), str(body["kind"])
        resource = self._resources(group).get(kind)
        if resource is None:
            raise StageError(
                f"the cluster knows no kind {kind} in {group}",
                where=f"{kind.lower()} {body['metadata']['name']}",
                fix="Correct apiVersion and kind, or install what defines the kind.",
            )
        inside = f"/namespaces/{namespace}" if resource["namespaced"] else ""
        name = quote(body["metadata"]["name"], safe="")
        return f"{_base(group)}{inside}/{resource['name']}/{name}"

    def ask(self, path: str) -> Answer:
        """Send a GET once, whatever comes back."""
        return self._send("GET", path, {}, None)

    # ---------------------------------------------------------------------------------------------

    def _resources(self, group: str) -> Mapping[str, Json]:
        if group not in self._discovered:
            found = self.find(_base(group)) or {"resources": []}
            self._discovered[group] = {
                each["kind"]: each for each in found["resources"] if "/" not in each["name"]
            }
        return self._discovered[group]

    def _asked(
        self, method: str, path: str, query: Mapping[str, str], body: Json | None = None
    ) -> str:
        """Send a request until it is answered for good.

        Raises:
            Refusal: It is refused.
        """
        pause, renewed = self.pauses[0], False
        for attempt in range(1, _ATTEMPTS + 1):
            answer = self._send(method, path, query, body)
            if 200 <= answer.status < 300:
                return answer.text
            if answer.status == _UNAUTHORIZED and not renewed:
                self.access.tokens.renew()
                renewed = True
                continue
            if not is_passing(answer.status, answer.text) or attempt == _ATTEMPTS:
                break
            time.sleep(max(pause * random.uniform(0.5, 1), answer.wait))  # noqa: S311 - no secret
            pause = min(pause * 2, self.pauses[1])
        raise refusal(answer.status, answer.text, self.access.cluster)

    def _send(self, method: str, path: str, query: Mapping[str, str], body: Json | None) -> Answer:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer = self._client.request(
                method,
                path,
                body=body,
                query_params=list(query.items()),
                header_params={"Authorization": f"Bearer {self.access.tokens.current()}"},
                content_type=_APPLY if method == "PATCH" else None,
                serialize=False,
                _request_timeout=_TIMEOUTS,
            )
            return Answer(answer.status, answer.data.decode(errors="replace"))
        except ApiException as error:
            return _failed(error)
        except HTTPError as error:
            return Answer(0, str(error))

    @cached_property
    def _client(self) -> Any:
        """The dynamic client, whose own discovery asks for all kinds there are."""
        from kubernetes.client import ApiClient, Configuration
        from kubernetes.dynamic import DynamicClient

        settings = Configuration()
        settings.host = self.access.endpoint
        settings.ca_cert_data = self.access.authority
        settings.retries = False  # repeated here, where it is known what may be
        return DynamicClient(ApiClient(settings), discoverer=_no_discovery)  # type: ignore[no-untyped-call]


def _no_discovery(client: Any, cache: Any) -> None:
    """Stand where the client would look for all kinds that there are."""


def _failed(error: Any) -> Answer:
    """Give the answer that the client turned into an exception."""
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else error.body
    status, text = int(error.status), body or str(error.reason or "")
    wait = str((error.headers or {}).get("Retry-After", "0"))
    return Answer(status, text, min(float(wait), _LONGEST) if wait.isdigit() else 0.0)


def _base(group: str) -> str:
    return f"/apis/{group}" if "/" in group else f"/api/{group}"
