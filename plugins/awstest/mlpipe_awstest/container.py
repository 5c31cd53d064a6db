"""``python -m mlpipe_awstest.container FOLDER``: a model's container, as SageMaker hosting asks it.

It prints its port and serves ``GET /ping`` and ``POST /invocations`` until standard input ends.
"""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlpipe_scriptmode as scriptmode


def main() -> None:
    """Load the model and serve it."""
    folder = Path(sys.argv[1])
    program = os.environ.get("SAGEMAKER_PROGRAM", "")
    if not program or not (folder / "code" / program).is_file():
        sys.exit(f"SAGEMAKER_PROGRAM is {program!r}, which the model's code/ does not have")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(scriptmode.load(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.buffer.read()
    os._exit(0)


def _handler(model: scriptmode.Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._say(200 if self.path == "/ping" else 404, b"", "text/plain")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind = self.headers.get("Content-Type", "application/json")
            try:
                answer, content_type = model.invoke(body, kind, self.headers.get("Accept", "*/*"))
            except scriptmode.UnsupportedContentType as error:
                self._say(415, str(error).encode(), "text/plain")
            except scriptmode.BadPayload as error:
                self._say(400, str(error).encode(), "text/plain")
            except Exception as error:
                self._say(500, repr(error).encode(), "text/plain")
            else:
                self._say(200, answer, content_type)

        def _say(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing of requests."""

    return Handler


if __name__ == "__main__":
    main()
