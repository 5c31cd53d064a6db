"""MLflow's server in the foreground, on a project's tracking store."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from mlpipe import UserError
from mlpipe_mlflow.location import artifact_root, is_new, shown, tracking_uri

#: How long the server has to end by itself once asked to, in seconds.
PATIENCE = 10.0

#: The list of experiments, in the view that MLflow has for model training; its own first page
#: is the one for language models.
_PAGE = "#/experiments?workflowType=machine_learning"


def serve(root: Path, configured: str | None, host: str, port: int) -> int:
    """Run MLflow's server until it is stopped.

    Args:
        root: The project's folder.
        configured: The store, where the user names one.
        host: The address to listen at.
        port: The port; 0 for any that is free.

    Returns:
        An exit code: 0 where the user stopped it.

    Raises:
        UserError: There is nothing to show, or the port is taken.
    """
    uri = _store(root, configured)
    port = _free(host, port)
    address = f"[{host}]" if ":" in host else host
    url = f"http://{address}:{port}/{_PAGE}"
    print(f"{url}  shows {shown(uri)} · Ctrl-C stops it", file=sys.stderr, flush=True)
    return _until_stopped(_command(root, host, port), root, _environment(uri))


def _store(root: Path, configured: str | None) -> str:
    uri = tracking_uri(configured, root)
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        raise UserError(
            f"{shown(uri)} is a tracking server, which has pages of its own",
            fix="Open it in a browser.",
        )
    if is_new(uri, root):
        raise UserError(
            "nothing was tracked here yet",
            where=uri.removeprefix("sqlite:///"),
            fix="Run a recipe that has  observers: {mlflow: {}}, or name a store: --tracking-uri.",
        )
    return uri


def _free(host: str, port: int) -> int:
    """Give the port, or a free one for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise UserError(
                f"cannot listen at port {port}: {error.strerror}",
                where=f"{host}:{port}",
                fix="Name another with --port, or 0 for any that is free.",
            ) from error
        return int(listener.getsockname()[1])


def _command(root: Path, host: str, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", host, "--port", str(port), "--workers", "1"),
        *("--default-artifact-root", artifact_root(root).as_uri()),
        *("--uvicorn-opts", "--log-level warning"),
    ]


def _environment(uri: str) -> dict[str, str]:
    """Give the server's variables. The store is among them: a password is no argument."""
    return {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # These are for the judges of language models, and three processes.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _until_stopped(command: list[str], folder: Path, environment: dict[str, str]) -> int:
    """Run a command; pass Ctrl-C and SIGTERM on to all its processes, a second one as SIGKILL."""
    came: list[int] = []
    started: list[subprocess.Popen[bytes]] = []

    def stop(number: int, _: FrameType | None) -> None:
        came.append(number)
        for process in started:
            _signal(process, signal.SIGTERM if len(came) == 1 else signal.SIGKILL)

    with _handling(stop):
        process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)
        started.append(process)
        if came:  # before there was a process to pass it on to
            _signal(process, signal.SIGTERM)
        code = process.wait()
        _end(process)
    return 0 if came else code


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Leave nothing of the server behind."""
    deadline = time.monotonic() + PATIENCE
    while _signal(process, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(process, signal.SIGKILL)


def _signal(process: "subprocess.Popen[bytes]", number: int) -> bool:
    """Signal the server's process group; tell whether there is one."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
