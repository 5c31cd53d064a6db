"""Asking a container, or a service, whether it is well."""

import http.client
import time
from contextlib import suppress

_SECONDS = 5.0


def asked(port: int, path: str) -> str:
    """Ask a path; say why it is not well, or ``""``."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{path} does not answer: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return "" if 200 <= status < 400 else f"{path} answers {status}"


def listening(port: int) -> str:
    """Say that nobody listens on a port, or ``""``.

    A published port is the engine's, which takes connections before the program does; it closes
    them at once then.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.connect()
        time.sleep(0.05)
        assert connection.sock is not None
        connection.sock.setblocking(False)
        with suppress(BlockingIOError):
            if connection.sock.recv(1) == b"":
                return "nobody listens on its port"
    except OSError as error:
        return f"nobody listens on its port: {error}"
    finally:
        connection.close()
    return ""
