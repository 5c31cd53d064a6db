"""Tokens for clusters at EKS: a signed request to STS, which says who asks."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlpipe_aws import Settings, client, failing

_PREFIX = "k8s-aws-v1."
_HEADER = "x-k8s-aws-id"
#: Seconds for which STS itself would take the request; a cluster takes it for longer.
_SIGNED = 60
#: Seconds after which a token is renewed. A cluster takes it for 15 minutes.
_LIFE = 12 * 60.0


@dataclass
class Tokens:
    """Gives a token, and another one before it expires.

    Attributes:
        make: Makes one.
        clock: Seconds.
    """

    make: Callable[[], str]
    clock: Callable[[], float] = time.monotonic
    _token: str = field(default="", repr=False)
    _made: float = 0.0

    def current(self) -> str:
        """Give a token that is taken for some minutes still."""
        if not self._token or self.clock() - self._made >= _LIFE:
            self.renew()
        return self._token

    def renew(self) -> None:
        """Make another one: the last was refused."""
        self._token, self._made = self.make(), self.clock()


def signer(settings: Settings, cluster: str) -> Callable[[], str]:
    """Give what makes tokens for a cluster, with the credentials that are there then."""
    return lambda: _token(client(settings, "sts"), cluster)


def _token(sts: Any, cluster: str) -> str:
    """Sign a request for this cluster only: its name is in a signed header."""

    def add_header(request: Any, **_: Any) -> None:
        request.headers[_HEADER] = cluster

    sts.meta.events.register("before-sign.sts.GetCallerIdentity", add_header)
    with failing("no token can be made for the cluster", cluster):
        url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=_SIGNED, HttpMethod="GET")
    return _PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
