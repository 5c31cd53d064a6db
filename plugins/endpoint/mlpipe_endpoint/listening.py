"""The HTTP server of an endpoint: its connections, and what they may take together."""

import asyncio
import socket
from email.utils import formatdate

from mlpipe_endpoint.connection import Connection
from mlpipe_endpoint.messages import Handler
from mlpipe_endpoint.replies import Reply, refusal

#: Bytes of requests that are being read, or wait for their answer.
HELD_BYTES = 256 * 1024 * 1024
#: Seconds between looks for clients that are late.
_LOOK_SECONDS = 0.5


class HttpServer:
    """Accepts connections until it is closed.

    Args:
        handler: Who answers.
        connections: How many there may be at once; who comes then is refused.
        held: How many bytes of bodies there may be at once, of all connections.
    """

    def __init__(self, handler: Handler, connections: int, held: int = HELD_BYTES) -> None:
        self.handler = handler
        self.loop = asyncio.get_running_loop()
        self.date = formatdate(usegmt=True)
        self._most_connections = connections
        self._most_held = held
        self._held = 0
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to accept.

        Args:
            listener: Bound, and listening.
        """
        self._server = await self.loop.create_server(lambda: Connection(self), sock=listener)
        self._look()

    def _look(self) -> None:
        self.date = formatdate(usegmt=True)
        now = self.loop.time()
        for connection in list(self._connections):
            connection.expire(now)
        self._timer = self.loop.call_later(_LOOK_SECONDS, self._look)

    async def close(self, patience: float) -> None:
        """Accept no more, let what was begun be answered, and end.

        Args:
            patience: Seconds that it may take.
        """
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.finish()
        try:
            async with asyncio.timeout(patience):
                while self._connections:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
        if self._timer is not None:
            self._timer.cancel()

    # -- for connections ------------------------------------------------------------------------

    def joined(self, connection: Connection) -> Reply | None:
        """Count a connection; give what to tell one that is too many."""
        self._connections.add(connection)
        if len(self._connections) <= self._most_connections:
            return None
        said = f"There are {self._most_connections} connections, the most allowed"
        return refusal(503, "ServiceUnavailable", said)

    def left(self, connection: Connection) -> None:
        """Count a connection no more."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def hold(self, count: int) -> bool:
        """Take room for some bytes, if there is."""
        if self._held + count > self._most_held:
            return False
        self._held += count
        return True

    def release(self, count: int) -> None:
        """Give room back."""
        self._held -= count

    def too_much(self) -> Reply:
        """Refuse a body that there is no room for now."""
        said = f"The bodies of all requests together have more than {self._most_held} bytes"
        reply = refusal(429, "ThrottlingException", said)
        return Reply(reply.status, reply.body, {**reply.headers, "Retry-After": "1"})
