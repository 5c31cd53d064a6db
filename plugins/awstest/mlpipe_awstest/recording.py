"""Which API call an HTTP request is."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

import botocore.session  # noqa: TID253 - only the server imports this
from botocore.exceptions import UnknownServiceError  # noqa: TID253 - the same

_SCOPE = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/aws4_request")
_CBOR = re.compile(r"/service/[^/]+/operation/([^/]+)$")
#: REST services that sign as another one.
_SIGNED_AS = {"sagemaker": "sagemaker-runtime"}
_LABEL = re.compile(r"\\{(\w+)(\\\+)?\\}")


@dataclass(frozen=True, slots=True)
class Call:
    """An API call.

    Attributes:
        key: The access key that signed it.
        service: As its signature says, as ``s3``.
        operation: As boto3's models call it; empty for a request that is none.
        parameters: Of JSON services the request; of others what path and query say, as ``Bucket``,
            ``Key``, ``Prefix``.
    """

    key: str
    service: str
    operation: str
    parameters: Mapping[str, Any]


def call_of(environ: Mapping[str, Any], body: bytes) -> Call:
    """Read which call a request is from its signature, headers, path and body."""
    signed = _SCOPE.search(str(environ.get("HTTP_AUTHORIZATION", "")))
    if signed is None:
        return Call("", "", "", {})
    key, service = signed.groups()
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    if target:
        return Call(key, service, target.rpartition(".")[2], _json(body))
    if cbor := _CBOR.search(str(environ.get("PATH_INFO", ""))):
        return Call(key, service, cbor.group(1), {})
    fields = dict(parse_qsl(body.decode("latin-1"))) if routes(service) == () else {}
    if "Action" in fields:
        return Call(key, service, fields["Action"], fields)
    return _routed(environ, key, _SIGNED_AS.get(service, service))


@dataclass(frozen=True, slots=True)
class Route:
    """What the requests of an operation of a REST service look like.

    Attributes:
        operation: Its name.
        method: Of HTTP.
        path: With a group for each parameter that it has.
        literals: Fields of the query that are always there.
        needed: Fields of the query, and
        headers: headers, without which it would be another operation.
        names: What its fields of the query are called as parameters.
    """

    operation: str
    method: str
    path: re.Pattern[str]
    literals: Mapping[str, str]
    needed: frozenset[str]
    headers: frozenset[str]
    names: Mapping[str, str]

    @property
    def detail(self) -> int:
        """How much must be there."""
        return len(self.literals) + len(self.needed) + len(self.headers)

    def fits(self, method: str, query: Mapping[str, str], environ: Mapping[str, Any]) -> bool:
        """Tell whether a request, whose path does, is one of this operation."""
        return (
            method == self.method
            and all(query.get(name) == value for name, value in self.literals.items())
            and self.needed <= query.keys()
            and all(f"HTTP_{h.upper().replace('-', '_')}" in environ for h in self.headers)
        )


@cache
def routes(service: str) -> tuple[Route, ...]:
    """Give the routes of a REST service, most detailed first; of others none."""
    try:
        model = botocore.session.get_session().get_service_model(service)
    except UnknownServiceError:
        return ()
    if not model.protocol.startswith("rest"):
        return ()
    found = _routes(model)
    return tuple(sorted(found, key=lambda route: route.detail, reverse=True))


def _routes(model: Any) -> Iterator[Route]:
    for name in model.operation_names:
        operation = model.operation_model(name)
        if operation.deprecated:
            continue
        path, _, query = operation.http["requestUri"].partition("?")
        shape = operation.input_shape
        members = shape.members if shape is not None else {}
        places: dict[str, dict[str, str]] = {"querystring": {}, "header": {}}
        for member, inner in members.items():
            location = inner.serialization.get("location")
            if location in places:
                places[location][member] = inner.serialization.get("name", member)
        required = set(shape.required_members) if shape is not None else set()
        yield Route(
            name,
            operation.http["method"],
            _pattern(path),
            dict(parse_qsl(query, keep_blank_values=True)),
            frozenset(n for m, n in places["querystring"].items() if m in required),
            frozenset(n for m, n in places["header"].items() if m in required),
            {n: m for m, n in places["querystring"].items()},
        )


def _pattern(path: str) -> re.Pattern[str]:
    def group(label: re.Match[str]) -> str:
        return f"(?P<{label.group(1)}>{'.+' if label.group(2) else '[^/]+'})"

    return re.compile(_LABEL.sub(group, re.escape(path)) + "/?")


def _routed(environ: Mapping[str, Any], key: str, service: str) -> Call:
    path = str(environ.get("PATH_INFO", ""))
    fields = parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)
    query = {name: values[0] for name, values in fields.items()}
    method = str(environ["REQUEST_METHOD"])
    for route in routes(service):
        if route.fits(method, query, environ) and (found := route.path.fullmatch(path)):
            said = {name: unquote(value) for name, value in found.groupdict().items()}
            said |= {m: query[n] for n, m in route.names.items() if n in query}
            return Call(key, service, route.operation, said)
    return Call(key, service, "", {})


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
