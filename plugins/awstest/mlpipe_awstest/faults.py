"""Things that go wrong with calls, when tests want it, in the words of each service."""

import json
from dataclasses import dataclass
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

from mlpipe_awstest.errors import Refused, invalid
from mlpipe_awstest.recording import Call

_KINDS = ("throttling", "error500", "denied", "timeout", "lost-response")


@dataclass
class Fault:
    """Something that goes wrong with calls of one operation.

    Attributes:
        operation: Which; ``*`` for any.
        kind: ``throttling``, ``error500``, ``denied``, ``timeout`` or ``lost-response``.
        times: How often still.
        seconds: How late a ``timeout`` answers.
        after: How many calls go well still, before.
    """

    operation: str
    kind: str
    times: int = 1
    seconds: float = 5.0
    after: int = 0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise invalid(f"{self.kind} is no kind of fault; there are {', '.join(_KINDS)}")

    def strikes(self, operation: str) -> bool:
        """Count a call; tell whether it goes wrong."""
        if self.times <= 0 or self.operation not in ("*", operation):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


def answer_of(fault: Fault, call: Call) -> Response | None:
    """Give what a call is answered, instead of taking effect, or ``None`` where it does."""
    if fault.kind == "throttling":
        if call.service == "s3":
            return refusal(call, Refused("SlowDown", "Please reduce your request rate.", 503))
        return refusal(call, Refused("ThrottlingException", "Rate exceeded"))
    if fault.kind == "denied":
        code = "AccessDenied" if call.service == "s3" else "AccessDeniedException"
        return refusal(call, Refused(code, f"You may not perform {call.operation}.", 403))
    if fault.kind == "error500":
        code = "InternalError" if call.service == "s3" else "InternalFailure"
        return refusal(call, Refused(code, "We encountered an internal error.", 500))
    return None


def refusal(call: Call, error: Refused) -> Response:
    """Give an error's answer: XML where the service's are."""
    if call.service == "s3":
        body = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
        return Response(
            f"<Error>{body}</Error>", status=error.status, content_type="application/xml"
        )
    if call.service in ("sts", "iam", "sns"):
        kind = "Sender" if error.status < 500 else "Receiver"
        body = f"<Type>{kind}</Type><Code>{error.code}</Code>"
        body = f"<Error>{body}<Message>{escape(error.message)}</Message></Error>"
        text = f"<ErrorResponse>{body}</ErrorResponse>"
        return Response(text, status=error.status, content_type="text/xml")
    said = {"__type": error.code, "message": error.message, "Message": error.message}
    return Response(
        json.dumps(said),
        status=error.status,
        content_type="application/x-amz-json-1.1",
        headers={"x-amzn-ErrorType": error.code},
    )
