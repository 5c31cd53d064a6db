"""A mail server that wants encryption and a password."""

import datetime
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.notify.notify_project import Notifying

PASSWORD = "mail-canary-6604"


def certificate(folder: Path) -> Path:
    """Make a certificate of localhost that is its own authority; give the file with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "localhost.pem"
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    pem = serialization.Encoding.PEM
    file.write_bytes(key.private_bytes(pem, form, plain) + built.public_bytes(pem))
    return file


class Box:
    """Keeps what is sent, and who sent it."""

    def __init__(self) -> None:
        self.senders: list[str] = []

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> Any:
        """Let in whoever knows the password."""
        from aiosmtpd.smtp import AuthResult

        known = (data.login, data.password) == (b"bot", PASSWORD.encode())
        return AuthResult(success=known, auth_data=data.login.decode(), handled=False)

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        self.senders.append(session.auth_data)
        return "250 OK"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Box, int, Path]]:
    """The server, its port, and the authority that vouches for it."""
    from aiosmtpd.controller import Controller

    file = certificate(tmp_path_factory.mktemp("certificate"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    box = Box()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=box.authenticate,
        auth_required=True,
    )
    controller.start()
    yield box, port, file
    controller.stop()


def test_a_password_goes_to_who_is_trusted_only(
    project: Notifying, server: tuple[Box, int, Path]
) -> None:
    box, port, authority = server
    mail = f"host: localhost, port: {port}, to: [a@b.test], user: bot, password: MAIL"
    project.write(
        "p.yaml",
        f"name: p\nnotify: {{ops: {{email: {{{mail}}}}}}}\n"
        "stages: {a: {uses: shell.build, with: {command: 'true'}}}\n",
    )
    command = ("notify", "test", "ops", "-r", "p")
    trusted = {"SSL_CERT_FILE": str(authority)}
    answer = project.mlpipe(*command, MAIL=PASSWORD, **trusted)
    assert (answer.code, box.senders) == (0, ["bot"]), answer.err
    wrong = project.mlpipe(*command, MAIL="wrong-canary-6604", **trusted)
    assert "refused the log-in: check user: and the password" in wrong.err
    doubtful = project.mlpipe(*command, MAIL=PASSWORD)
    assert f"the certificate of localhost:{port} is not trusted" in doubtful.err
    assert "canary" not in wrong.err + doubtful.err
    assert box.senders == ["bot"]
