"""Sources on web servers, S3 and in other repositories: real ones, on loopback."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pydantic import TypeAdapter

from mlpipe.errors import StageError
from mlpipe.testing.stages import make_stage
from mlpipe_dvc.sourceconfig import Source, is_outside
from mlpipe_dvc.sources import identify, open_source
from mlpipe_dvc.values import LocalFiles

if TYPE_CHECKING:
    from tests.plugins.dvc.conftest import Project

SOURCE: TypeAdapter[Any] = TypeAdapter(Source)
ROWS = "".join(f"{n},{n * n}\n" for n in range(50_000)).encode()


def opened(project: Project, source: object, **given: Any) -> LocalFiles:
    stage = make_stage(project.root, "prepare", **given).stage
    found = open_source(SOURCE.validate_python(source), stage)
    assert isinstance(found, LocalFiles)
    assert all(path.is_relative_to(stage.scratch) for path in found.paths)
    return found


def identity(project: Project, source: object, **given: Any) -> dict[str, str]:
    config = SOURCE.validate_python(source)
    assert is_outside(config)
    return identify(config, make_stage(project.root, "prepare", **given).stage)


def contents(found: LocalFiles) -> dict[str, bytes]:
    return {path.relative_to(found.base).as_posix(): path.read_bytes() for path in found.paths}


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing between the tests and loopback, and no credentials of whoever runs them."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


# -- http -----------------------------------------------------------------------------------


@dataclass
class Site:
    """A web server that serves one body, as it is told to.

    Attributes:
        headers: Sent with the body.
        statuses: What the next requests are answered with, in order; then 200 or 206.
        cuts: After how many bytes the next bodies are cut off.
        ranges: Whether parts may be asked for.
        heeds: Whether If-Range is.
        moved: Paths, and where they redirect to.
        asked: The requests so far: path and headers.
    """

    body: bytes = ROWS
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"one"'})
    statuses: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    heeds: bool = True
    moved: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append((handler.path, asked))
        if self.statuses:
            self._send(handler, self.statuses.pop(0), b"")
        elif handler.path in self.moved:
            self._send(handler, 302, b"", {"Location": self.moved[handler.path]})
        else:
            self._serve(handler, asked)

    def _serve(self, handler: BaseHTTPRequestHandler, asked: dict[str, str]) -> None:
        wanted, condition = asked.get("range"), asked.get("if-range")
        fresh = condition in {None, self.headers.get("ETag"), self.headers.get("Last-Modified")}
        if not (self.ranges and wanted and (fresh or not self.heeds)):
            self._send(handler, 200, self.body, self.headers)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = self.body[int(first) : int(last) + 1 if last else None]
        shown = f"bytes {first}-{int(first) + len(part) - 1}/{len(self.body)}"
        self._send(handler, 206, part, {**self.headers, "Content-Range": shown})

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
    ) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        cut = self.cuts.pop(0) if body and self.cuts else len(body)
        handler.wfile.write(b"" if handler.command == "HEAD" else body[:cut])
        handler.close_connection = True


def serve(site: Site) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        do_HEAD = do_GET  # noqa: N815 - the standard library's name

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    return server


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    """Two servers."""
    both = (Site(), Site())
    servers = [serve(site) for site in both]
    yield both
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(sites: tuple[Site, Site]) -> Site:
    return sites[0]


def test_a_file_is_downloaded(bare_project: Project, site: Site) -> None:
    found = opened(bare_project, site.url("/a/rows.csv?signature=abc"))
    assert contents(found) == {"rows.csv": ROWS}
    assert found.format == "csv"
    assert found.origin == site.url("/a/rows.csv")


def test_a_media_type_tells_what_a_name_does_not(bare_project: Project, site: Site) -> None:
    site.headers["Content-Type"] = "text/csv; charset=utf-8"
    assert opened(bare_project, site.url("/export?id=1")).format == "csv"
    site.headers["Content-Type"] = "application/octet-stream"
    with pytest.raises(StageError, match="/export: its name does not tell its format"):
        opened(bare_project, site.url("/export?id=1"))
    source = {"url": site.url("/"), "format": "jsonl"}
    assert opened(bare_project, source).format == "jsonl"


def test_an_odd_address_is_sent_as_browsers_do(bare_project: Project, site: Site) -> None:
    found = opened(bare_project, site.url("/größe 1/.%2e%2fä b.csv"))
    assert site.asked[0][0] == "/gr%C3%B6%C3%9Fe%201/.%2e%2f%C3%A4%20b.csv"
    assert [path.name for path in found.paths] == ["ä_b.csv"]


def test_a_download_that_is_cut_off_is_continued(bare_project: Project, site: Site) -> None:
    site.cuts = [100_000, 1, 200_000]
    found = opened(bare_project, site.url("/rows.csv"))
    assert contents(found) == {"rows.csv": ROWS}
    conditions = [(asked.get("range"), asked.get("if-range")) for _, asked in site.asked]
    assert conditions == [
        (None, None),
        ("bytes=100000-", '"one"'),
        ("bytes=100001-", '"one"'),
        ("bytes=300001-", '"one"'),
    ]


def test_without_ranges_it_begins_again(bare_project: Project, site: Site) -> None:
    site.ranges = False
    site.cuts = [100_000, 50]
    assert contents(opened(bare_project, site.url("/rows.csv"))) == {"rows.csv": ROWS}


def test_what_only_resembles_is_not_continued(bare_project: Project, site: Site) -> None:
    site.headers = {"ETag": 'W/"one"'}
    site.cuts = [100_000]
    assert contents(opened(bare_project, site.url("/rows.csv"))) == {"rows.csv": ROWS}
    assert "range" not in site.asked[1][1]


@pytest.mark.parametrize("heeds", [True, False])
def test_a_file_that_changes_between_is_had_whole(
    bare_project: Project, site: Site, heeds: bool
) -> None:
    site.heeds = heeds
    site.cuts = [100_000]
    serve_before = site.answer

    def changed(handler: BaseHTTPRequestHandler) -> None:
        if site.asked:
            site.body, site.headers = b"x\n" * 90_000, {"ETag": '"two"'}
        serve_before(handler)

    site.answer = changed  # type: ignore[method-assign]
    assert contents(opened(bare_project, site.url("/rows.csv"))) == {"rows.csv": b"x\n" * 90_000}


def test_a_download_that_never_ends_well_is_an_error(bare_project: Project, site: Site) -> None:
    site.ranges = False
    site.cuts = [1000] * 10
    with pytest.raises(StageError, match=r"the connection ended after 1,000 of [\d,]+ bytes"):
        opened(bare_project, site.url("/rows.csv"))
    assert len(site.asked) == 4


def test_a_server_that_is_busy_is_asked_again(bare_project: Project, site: Site) -> None:
    site.statuses = [503, 429]
    assert contents(opened(bare_project, site.url("/rows.csv"))) == {"rows.csv": ROWS}


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (401, "name the secret with the header"),
        (403, "may not have it"),
        (404, "whether the address is right"),
        (410, "taken away"),
        (418, ""),
    ],
)
def test_a_refusal_is_reported_at_once(
    bare_project: Project, site: Site, status: int, fix: str
) -> None:
    site.statuses = [status]
    with pytest.raises(StageError) as caught:
        opened(bare_project, site.url("/rows.csv?token=hidden"))
    assert caught.value.what.startswith(f"the server answers {status}")
    assert caught.value.where == site.url("/rows.csv")
    assert fix in (caught.value.fix or "")
    assert len(site.asked) == 1


def test_a_server_that_is_not_there_is_reported(bare_project: Project, site: Site) -> None:
    closed = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    closed.server_close()
    with pytest.raises(StageError, match="the server cannot be reached: Connection refused"):
        opened(bare_project, f"http://127.0.0.1:{closed.server_port}/rows.csv")


def test_secrets_are_sent_to_their_server_only(
    bare_project: Project, sites: tuple[Site, Site]
) -> None:
    site, other = sites
    site.moved = {"/old.csv": "/new", "/new": other.url("/rows.csv")}
    source = {"url": site.url("/old.csv"), "headers": {"X-Api-Key": "KEY"}}
    found = opened(bare_project, source, secrets={"KEY": "s3cret\n"})
    assert contents(found) == {"old.csv": ROWS}
    assert [asked.get("x-api-key") for _, asked in site.asked] == ["s3cret", "s3cret"]
    assert [asked.get("x-api-key") for _, asked in other.asked] == [None]


def test_secrets_are_in_no_message(bare_project: Project, site: Site) -> None:
    source = {"url": site.url("/a.csv"), "headers": {"X-Api-Key": "KEY"}}
    with pytest.raises(StageError, match='"KEY" is no secret of this stage'):
        opened(bare_project, source)
    with pytest.raises(StageError, match="holds what HTTP cannot send") as caught:
        opened(bare_project, source, secrets={"KEY": "s3cret\nX: y"})
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_bytes_are_held_against_the_digest(bare_project: Project, site: Site) -> None:
    digest = f"sha256:{hashlib.sha256(ROWS).hexdigest()}"
    source = {"url": site.url("/a.csv"), "digest": digest}
    assert contents(opened(bare_project, source)) == {"a.csv": ROWS}
    site.asked.clear()
    assert identity(bare_project, source) == {}
    assert not site.asked
    site.body = b"x\n"
    with pytest.raises(
        StageError, match=f"what the server sends is sha256:[0-9a-f]+, not {digest}"
    ):
        opened(bare_project, source)


def test_a_full_disk_is_reported(bare_project: Project, site: Site) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    folder = make_stage(bare_project.root, "prepare").stage.scratch / "source"
    folder.mkdir()
    (folder / "rows.csv").symlink_to(full)
    with pytest.raises(StageError, match="cannot be written to this machine: No space left"):
        opened(bare_project, site.url("/rows.csv"))
    assert len(site.asked) == 1


def test_a_compressed_answer_is_refused(bare_project: Project, site: Site) -> None:
    site.headers["Content-Encoding"] = "gzip"
    with pytest.raises(StageError, match=r"sends it compressed \(gzip\)"):
        opened(bare_project, site.url("/a.csv"))


def test_a_web_file_is_known_by_its_etag_or_change(bare_project: Project, site: Site) -> None:
    source = site.url("/a.csv")
    assert identity(bare_project, source) == {"source": '"one"'}
    changed = "Wed, 21 Oct 2015 07:28:00 GMT"
    site.headers = {"Last-Modified": changed}
    assert identity(bare_project, source) == {"source": f"{changed} {len(ROWS)}"}
    site.ranges = False
    assert identity(bare_project, source) == {"source": f"{changed} {len(ROWS)}"}
    site.headers = {}
    with pytest.raises(StageError, match="tells neither an ETag nor when"):
        identity(bare_project, source)


# -- s3 -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(service: str, direct: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket of the test's own, and the settings that clients find."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", service)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    name = f"data-{os.urandom(8).hex()}"
    made = boto3.resource("s3").Bucket(name)
    made.create()
    return made


def test_an_object_is_downloaded(bare_project: Project, bucket: Any) -> None:
    bucket.put_object(Key="raw/rows.csv", Body=ROWS * 20)
    found = opened(bare_project, f"s3://{bucket.name}/raw/rows.csv")
    assert contents(found) == {"rows.csv": ROWS * 20}
    assert found.format == "csv"


def test_all_below_a_prefix_is_downloaded(bare_project: Project, bucket: Any) -> None:
    for key in ("raw/", "raw/a.csv", "raw/b/c.csv", "raw/.DS_Store", "raw/b/", "rawer/d.csv"):
        bucket.put_object(Key=key, Body=key.encode())
    found = opened(bare_project, f"s3://{bucket.name}/raw/")
    assert contents(found) == {"a.csv": b"raw/a.csv", "b/c.csv": b"raw/b/c.csv"}
    assert found.format == "csv"


def test_an_endpoint_may_be_said(
    bare_project: Project, bucket: Any, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_object(Key="a.csv", Body=b"x\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    source = {"s3": f"s3://{bucket.name}/a.csv", "endpoint_url": service, "region": "us-east-1"}
    assert contents(opened(bare_project, source)) == {"a.csv": b"x\n"}


def test_a_key_that_leads_out_is_refused(bare_project: Project, bucket: Any) -> None:
    bucket.put_object(Key="raw/a//b.csv", Body=b"x\n")
    with pytest.raises(StageError, match=r'the key "raw/a//b\.csv" cannot be a file'):
        opened(bare_project, f"s3://{bucket.name}/raw/")


def test_objects_are_known_by_version_or_etag(bare_project: Project, bucket: Any) -> None:
    one, many = f"s3://{bucket.name}/raw/a.csv", f"s3://{bucket.name}/raw/"
    tag = bucket.put_object(Key="raw/a.csv", Body=b"x\n").e_tag
    first = identity(bare_project, many)
    assert identity(bare_project, one) == {"source": tag}
    bucket.put_object(Key="raw/b.csv", Body=b"x\n")
    second = identity(bare_project, many)
    bucket.put_object(Key="raw/b.csv", Body=b"y\n")
    third = identity(bare_project, many)
    assert len({each["source"] for each in (first, second, third)}) == 3
    bucket.Object("raw/b.csv").delete()
    assert identity(bare_project, many) == first
    bucket.Versioning().enable()
    version = bucket.put_object(Key="raw/a.csv", Body=b"x\n").version_id
    assert identity(bare_project, one) == {"source": version}
    assert contents(opened(bare_project, one)) == {"a.csv": b"x\n"}


def test_what_is_not_in_s3_is_named(bare_project: Project, bucket: Any) -> None:
    with pytest.raises(StageError, match=r"a: there is no such object\n.*write s3://\S+/a/\."):
        opened(bare_project, f"s3://{bucket.name}/a")
    with pytest.raises(StageError, match="there is no object below it"):
        opened(bare_project, f"s3://{bucket.name}/a/")
    for key in ("a", "a/"):
        with pytest.raises(StageError, match="there is no such bucket"):
            opened(bare_project, f"s3://no-such-bucket-here/{key}")


def test_missing_credentials_are_reported(
    bare_project: Project, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StageError, match=r"there are no AWS credentials\n.*AWS_PROFILE"):
        opened(bare_project, f"s3://{bucket.name}/a.csv")


def test_missing_boto3_names_what_to_install(
    bare_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(StageError, match=r"Install mlpipe-framework-dvc\[s3\]"):
        opened(bare_project, "s3://bucket/a.csv")


def test_a_service_that_refuses_is_reported(bare_project: Project, bucket: Any, site: Site) -> None:
    source = {"s3": "s3://bucket/a.csv", "endpoint_url": site.url("/")}
    site.answer = lambda handler: site._send(handler, 403, b"")  # type: ignore[method-assign]
    with pytest.raises(StageError, match=r"s3://bucket/a\.csv: access is denied"):
        identity(bare_project, source)


def test_a_service_that_is_not_there_is_reported(bare_project: Project, bucket: Any) -> None:
    closed = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    closed.server_close()
    endpoint = f"http://127.0.0.1:{closed.server_port}"
    with pytest.raises(StageError, match="the service cannot be reached"):
        opened(bare_project, {"s3": "s3://bucket/a.csv", "endpoint_url": endpoint})
