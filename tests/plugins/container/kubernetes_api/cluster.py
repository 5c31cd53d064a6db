"""A cluster as tests have it: its address, what is in it, what is to go wrong."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.plugins.container.kubernetes_api import certificates, server, tokens
from tests.plugins.container.kubernetes_api.calls import Fault
from tests.plugins.container.kubernetes_api.images import Images, Program
from tests.plugins.container.kubernetes_api.managing import Json
from tests.plugins.container.kubernetes_api.objects import Objects
from tests.plugins.container.kubernetes_api.rollout import Controllers

ACCESS_KEY, SECRET_KEY = "AKIATESTER0000000000", "none"
REGION = "eu-west-1"


@dataclass
class Cluster:
    """A running emulator of one cluster at EKS.

    Attributes:
        name: As EKS knows it.
        images: What its nodes can pull.
        objects: What is in it.
        api: What answers.
        status: As EKS says it.
        keys: Secret access keys of those who may come in, by access key.
        expired: Tokens that are taken no more.
    """

    name: str
    images: Images
    objects: Objects
    api: server.Api
    controllers: Controllers
    url: str = ""
    eks_url: str = ""
    certificate: bytes = b""
    status: str = "ACTIVE"
    keys: dict[str, str] = field(default_factory=lambda: {ACCESS_KEY: SECRET_KEY})
    expired: set[str] = field(default_factory=set)

    def environment(self) -> dict[str, str]:
        """Give variables with which clients of EKS and STS come here."""
        return {
            "AWS_ENDPOINT_URL_EKS": self.eks_url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def program(self, digest: str, program: Program | None = None) -> str:
        """Put an image into the registry; give its digest."""
        self.images.programs[digest] = program or Program()
        return digest

    def namespace(self, name: str) -> str:
        """Make a namespace."""
        self.put("Namespace", {"metadata": {"name": name}}, namespace="")
        return name

    def put(self, kind: str, body: Json, namespace: str = "default") -> None:
        """Put an object there, as a controller does."""
        with self.objects.lock:
            self.objects.put(kind, namespace, body)

    def get(self, kind: str, name: str, namespace: str = "default") -> Json | None:
        """Give an object."""
        with self.objects.lock:
            return self.objects.find(kind, namespace, name)

    def pods(self, namespace: str = "default") -> list[Json]:
        """Give the pods."""
        with self.objects.lock:
            return list(self.objects.all("Pod", namespace))

    def expire(self) -> None:
        """Take no token any more that came so far."""
        self.expired |= {call.token for call in self.api.calls}

    def problem(self, token: str) -> str:
        """Say what is wrong with a token, or ``""``."""
        return "expired" if token in self.expired else tokens.problem(token, self.name, self.keys)

    def fault(self, kind: str, method: str = "*", *, times: int = 1, after: int = 0) -> None:
        """Let the next requests go wrong; see ``Fault``."""
        self.api.faults.append(Fault(kind, method, times, after))

    @property
    def changes(self) -> list[str]:
        """What clients changed."""
        return list(self.objects.changes)

    def describe(self) -> Json:
        """Give what ``eks.describe_cluster`` does."""
        data = base64.b64encode(self.certificate).decode()
        return {
            "cluster": {
                "name": self.name,
                "arn": f"arn:aws:eks:{REGION}:123456789012:cluster/{self.name}",
                "endpoint": self.url,
                "status": self.status,
                "version": "1.33",
                "certificateAuthority": {"data": data},
            }
        }


@contextmanager
def start(folder: Path, name: str = "prod") -> Iterator[Cluster]:
    """Start a cluster; it ends with the block."""
    objects, images = Objects(), Images()
    api = server.Api(objects, images)
    found = Cluster(name, images, objects, api, Controllers(objects, images))
    api.check_token = found.problem
    file, found.certificate = certificates.make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    found.namespace("default")
    ended = threading.Event()
    with _serving(server.handler(api), context) as port, _serving(_eks(found)) as eks_port:
        found.url = f"https://127.0.0.1:{port}"
        found.eks_url = f"http://127.0.0.1:{eks_port}"
        work = threading.Thread(
            target=server.every, args=(0.01, found.controllers.step, ended), daemon=True
        )
        work.start()
        try:
            yield found
        finally:
            ended.set()
            work.join()


@contextmanager
def _serving(
    handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> Any:
            connection, address = super().get_request()
            if context is not None:
                connection = context.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            return connection, address

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that are killed break their connections."""

    listening = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield listening.server_address[1]
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def _eks(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    """Give the part of EKS's own API that says where a cluster is."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer ``DescribeCluster``."""
            found = self.path == f"/clusters/{cluster.name}"
            asked = self.path.rpartition("/")[2]
            body = (
                cluster.describe() if found else {"message": f"No cluster found for name: {asked}."}
            )
            data = json.dumps(body).encode()
            self.send_response(200 if found else 404)
            if not found:
                self.send_header("x-amzn-ErrorType", "ResourceNotFoundException")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - Python's name
            """Write nothing."""

    return Handler
