"""The HTTP side: paths, authentication, faults."""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.plugins.container.kubernetes_api.calls import FAULTS, Call, Fault
from tests.plugins.container.kubernetes_api.errors import Refused
from tests.plugins.container.kubernetes_api.images import Images
from tests.plugins.container.kubernetes_api.managing import Json
from tests.plugins.container.kubernetes_api.objects import Objects
from tests.plugins.container.kubernetes_api.schemas import KINDS, Kind

_PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]))?"
    r"(?:/(?P<plural>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>log|proxy)(?P<rest>/.*)?)?)?)?"
)
_APPLY = "application/apply-patch+yaml"


@dataclass
class Api:
    """What answers requests.

    Attributes:
        objects: The cluster's.
        images: For what services answer.
        check_token: Says what is wrong with a token.
        forbidden: What nobody may: ``patch deployments``.
        calls: Requests that came.
        faults: Those that are still to happen.
        watcher: Is told of each request before it is answered.
    """

    objects: Objects
    images: Images
    check_token: Callable[[str], str] = field(default=lambda token: "")
    forbidden: set[str] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    watcher: Callable[[Call], None] = field(default=lambda call: None)

    def fault(self, method: str) -> str:
        """Give what is to go wrong with a request."""
        return next((f.kind for f in self.faults if f.strikes(method)), "")

    def answer(self, call: Call, fault: str = "") -> tuple[int, Any]:
        """Give status and body: an object, or text."""
        try:
            self._check_fault(call, fault)
            with self.objects.lock:
                return self._answer(call)
        except Refused as error:
            return error.code, error.status

    def _check_fault(self, call: Call, fault: str) -> None:
        if fault == "401" or self.check_token(call.token):
            raise Refused(401, "Unauthorized")
        if fault in FAULTS:
            reason, message = FAULTS[fault]
            raise Refused(int(fault), message, reason=reason)

    def _answer(self, call: Call) -> tuple[int, Any]:
        match = _PATH.fullmatch(call.path)
        if match is None:
            raise Refused(404, "the server could not find the requested resource")
        group = match["core"] or match["group"]
        kinds = [kind for kind in KINDS if kind.group == group]
        if not kinds:
            raise Refused(404, "the server could not find the requested resource")
        if match["plural"] is None:
            return 200, _discovery(group, kinds)
        kind = next((k for k in kinds if k.plural == match["plural"]), None)
        if kind is None:
            raise Refused(404, "the server could not find the requested resource")
        namespace, name = match["namespace"] or "", unquote(match["name"] or "")
        sub = f"/{match['sub']}" if match["sub"] else ""
        self._check_allowed(call, kind, f"{kind.plural}{sub}", namespace)
        if match["sub"] == "log":
            return 200, self._log(kind, namespace, name, call)
        if match["sub"] == "proxy":
            return self._proxied(namespace, name, match["rest"] or "/")
        return self._act(call, kind, namespace, name)

    def _act(self, call: Call, kind: Kind, namespace: str, name: str) -> tuple[int, Any]:
        objects, manager = self.objects, call.query.get("fieldManager", "unknown")
        if call.method == "GET":
            if name:
                return 200, objects.get(kind, namespace, name)
            return 200, self._list(call, kind, namespace)
        if call.method == "POST":
            return 201, objects.create(kind, namespace, call.body, manager)
        if call.method == "PUT":
            return 200, objects.replace(kind, namespace, call.body, manager)
        if call.method == "DELETE":
            objects.delete(kind, namespace, name)
            return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        if call.method != "PATCH":
            raise Refused(405, "the server does not allow this method on the requested resource")
        if call.kind != _APPLY:
            raise Refused(415, f"the body of the request was in an unknown format: {call.kind}")
        if "fieldManager" not in call.query:
            raise Refused(
                400, "PatchOptions.meta.k8s.io is invalid: fieldManager is required for apply patch"
            )
        return self._apply(call, kind, namespace, name)

    def _apply(self, call: Call, kind: Kind, namespace: str, name: str) -> tuple[int, Any]:
        if call.body.get("metadata", {}).get("name") != name:
            raise Refused(400, "the name of the object does not match the name on the URL")
        if (call.body.get("apiVersion"), call.body.get("kind")) != (kind.group, kind.name):
            raise Refused(400, "the kind of the object does not match the URL")
        result, new = self.objects.apply(
            kind,
            namespace,
            call.body,
            call.query["fieldManager"],
            force=call.query.get("force", "").lower() == "true",
            dry=call.query.get("dryRun") == "All",
        )
        return 201 if new else 200, result

    def _list(self, call: Call, kind: Kind, namespace: str) -> Json:
        wanted = _pairs(call.query.get("labelSelector", ""))
        about = _pairs(call.query.get("fieldSelector", ""))
        found = [
            each
            for each in self.objects.all(kind.name, namespace)
            if wanted.items() <= each["metadata"].get("labels", {}).items()
            and all(_at(each, path) == value for path, value in about.items())
        ]
        return {
            "kind": f"{kind.name}List",
            "apiVersion": kind.group,
            "metadata": {},
            "items": found,
        }

    def _log(self, kind: Kind, namespace: str, name: str, call: Call) -> str:
        pod = self.objects.get(kind, namespace, name)
        container = next(
            c
            for c in pod["spec"]["containers"]
            if c["name"] == call.query.get("container", c["name"])
        )
        lines = self.images.program(container["image"]).log.splitlines(keepends=True)
        return "".join(lines[-int(call.query.get("tailLines", "1000")) :])

    def _proxied(self, namespace: str, name: str, path: str) -> tuple[int, Any]:
        called, _, port = name.partition(":")
        service = self.objects.get(_kind("Service"), namespace, called)
        ports = [str(p.get("name", p["port"])) for p in service["spec"].get("ports", ())]
        ports += [str(p["port"]) for p in service["spec"].get("ports", ())]
        selector = service["spec"].get("selector", {})
        for pod in self.objects.all("Pod", namespace):
            labels, status = pod["metadata"].get("labels", {}), pod.get("status", {})
            ready = any(
                c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())
            )
            if port in ports and ready and selector.items() <= labels.items():
                program = self.images.program(pod["spec"]["containers"][0]["image"])
                return program.answers.get(path, (404, "not found"))
        raise Refused(503, f'no endpoints available for service "{name}"')

    def _check_allowed(self, call: Call, kind: Kind, resource: str, namespace: str) -> None:
        verb = {"GET": "get", "POST": "create", "PUT": "update"}.get(
            call.method, call.method.lower()
        )
        if f"{verb} {resource}" in self.forbidden:
            group = kind.group.rpartition("/")[0]
            raise Refused(
                403,
                f'{kind.plural}{group and "." + group} is forbidden: User "tester" cannot {verb} '
                f'resource "{resource}" in API group "{group}" in the namespace "{namespace}"',
            )


