"""Tokens of EKS, checked as the cluster's authenticator and STS together do."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit

_PREFIX = "k8s-aws-v1."
_LIFE = timedelta(minutes=15)


def problem(token: str, cluster: str, keys: Mapping[str, str], now: datetime | None = None) -> str:
    """Say what is wrong with a token, or ``""``.

    Args:
        token: Of the header ``Authorization``.
        cluster: The name that must be signed.
        keys: Secret access keys by access key, of those who may come in.
        now: The time at which it is looked at.
    """
    if not token.startswith(_PREFIX):
        return "no token of EKS"
    encoded = token.removeprefix(_PREFIX)
    url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    query = dict(parse_qsl(urlsplit(url).query))
    if query.get("Action") != "GetCallerIdentity":
        return "not GetCallerIdentity"
    if "x-k8s-aws-id" not in query["X-Amz-SignedHeaders"].split(";"):
        return "the cluster's name is not signed"
    signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if not timedelta(minutes=-5) <= (now or datetime.now(UTC)) - signed < _LIFE:
        return "expired"
    access, *scope = query["X-Amz-Credential"].split("/")
    if access not in keys:
        return "an unknown access key"
    expected = _signature(url, query, scope, cluster, keys[access])
    return "" if hmac.compare_digest(expected, query["X-Amz-Signature"]) else "a wrong signature"


def _signature(
    url: str, query: Mapping[str, str], scope: list[str], cluster: str, secret: str
) -> str:
    """Compute Signature Version 4 of the request that a token stands for."""
    parts = urlsplit(url)
    pairs = sorted((k, v) for k, v in query.items() if k != "X-Amz-Signature")
    canonical = "\n".join(
        [
            "GET",
            parts.path or "/",
            "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs),
            f"host:{parts.netloc}",
            f"x-k8s-aws-id:{cluster}",
            "",
            query["X-Amz-SignedHeaders"],
            hashlib.sha256(b"").hexdigest(),
        ]
    )
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            query["X-Amz-Date"],
            "/".join(scope),
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{secret}".encode()
    for step in scope:
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
