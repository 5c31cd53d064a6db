"""One download over HTTP, in as many attempts as it takes."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from mlpipe.errors import StageError
from mlpipe_dvc.sources.local import unwritable

# Without a new byte, an attempt fails after this many seconds.
_SILENCE = 60.0
# So many attempts may bring nothing new; the pauses between them double.
_ATTEMPTS = 4
_FIRST_PAUSE = 0.5
# A server that asks for a longer pause than this many seconds is not waited for.
_LONGEST_PAUSE = 30.0
_CHUNK = 1 << 20
_RETRIED = {408, 425, 429, 500, 502, 503, 504}
_ADVICE = {
    401: "It wants to know who asks: name the secret with the header, as"
    " headers: {Authorization: SECRET_NAME}.",
    403: "Whoever asks may not have it. See the address, and the secrets in headers.",
    404: "See whether the address is right.",
    410: "It was taken away.",
}


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on a server.

    Attributes:
        url: Its address.
        label: The address as it may be shown.
        headers: What to send to its server and, after a redirect, to no other.
    """

    url: str
    label: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class _Interrupted(Exception):
    """An attempt failed in a way that another may not.

    Args:
        what: What happened.
        pause: How long the server asks to wait, in seconds.
        anew: Whether what is there already is of no use.
    """

    def __init__(self, what: str, pause: float = 0, *, anew: bool = False) -> None:
        super().__init__(what)
        self.pause = pause
        self.anew = anew


class _Partial:
    """What of a file is there already, and what shows that the rest belongs to it.

    Args:
        path: Where it is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._validator = ""

    @property
    def size(self) -> int:
        """How many bytes are there."""
        return self._path.stat().st_size if self._path.exists() else 0

    def conditions(self) -> dict[str, str]:
        """Give the headers that ask for the rest, or for all if the file has changed."""
        if not self._validator or not self.size:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self._validator}

    def discard(self) -> None:
        """Begin at the beginning next time."""
        self._validator = ""

    def add(self, response: HTTPResponse) -> None:
        """Write an answer: the rest of the file, or all of it."""
        headers, have = response.headers, self.size
        whole = response.status != HTTPStatus.PARTIAL_CONTENT
        if not whole and not self._continues(headers):
            raise _Interrupted("the server sends another part than it was asked for", anew=True)
        length = headers["Content-Length"]
        expected = (0 if whole else have) + int(length) if (length or "").isdigit() else None
        if whole:
            self._validator = _validator(headers)
        with self._path.open("wb" if whole else "ab") as stream:
            for chunk in _chunks(response):
                stream.write(chunk)
        if expected not in (None, self.size):
            raise _Interrupted(f"the connection ended after {self.size:,} of {expected:,} bytes")

    def _continues(self, headers: Message) -> bool:
        same = _validator(headers) in {"", self._validator}  # not all servers heed If-Range
        return same and str(headers["Content-Range"]).startswith(f"bytes {self.size}-")


class _Redirects(HTTPRedirectHandler):
    """Follows redirects; what may be secret goes to the first server only."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following and _server(newurl) == _server(req.full_url):
            for name, value in req.unredirected_hdrs.items():
                following.add_unredirected_header(name, value)
        return following


def ask(remote: Remote) -> Message:
    """Give the headers that the file is sent with.

    Raises:
        StageError: The server does not give it.
    """

    def once() -> Message:
        # Not HEAD: servers refuse it, and so do addresses that are signed for GET.
        with _open(remote, {"Range": "bytes=0-0"}) as response:
            return response.headers

    return _patiently(once, remote)


def download(remote: Remote, path: Path) -> Message:
    """Write the file to a new path.

    Returns:
        The headers that it was sent with.

    Raises:
        StageError: It cannot be had as a whole, or there is no room for it.
    """
    partial = _Partial(path)

    def once() -> Message:
        with _open(remote, partial.conditions()) as response:
            encoding = response.headers["Content-Encoding"] or "identity"
            if encoding != "identity":
                raise StageError(
                    f"the server sends it compressed ({encoding}), which it was not asked for",
                    where=remote.label,
                )
            partial.add(response)
            return response.headers

    try:
        return _patiently(once, remote, partial)
    except OSError as error:
        raise unwritable(error, remote.label) from error


def _patiently(
    once: Callable[[], Message], remote: Remote, partial: _Partial | None = None
) -> Message:
    """Try again while that may help: for as long as bytes arrive, else a few times."""
    failures = reached = 0
    while True:
        try:
            return once()
        except _Interrupted as error:
            if partial and error.anew:
                partial.discard()
            size = partial.size if partial else 0
            failures = 1 if size > reached else failures + 1
            reached = max(reached, size)
            if failures >= _ATTEMPTS or error.pause > _LONGEST_PAUSE:
                raise StageError(
                    str(error), where=remote.label, fix="Run again when the server is well."
                ) from error
            time.sleep(max(error.pause, _FIRST_PAUSE * 2 ** (failures - 1)))


def _open(remote: Remote, conditions: dict[str, str]) -> HTTPResponse:
    plain = {"Accept-Encoding": "identity", "User-Agent": "mlpipe", **conditions}
    request = Request(remote.url, headers=plain)  # noqa: S310 - sourceconfig takes http(s) only
    for name, value in remote.headers.items():
        request.add_unredirected_header(name, value)
    try:
        response: HTTPResponse = _opener().open(request, timeout=_SILENCE)
        return response
    except HTTPError as error:
        with error:
            raise _refusal(error, remote) from None
    except URLError as error:
        raise _unreached(error.reason, remote) from error
    except (InvalidURL, ValueError):
        # Its message would repeat the headers.
        what = "the address or a header holds what HTTP cannot send"
        raise StageError(what, where=remote.label) from None
    except (OSError, HTTPException) as error:
        raise _Interrupted(f"the server does not answer: {error}") from error


def _opener() -> OpenerDirector:
    opener = OpenerDirector()  # the usual one would follow redirects to ftp: too
    for handler in (
        ProxyHandler(),
        UnknownHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        _Redirects(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _refusal(error: HTTPError, remote: Remote) -> Exception:
    said = f"the server answers {error.code} {error.reason}".rstrip()
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return _Interrupted(said, anew=True)
    if error.code in _RETRIED:
        pause = error.headers["Retry-After"] or ""
        return _Interrupted(said, float(pause) if pause.isdigit() else 0)
    return StageError(said, where=remote.label, fix=_ADVICE.get(error.code))


def _unreached(reason: str | BaseException, remote: Remote) -> Exception:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return StageError(
            f"the server cannot be trusted: {reason.verify_message}",
            where=remote.label,
            fix="For an authority of your own, name its certificates in SSL_CERT_FILE.",
        )
    detail = getattr(reason, "strerror", None) or reason
    return _Interrupted(f"the server cannot be reached: {detail}")


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(_CHUNK)
        except (OSError, HTTPException) as error:
            raise _Interrupted(f"the connection broke: {error}") from error
        if not chunk:
            return
        yield chunk


def _validator(headers: Message) -> str:
    """Give what stands for these very bytes; a weak ETag stands for similar ones only."""
    tag = str(headers["ETag"] or "")
    return tag if tag.startswith('"') else str(headers["Last-Modified"] or "")


def _server(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
