"""One request of a model, from the choice of its variant to the answer that is on record."""

import base64
import random
import time
from functools import partial

from mlpipe_endpoint.hosting import Host
from mlpipe_endpoint.link import OK, Answer, ModelFailed
from mlpipe_endpoint.messages import Request
from mlpipe_endpoint.metrics import Metrics
from mlpipe_endpoint.records import Capture, Invocation, Then, is_drawn
from mlpipe_endpoint.replies import KEY_HEADER, Reply, model_failure, refusal, success
from mlpipe_endpoint.routing import NoneReady, UnknownVariant
from mlpipe_endpoint.service import Service
from mlpipe_experiments.assignment import fingerprint

#: Copies of requests that a shadow variant may have before it; more are dropped.
SHADOW_QUEUE = 64

_TARGET_HEADER = "x-amzn-sagemaker-target-variant"
_INFERENCE_HEADER = "x-amzn-sagemaker-inference-id"


class Desk:
    """What all requests share.

    Attributes:
        service: What is in service.
        metrics: What is counted.
        in_flight: How many requests are being answered.
        copies: How many copies each shadow variant has before it.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.metrics = Metrics()
        self.in_flight = 0
        self.copies: dict[str, int] = {}


class Invoking:
    """A request on its way.

    Args:
        desk: What it shares with others.
        request: What came.
        identifier: Its own.
        runtime: Whether it is answered as SageMaker's Runtime does, and not its containers.
    """

    def __init__(self, desk: Desk, request: Request, identifier: str, *, runtime: bool) -> None:
        self._desk = desk
        self._request = request
        self._identifier = identifier
        self._runtime = runtime
        headers = request.headers
        self._target = headers.get(_TARGET_HEADER)
        self._key = headers.get(KEY_HEADER)
        self._content_type = headers.get("content-type") or "application/json"
        self._accept = headers.get("accept") or "*/*"
        self._arrived = time.time()
        self._started = time.perf_counter()

    def refuse(self, reply: Reply) -> None:
        """Answer that no variant was asked."""
        self._desk.metrics.refused(reply.status)
        self._request.answer(reply.identified(self._identifier))

    def start(self, chance: random.Random) -> None:
        """Ask a variant.

        Args:
            chance: Where randomness comes from.
        """
        table = self._desk.service.table
        try:
            host = table.pick(self._target, self._key, chance)
        except UnknownVariant as error:
            self.refuse(refusal(400, "ValidationError", str(error)))
            return
        except NoneReady as error:
            self.refuse(refusal(503, "ServiceUnavailable", str(error)))
            return
        self._desk.in_flight += 1
        self._ask(host, table.salt)
        if table.shadows and self._target is None:
            for shadow in table.drawn(host, chance):
                self._copy(shadow, table.salt)

    def _ask(self, host: Host, salt: str, *, shadow: bool = False) -> None:
        then = partial(self._answered, host, salt, shadow)
        host.ask(self._request.body, self._content_type, self._accept, then)

    def _copy(self, shadow: Host, salt: str) -> None:
        """Ask a shadow variant too. Its answer is recorded, and given to nobody."""
        copies, name = self._desk.copies, shadow.variant
        before = copies.get(name, 0)
        if not shadow.ready or before >= SHADOW_QUEUE:
            self._desk.metrics.dropped(name)
            return
        copies[name] = before + 1
        self._ask(shadow, salt, shadow=True)

    def _answered(self, host: Host, salt: str, shadow: bool, outcome: Answer | ModelFailed) -> None:
        latency = time.perf_counter() - self._started
        reply = self._reply(host, outcome)
        self._desk.metrics.answered(host.variant, reply.status, latency)
        invocation = Invocation(
            id=self._identifier,
            time=self._arrived,
            variant=host.variant,
            model=host.model.digest,
            targeted=self._target is not None,
            inference=self._request.headers.get(_INFERENCE_HEADER),
            key=None if self._key is None else fingerprint(self._key, salt),
            status=reply.status,
            latency=round(latency, 6),
            shadow=shadow,
        )
        if shadow:
            self._desk.copies[host.variant] -= 1
        self._record(invocation, reply)

    def _reply(self, host: Host, outcome: Answer | ModelFailed) -> Reply:
        if isinstance(outcome, ModelFailed):
            return model_failure(outcome, host.variant, runtime=self._runtime)
        return success(outcome, host.variant)

    # -- before the answer goes out -------------------------------------------------------------

    def _record(self, invocation: Invocation, reply: Reply) -> None:
        service = self._desk.service
        done = partial(self._copied if invocation.shadow else self._recorded, reply)
        if self._target is None and is_drawn(self._identifier, service.deployment.capture):
            then = partial(self._captured, invocation, done)
            service.captures.record(self._capture(invocation, reply), then)
        else:
            service.recorder.record(invocation, done)

    def _captured(self, invocation: Invocation, done: Then, failed: OSError | None) -> None:
        if failed is None:
            self._desk.service.recorder.record(invocation, done)
        else:
            done(failed)

    def _recorded(self, reply: Reply, failed: OSError | None) -> None:
        if failed is not None:
            said = f"The answer could not be recorded: {failed}"
            reply = refusal(500, "InternalFailure", said)
        self._desk.in_flight -= 1
        self._request.answer(reply.identified(self._identifier))

    def _copied(self, reply: Reply, failed: OSError | None) -> None:
        """A copy's answer is given to nobody."""

    def _capture(self, invocation: Invocation, reply: Reply) -> Capture:
        answered = reply.status == OK
        return Capture(
            id=invocation.id,
            time=invocation.time,
            variant=invocation.variant,
            content_type=self._content_type,
            body=base64.b64encode(self._request.body).decode(),
            answer_type=reply.headers["Content-Type"] if answered else "",
            answer=base64.b64encode(reply.body).decode() if answered else "",
            shadow=invocation.shadow,
        )
