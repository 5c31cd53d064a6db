"""Lets a Python process talk to this machine alone: first on ``PYTHONPATH``, Python imports it.

What tries to reach another machine, or asks for its address, fails, and is written to the file
that ``MLPIPE_GUARD`` names. It sees what goes through Python's own sockets; libraries that bring
their own in C or Rust are not seen.
"""

import ipaddress
import os
import socket
import sys
from typing import Any

VARIABLE = "MLPIPE_GUARD"
_TO_ADDRESS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_TO_NAME = ("socket.getaddrinfo", "socket.gethostbyname")


def hook(event: str, args: tuple[Any, ...]) -> None:
    """Refuse events of sockets that lead elsewhere, while ``MLPIPE_GUARD`` is set.

    Raises:
        PermissionError: This one does.
    """
    if not event.startswith("socket.") or VARIABLE not in os.environ:
        return
    if event in _TO_ADDRESS:
        where, address = args[:2]
        if where.family in (socket.AF_INET, socket.AF_INET6) and address is not None:
            _check(address[0], address)
    elif event in _TO_NAME:
        _check(args[0], args[0])


def _check(host: Any, where: object) -> None:
    if _is_here(host.decode() if isinstance(host, bytes) else str(host or "")):
        return
    with open(os.environ[VARIABLE], "a", encoding="utf-8") as stream:  # noqa: PTH123
        stream.write(f"{where}\n")
    raise PermissionError(f"this process may talk to this machine only, not to {where}")


def _is_here(host: str) -> bool:
    if host in ("", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


if VARIABLE in os.environ:
    sys.addaudithook(hook)
