"""The process that serves an endpoint, detached from whoever started it.

``python -m mlpipe_endpoint.server FOLDER NAME HOST PORT FD`` returns at once; the server that it
leaves behind writes one JSON line to FD: ``{"port": …}`` when it listens, or ``{"error": …}``.
It starts with nothing in service, and learns over its control socket what to serve.
"""

import asyncio
import base64
import json
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpipe_endpoint import control, logs, processes
from mlpipe_endpoint.admission import digest_of
from mlpipe_endpoint.state import EndpointFolder, ServerProcess
from mlpipe_endpoint.values import Deployment, Probe

#: Seconds between looks whether the state on disk still names this server.
_WATCH_SECONDS = 1.0
#: Seconds that requests in flight get when the server is stopped.
_GRACE_SECONDS = 10
#: Connections at once, where the system allows as many, and files open beside them.
_CONNECTIONS = 4096
_OTHER_FILES = 256


def main() -> int:
    """Detach, and serve until stopped."""
    if os.fork():
        # Not this process's exit handlers: they belong to the one that goes on.
        os._exit(0)
    import uvloop

    folder, name, host = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    port, report = int(sys.argv[4]), int(sys.argv[5])
    try:
        listener = _bind(host, port)
    except OSError as error:
        _report(report, {"error": error.strerror or str(error)})
        return 1
    with tempfile.TemporaryDirectory(prefix="mlpipe-") as private:
        server = Server(name, EndpointFolder(folder), listener, Path(private) / "control")
        # The event loop of libuv takes half of asyncio's time for a small request.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.run(report))
    return 0


def _bind(host: str, port: int) -> socket.socket:
    # asyncio turns Nagle's delay off for sockets that say their protocol only.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(1024)
    return listener


def _most_connections() -> int:
    """Ask for as many open files as connections may take; give how many they are then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OTHER_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(_CONNECTIONS, soft - _OTHER_FILES)


def _report(descriptor: int, message: Mapping[str, Any]) -> None:
    with os.fdopen(descriptor, "w") as pipe:
        json.dump(message, pipe)


class Server:
    """HTTP in front, workers behind, the control socket at the side.

    Args:
        name: The endpoint's.
        folder: Its state.
        listener: The HTTP socket, listening.
        socket_path: Where the control socket will be.
    """

    def __init__(
        self, name: str, folder: EndpointFolder, listener: socket.socket, socket_path: Path
    ) -> None:
        from mlpipe_endpoint.service import Service

        self._folder = folder
        self._listener = listener
        self._socket_path = socket_path
        self._port = listener.getsockname()[1]
        self._service = Service(name, self._port, folder)
        self._stopping = asyncio.Event()

    async def run(self, report: int) -> None:
        """Serve until told to stop.

        Args:
            report: The descriptor to say on that it listens.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        controls = await control.listen(self._socket_path, self._handlers())
        self._claim()
        logs.capture()
        logs.note("info", f"endpoint {self._service.name} listens on port {self._port}")
        _report(report, {"port": self._port})
        try:
            await self._serve_http()
        finally:
            controls.close()
            await self._service.close()
            logs.note("info", "the endpoint has stopped")
            if self._is_ours():
                self._folder.process.unlink(missing_ok=True)

    async def _serve_http(self) -> None:
        from mlpipe_endpoint.app import App
        from mlpipe_endpoint.listening import HttpServer

        http = HttpServer(App(self._service), _most_connections())
        await http.start(self._listener)
        await self._until_stopped()
        await http.close(_GRACE_SECONDS)

    async def _until_stopped(self) -> None:
        """Wait for the order to stop, or for the state on disk to disown this server."""
        while not self._stopping.is_set() and self._is_ours():
            try:
                await asyncio.wait_for(self._stopping.wait(), _WATCH_SECONDS)
            except TimeoutError:
                continue

    def _claim(self) -> None:
        pid = os.getpid()
        place = str(self._folder.path.resolve())
        known_as = processes.identity(pid) or ""
        self._folder.claim(ServerProcess(pid, known_as, self._port, str(self._socket_path), place))

    def _is_ours(self) -> bool:
        recorded = self._folder.recorded()
        return recorded is not None and recorded.control == str(self._socket_path)

    def _handlers(self) -> Mapping[str, control.Handler]:
        return {
            "describe": self._describe,
            "apply": self._apply,
            "weigh": self._weigh,
            "confirm": self._confirm,
            "stop": self._stop,
        }

    async def _describe(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        table = self._service.table
        return {
            "deployment": self._service.deployment.to_json(),
            "verified": self._service.verified,
            "token": digest_of(self._service.token),
            "workers": {name: host.pid for name, host in table.hosts.items()},
            "spares": {name: host.spare_pids for name, host in table.hosts.items()},
        }

    async def _apply(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        probe = request["probe"]
        if probe is not None:
            probe = Probe(base64.b64decode(probe["body"]), probe["content_type"], probe["accept"])
        wanted = Deployment.from_json(request["deployment"])
        await self._service.apply(wanted, probe, request["token"])
        return {}

    async def _weigh(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._service.weigh(request["weights"])
        return {"weights": dict(self._service.deployment.weights)}

    async def _confirm(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self._service.confirm()
        return {}

    async def _stop(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self._stopping.set()
        return {}


if __name__ == "__main__":
    sys.exit(main())
