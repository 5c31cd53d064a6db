"""Asking a service, through the API server."""

import time

from mlpipe.errors import StageError
from mlpipe_container.kubernetes.api import Api
from mlpipe_container.kubernetes.refusals import refusal
from mlpipe_container.kubernetes.values import Wanted

#: Seconds in which a cluster has told all its nodes of new pods.
_LONGEST = 30.0
_PAUSE = 0.5
_ERRORS = 400
_FORBIDDEN = 403
#: Of the API server's own refusal; the service's answers are passed on as they are.
_BY_THE_SERVER = "is forbidden: User"


def probe(api: Api, wanted: Wanted, timeout: float) -> None:
    """Ask until the service answers with success.

    Raises:
        StageError: It does not.
    """
    asked = wanted.probe
    if asked is None:
        return
    place = f"/api/v1/namespaces/{wanted.namespace}/services/{asked.service}:{asked.port}/proxy"
    deadline = time.monotonic() + min(timeout, _LONGEST)
    while True:
        answer = api.ask(f"{place}{asked.path}")
        if 0 < answer.status < _ERRORS:
            print(f"{asked.path} answers {answer.status}", flush=True)
            return
        if answer.status == _FORBIDDEN and _BY_THE_SERVER in answer.text:
            raise refusal(answer.status, answer.text, wanted.cluster)
        if time.monotonic() >= deadline:
            break
        time.sleep(min(_PAUSE, timeout / 5))
    raise StageError(
        f"{asked.path} answers {answer.status or 'nothing'}: {answer.text[:500].strip()}",
        where=f"service {asked.service}",
        fix="Make the path of the probe answer 200 to 399, or name another one.",
    )
