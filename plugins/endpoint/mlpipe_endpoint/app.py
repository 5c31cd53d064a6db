"""What an endpoint answers over HTTP: which paths there are, and who may ask."""

import random

import orjson

from mlpipe_endpoint.admission import is_shown, too_many, unauthorized
from mlpipe_endpoint.identifiers import request_id
from mlpipe_endpoint.invoking import Desk, Invoking
from mlpipe_endpoint.messages import Request
from mlpipe_endpoint.openapi import document
from mlpipe_endpoint.replies import Reply, refusal
from mlpipe_endpoint.service import Service

_READING = ("GET", "HEAD")
_JSON = {"Content-Type": "application/json"}


class App:
    """Serves ``/invocations`` and ``/endpoints/NAME/invocations``, and what tells of them.

    Args:
        service: What is in service.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._desk = Desk(service)
        self._chance = random.Random()  # noqa: S311 - nothing secret depends on it

    @property
    def body_limit(self) -> int:
        """How many bytes a body may have."""
        return self._service.deployment.access.body

    def admit(self, request: Request) -> Reply | None:
        """Refuse who does not show the token, and what nobody answers."""
        path, method = request.path, request.method
        if path == "/ping":
            return None if method in _READING else _wrong_method("GET")
        if not is_shown(self._service.token, request.headers):
            return unauthorized()
        if path in ("/metrics", "/openapi.json"):
            return None if method in _READING else _wrong_method("GET")
        if path == "/invocations" or _endpoint_in(path) is not None:
            return None if method == "POST" else _wrong_method("POST")
        return refusal(404, "UnknownOperationException", f"There is nothing at {path}")

    def refused(self, reply: Reply) -> Reply:
        """Count what was not admitted."""
        self._desk.metrics.refused(reply.status)
        return reply.identified(request_id(self._chance))

    def handle(self, request: Request) -> None:
        """Answer what was."""
        identifier = request_id(self._chance)
        if request.path == "/ping":
            request.answer(self._ping().identified(identifier))
        elif request.path == "/metrics":
            page = self._desk.metrics.page(self._service.table)
            request.answer(page.identified(identifier))
        elif request.path == "/openapi.json":
            page = Reply(200, orjson.dumps(document(self._service.deployment)), _JSON)
            request.answer(page.identified(identifier))
        else:
            self._invocation(request, identifier)

    def _ping(self) -> Reply:
        if self._service.table.ready:
            return Reply(200, b"{}", _JSON)
        return refusal(503, "ServiceUnavailable", "no variant of the endpoint is ready")

    def _invocation(self, request: Request, identifier: str) -> None:
        endpoint = _endpoint_in(request.path)
        invoking = Invoking(self._desk, request, identifier, runtime=endpoint is not None)
        most = self._service.deployment.access.concurrency
        if endpoint not in (None, self._service.name):
            invoking.refuse(refusal(400, "ValidationError", f"Endpoint {endpoint} not found."))
        elif self._desk.in_flight >= most:
            # Bodies have arrived by now: who sends slowly takes no one's place.
            invoking.refuse(too_many(most))
        else:
            invoking.start(self._chance)


def _endpoint_in(path: str) -> str | None:
    match path.split("/"):
        case ["", "endpoints", name, "invocations"]:
            return name
    return None


def _wrong_method(wanted: str) -> Reply:
    return refusal(405, "MethodNotAllowed", f"Use {wanted}").beside(Allow=wanted)
