"""The process behind a service's port: it gives each request to a container that is well.

``python -m mlpipe_container.local.balancer FOLDER`` puts itself into the background. It reads
``wanted.json`` when it starts and on SIGHUP, and says in ``serving.json`` what it does: which
containers get requests, and which still have some of before.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import ClientSession, web

# https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
_HOP = frozenset(
    (
        *(
            "connection",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authorization",
            "proxy-connection",
        ),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    )
)
_CONNECT_SECONDS = 5.0
_LARGEST_HEADER = 64 * 1024
_PIECE = 256 * 1024


class Balancer:
    """Gives requests to containers.

    Args:
        folder: Of the service.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wanted: dict[str, Any] = {"sequence": 0, "ports": []}
        self._flying: Counter[int] = Counter()
        self._session: ClientSession | None = None

    async def serve(self) -> None:
        """Serve until SIGTERM."""
        import aiohttp
        from aiohttp import web

        self._read()
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        loop.add_signal_handler(signal.SIGHUP, self._read)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            timeout=timeout, connector=connector, auto_decompress=False
        ) as self._session:
            server = web.Server(
                self._handle,
                access_log=None,
                max_line_size=_LARGEST_HEADER,
                max_field_size=_LARGEST_HEADER,
            )
            runner = web.ServerRunner(server)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", self._wanted["port"]).start()
                self._say()
                await ended.wait()
            except OSError as error:
                self._say(error=str(error.strerror))
                return
            finally:
                await runner.cleanup()
        (self._folder / "serving.json").unlink(missing_ok=True)

    def _read(self) -> None:
        self._wanted = json.loads((self._folder / "wanted.json").read_bytes())
        if self._session is not None:
            self._say()

    def _say(self, **more: str) -> None:
        facts = {
            **more,
            "pid": os.getpid(),
            "port": self._wanted["port"],
            "sequence": self._wanted["sequence"],
            "ports": self._wanted["ports"],
            "leaving": sorted(
                port for port, n in self._flying.items() if n and port not in self._wanted["ports"]
            ),
        }
        writing = self._folder / ".serving"
        writing.write_text(json.dumps(facts))
        writing.replace(self._folder / "serving.json")

    async def _handle(self, request: "web.BaseRequest") -> "web.StreamResponse":
        import aiohttp
        from aiohttp import web

        tried: set[int] = set()
        while (port := self._next(tried)) is not None:
            tried.add(port)
            self._flying[port] += 1
            try:
                return await self._passed(request, port)
            except aiohttp.ClientConnectorError:
                continue  # nobody has seen the request: another may
            except (TimeoutError, aiohttp.ClientError) as error:
                return _refusal(502, f"the service broke off: {type(error).__name__}")
            finally:
                self._flying[port] -= 1
                if not self._flying[port] and port not in self._wanted["ports"]:
                    self._say()
        return web.json_response({"error": "no container of the service answers"}, status=503)

    def _next(self, tried: set[int]) -> int | None:
        """Give the container that has least to do."""
        left = [port for port in self._wanted["ports"] if port not in tried]
        return min(left, key=lambda port: self._flying[port], default=None)

    async def _passed(self, request: "web.BaseRequest", port: int) -> "web.StreamResponse":
        from aiohttp import web
        from yarl import URL

        assert self._session is not None
        url = URL(f"http://127.0.0.1:{port}{request.raw_path}", encoded=True)
        async with self._session.request(
            request.method,
            url,
            headers=_passing(request.headers) + _forwarded(request),
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in _passing(answer.headers):
                response.headers.add(name, value)
            await response.prepare(request)
            async for piece in answer.content.iter_chunked(_PIECE):
                await response.write(piece)
            await response.write_eof()
            return response


def _passing(headers: Any) -> list[tuple[str, str]]:
    named = {each.strip().lower() for each in headers.get("Connection", "").split(",")}
    return [(k, v) for k, v in headers.items() if k.lower() not in _HOP and k.lower() not in named]


def _forwarded(request: "web.BaseRequest") -> list[tuple[str, str]]:
    return [("X-Forwarded-For", request.remote or ""), ("X-Forwarded-Host", request.host)]


def _refusal(status: int, text: str) -> "web.StreamResponse":
    from aiohttp import web

    return web.json_response({"error": text}, status=status)


def main() -> int:
    """Fork, so that the service is nobody's child, and serve."""
    folder = Path(sys.argv[1])
    if os.fork():
        return 0
    asyncio.run(Balancer(folder).serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