def handler(api: Api) -> type[BaseHTTPRequestHandler]:
    """Give what a server of Python's makes for each connection."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            url, kind = urlsplit(self.path), self.headers.get("Content-Type", "")
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            body = yaml.safe_load(raw) if raw else None
            call = Call(self.command, url.path, query, body, kind, token)
            api.calls.append(call)
            api.watcher(call)
            fault = api.fault(call.method)
            if fault == "drop":
                self.close_connection = True
                return
            status, answer = api.answer(call, fault)
            if fault == "lost":
                self.close_connection = True
                return
            self._send(status, answer)

        def _send(self, status: int, answer: Any) -> None:
            is_text = isinstance(answer, str)
            data = answer.encode() if is_text else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if is_text else "application/json")
            self.send_header("Content-Length", str(len(data)))
            if status == 429:
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - Python's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - Python's name
            """Write nothing."""

    return Handler


def every(seconds: float, what: Callable[[], None], ended: threading.Event) -> None:
    """Do something again and again."""
    while not ended.is_set():
        what()
        time.sleep(seconds)


def _discovery(group: str, kinds: list[Kind]) -> Json:
    verbs = ["create", "delete", "get", "list", "patch", "update"]
    resources = [
        {
            "name": k.plural,
            "kind": k.name,
            "namespaced": k.namespaced,
            "verbs": verbs,
            "singularName": "",
        }
        for k in kinds
    ]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group,
        "resources": resources,
    }


def _kind(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


def _pairs(selector: str) -> dict[str, str]:
    pairs = (each.partition("=") for each in selector.split(",") if each)
    return {name: value.removeprefix("=") for name, _, value in pairs}


def _at(body: Any, path: str) -> str:
    for step in path.split("."):
        body = body.get(step, {})
    return str(body)
