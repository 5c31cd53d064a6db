"""Outcomes from a PostgreSQL server, where one is installed: with a password, over TCP."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from mlpipe import UserError
from mlpipe_experiments.outcomequery import OutcomeQuery
from mlpipe_experiments.querying import rows

PASSWORD = "one word & another"
ACCOUNT = "postgres"


def programs() -> dict[str, str]:
    """Find the server's programs, which Debian keeps out of the path."""
    places = os.pathsep.join(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    path = f"{os.environ.get('PATH', '')}{os.pathsep}{places}"
    found = {name: shutil.which(name, path=path) for name in ("initdb", "postgres")}
    missing = [name for name, place in found.items() if place is None]
    if missing:
        pytest.skip(f"PostgreSQL is not installed: no {', '.join(missing)}")
    return {name: place for name, place in found.items() if place is not None}


def account() -> str | None:
    """Name who runs the server: it refuses to be run by root."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        return pwd.getpwnam(ACCOUNT).pw_name
    except KeyError:
        pytest.skip(f"PostgreSQL does not run as root, and there is no user {ACCOUNT}")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server's database, without the password."""
    found, user = programs(), account()
    with tempfile.TemporaryDirectory(prefix="mlpipe-pg-", ignore_cleanup_errors=True) as place:
        home = Path(place)
        (home / "password").write_text(PASSWORD)
        if user is not None:
            for path in (home, home / "password"):
                shutil.chown(path, user)
        data = home / "data"
        flags = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [found["initdb"], f"-D{data}", "-Ume", f"--pwfile={home / 'password'}", *flags],
            cwd=home,
            user=user,
            check=True,
            capture_output=True,
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [found["postgres"], f"-D{data}", "-p", str(port), *options],
                cwd=home,
                user=user,
                stdout=log,
                stderr=log,
            )
        try:
            url = f"postgresql+pg8000://me@127.0.0.1:{port}/postgres"
            fill(url)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def fill(url: str) -> None:
    """Wait for the server, and make a table: every other row is of an hour ago."""
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(url).set(password=PASSWORD))
    deadline = time.monotonic() + 60
    while True:
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(
                    "CREATE TABLE visits AS SELECT 'user ' || i AS customer, i % 4 = 0 AS bought, "
                    "1.25 AS paid, now() - interval '1 hour' * (i % 2) AS seen "
                    "FROM generate_series(1, 25000) i"
                )
        except sqlalchemy.exc.SQLAlchemyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            break
    engine.dispose()


def asked(url: str, sql: str) -> OutcomeQuery:
    return OutcomeQuery.model_validate({"sql": sql, "database": url, "password": "SHOP_PASSWORD"})


def test_rows_of_the_experiments_time(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    sql = "SELECT customer AS key, bought AS value, paid AS of FROM visits WHERE seen >= :since"
    found = list(rows(asked(server, sql), Path(), time.time() - 1800))
    assert len(found) == 12_500
    assert sum(float(row["value"]) for row in found) == 6_250
    assert {float(row["of"]) for row in found} == {1.25}


def test_what_the_server_refuses(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    with pytest.raises(UserError, match=r'the database refuses: .*"orders" does not exist'):
        list(rows(asked(server, "SELECT * FROM orders"), Path(), 0.0))
    monkeypatch.setenv("SHOP_PASSWORD", "not that one")
    with pytest.raises(UserError, match="authentication failed") as caught:
        list(rows(asked(server, "SELECT 1"), Path(), 0.0))
    assert "not that one" not in str(caught.value)
    assert "the secret is its password" in str(caught.value.fix)
    assert str(caught.value.where) == server
