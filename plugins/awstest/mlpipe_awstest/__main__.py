"""``python -m mlpipe_awstest``: serve, print the address, end with whoever started it."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from mlpipe_awstest.cloud import Cloud
from mlpipe_awstest.server import Application


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args: object) -> None:
        """Say nothing of requests: tests ask for the calls."""


def main() -> None:
    """Serve until standard input ends, as it does when the starter is gone."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    parser = argparse.ArgumentParser(prog="python -m mlpipe_awstest", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any that is free")
    port = parser.parse_args().port
    folder = Path(tempfile.mkdtemp(prefix="mlpipe-aws-"))
    cloud = Cloud("", folder)
    application = Application(cloud)
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=_Quiet)
    cloud.url = f"http://127.0.0.1:{server.server_port}"
    print(cloud.url, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        sys.stdin.buffer.read()
    finally:
        application.sagemaker.reset()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)  # threads of jobs that were cut off need not be waited for


if __name__ == "__main__":
    main()
