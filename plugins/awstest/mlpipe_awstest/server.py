"""The emulator's HTTP server: moto, jobs that really run, faults, and a record of calls."""

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from mlpipe_awstest.cloud import ACCOUNT, REGION, SERVICE_KEY, Cloud
from mlpipe_awstest.errors import Refused, invalid, not_emulated
from mlpipe_awstest.faults import Fault, answer_of, refusal
from mlpipe_awstest.recording import Call, call_of
from mlpipe_awstest.sagemaker import SageMaker

CONTROL = "/_mlpipe/"
#: Where ECR says that images are.
_ECR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


@dataclass
class Application:
    """The WSGI application.

    Attributes:
        cloud: What jobs talk to.
        calls: Those that came, but for the service's own.
        registry: Host and port of what stands for ECR's registry; ECR's own name if empty.
        faults: Those that are still to happen.
    """

    cloud: Cloud
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    registry: str = ""
    _moto: Any = field(default_factory=lambda: DomainDispatcherApplication(create_backend_app))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.sagemaker = SageMaker(self.cloud)

    def __call__(self, environ: Any, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        request = Request(environ)
        if request.path.startswith(CONTROL):
            return self._control(request)(environ, start)
        environ["wsgi.input"] = io.BytesIO(body := request.get_data())
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        call = call_of(environ, body)
        fault = self._note(call)
        if fault is not None and (refused := answer_of(fault, call)) is not None:
            return refused(environ, start)
        response = self._answer(call, environ)
        if fault is not None and fault.kind == "timeout":
            time.sleep(fault.seconds)
        if fault is not None and fault.kind == "lost-response":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("the answer is lost on purpose")
        return response(environ, start)

    def _note(self, call: Call) -> Fault | None:
        if call.key == SERVICE_KEY or not call.operation:
            return None
        with self._lock:
            self.calls.append(call)
            for fault in self.faults:
                if fault.strikes(call.operation):
                    return fault
        return None

    def _answer(self, call: Call, environ: Any) -> Response:
        try:
            if call.service == "sagemaker" and call.operation:
                own = self.sagemaker.answer(call.operation, call.parameters)
                if own is not None:
                    return _json(_whole(own))
            if call.operation == "InvokeEndpoint":
                return self._invoke(call, Request(environ))
            response = self._ask_moto(call, environ)
        except Refused as error:
            return refusal(call, error)
        if call.service == "sagemaker" and (said := response.get_json(silent=True)):
            response.set_data(json.dumps(_whole(said)))
        if call.service == "ecr" and self.registry:
            response.set_data(response.get_data(as_text=True).replace(_ECR, self.registry))
        return response

    def _invoke(self, call: Call, request: Request) -> Response:
        status, body, headers = self.sagemaker.hosting.invoke(
            call.parameters["EndpointName"], request.get_data(), dict(request.headers)
        )
        return Response(body, status, headers)

    def _ask_moto(self, call: Call, environ: Any) -> Response:
        what = f"{call.service or 'a request without signature'}: {call.operation or 'what it is'}"
        try:
            response = Response.from_app(self._moto, environ)
        except NotImplementedError:
            raise not_emulated(what) from None
        except Exception as error:
            raise not_emulated(f"{what}, at which moto failed ({error!r}),") from error
        if response.status_code == 500 and response.mimetype == "text/html":
            raise not_emulated(what)
        return response

    # -- what tests ask for -----------------------------------------------------------------------

    def _control(self, request: Request) -> Response:
        asked = request.path.removeprefix(CONTROL)
        given = request.get_json(silent=True) or {}
        commands: Mapping[str, Callable[..., Any]] = {
            "fault": lambda **given: self.faults.append(Fault(**given)),
            "heal": self.faults.clear,
            "fate": self.sagemaker.doom,
            "image": self.sagemaker.image,
            "registry": self._stand_in,
            "reset": self._reset,
            "calls": lambda: [
                [c.key, c.service, c.operation, dict(c.parameters)] for c in list(self.calls)
            ],
        }
        try:
            if asked not in commands:
                raise invalid(f"there is no command {asked}")
            return _json(commands[asked](**given))
        except (Refused, TypeError) as error:
            return Response(str(error), status=400)

    def _stand_in(self, host: str) -> None:
        self.registry = host

    def _reset(self) -> None:
        self.registry = ""
        self.faults.clear()
        self.sagemaker.reset()
        self.calls.clear()
        environ = EnvironBuilder(path="/moto-api/reset", method="POST").get_environ()
        Response.from_app(self._moto, environ)


def _json(value: Any) -> Response:
    return Response(json.dumps(value, default=str), content_type="application/x-amz-json-1.1")


def _whole(value: Any) -> Any:
    """Leave out what is empty: the service never sends it, and the SDK's models refuse it."""
    if isinstance(value, Mapping):
        inner = {name: _whole(each) for name, each in value.items()}
        return {name: each for name, each in inner.items() if each is not None and each != {}}
    return [_whole(each) for each in value] if isinstance(value, list | tuple) else value
