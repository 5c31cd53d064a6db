"""Vulnerabilities and licences of packages."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from mlpipe_checks import advisories, cvss, spdx
from mlpipe_checks.packages import Package, packages
from mlpipe_checks.values import Severity, Trouble
from tests.plugins.checks.check_projects import Checked, Project, is_gate

Check = Callable[..., Checked]


def _advisory(name: str, package: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    affected = {"package": {"name": package, "ecosystem": "PyPI"}, "ranges": ranges}
    return {"id": name, "summary": f"{name} is bad", "affected": [affected], **more}


DATABASE = (
    _advisory(
        "GHSA-0001",
        "Requests",
        {"introduced": "0"},
        {"fixed": "2.20.0"},
        aliases=["CVE-2018-0001"],
        database_specific={"severity": "CRITICAL"},
    ),
    _advisory(
        "PYSEC-2",
        "requests",
        {"introduced": "2.0"},
        {"fixed": "2.31"},
        severity=[
            {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:C/C:H/I:N/A:N"},
        ],
    ),
    _advisory("PYSEC-3", "requests", {"introduced": "2.21"}),
    _advisory("PYSEC-4", "requests", {"introduced": "0"}, withdrawn="2020-01-01T00:00:00Z"),
    _advisory("PYSEC-5", "other", {"introduced": "0"}),
)


@pytest.fixture
def database(project: Project) -> Path:
    folder = project.root / "osv"
    for each in DATABASE:
        path = folder / "PyPI" / f"{each['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(each))
    return folder


# -- a folder of advisories ----------------------------------------------------------------------


def test_packages_are_held_against_a_folder_of_advisories(
    project: Project, check: Check, database: Path
) -> None:
    project.write(
        {
            "requirements.txt": (
                "# what is used\n"
                "requests[socks]==2.19.0 \\\n    --hash=sha256:0a\n"
                'colorama==0.4 ; sys_platform == "win32"\n'
                "-r more.txt\n"
            ),
            "more.txt": "no-such-package>=1  # not pinned\n",
        }
    )
    audit = {"tool": "pip-audit", "advisories": "osv"}
    done = check(security=[audit])
    assert is_gate(done.error)
    assert done.found() == [
        ("pip-audit", "GHSA-0001", "requirements.txt", 2),
        ("pip-audit", "PYSEC-2", "requirements.txt", 2),
        ("pip-audit", "not-audited", "more.txt", 1),
    ]
    assert "critical  pip-audit  GHSA-0001  requirements.txt:2  requests 2.19.0: " in done.said
    assert "GHSA-0001 is bad (GHSA-0001, CVE-2018-0001; fixed in 2.20.0)" in done.said
    assert done.metrics["findings.critical"] == 1
    assert done.metrics["findings.medium"] == 2
    ignored = {**audit, "ignore": ["CVE-2018-0001", "PYSEC-2"]}
    assert [rule for _, rule, *_ in check(security=[ignored]).found()] == ["not-audited"]


def test_packages_that_are_installed_are_audited(
    project: Project, check: Check, database: Path
) -> None:
    installed = json.dumps(_advisory("PYSEC-9", "PyYAML", {"introduced": "0"}))
    (database / "PYSEC-9.json").write_text(installed)
    done = check(security=[{"tool": "pip-audit", "advisories": "osv"}])
    assert ("pip-audit", "PYSEC-9", "", 0) in done.found()


@pytest.mark.parametrize(
    ("events", "version", "affected"),
    [
        ([{"introduced": "0"}], "7", True),
        ([{"introduced": "1.0"}, {"fixed": "1.5"}], "1.4.9", True),
        ([{"introduced": "1.0"}, {"fixed": "1.5"}], "1.5", False),
        ([{"introduced": "1.0"}, {"fixed": "1.5"}], "1.5rc1", True),
        ([{"introduced": "1.0"}, {"last_affected": "1.5"}], "1.5", True),
        ([{"introduced": "1.0"}, {"last_affected": "1.5"}], "1.5.post1", False),
        ([{"introduced": "1.0"}, {"last_affected": "1.5"}], "1.6", False),
        (
            [{"fixed": "2.1"}, {"introduced": "2.0"}, {"fixed": "1.5"}, {"introduced": "0"}],
            "2",
            True,
        ),
        ([{"introduced": "0"}, {"fixed": "1.5"}, {"introduced": "2.0"}], "1.7", False),
        ([{"introduced": "0"}, {"fixed": "1.5"}, {"introduced": "2.0"}], "3", True),
    ],
)
def test_ranges_are_evaluated_as_osv_says(
    tmp_path: Path, events: list[dict[str, str]], version: str, affected: bool
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(_advisory("A", "a", *events)))
    [advisory] = advisories.read(tmp_path)["a"]
    assert advisory.affects(Version(version)) == affected


@pytest.mark.parametrize(
    ("vector", "score"),
    [  # examples of FIRST's: https://www.first.org/cvss/v3-1/examples
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),
        ("CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", 7.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
    ],
)
def test_scores_are_those_of_the_standard(vector: str, score: float) -> None:
    assert cvss.base_score(vector) == score


def test_an_advisory_without_a_severity_is_high() -> None:
    assert cvss.severity_of({}, {}) is Severity.HIGH


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"osv/README.md": "none"}, "there are no advisories in osv"),
        ({"osv/a.json": "{"}, "a.json is no advisory of OSV's"),
        ({"osv/a.json": '{"affected": [{"package": {"ecosystem": "PyPI"}}]}'}, "a.json is no"),
    ],
)
def test_advisories_that_cannot_be_read_are_told(
    project: Project, check: Check, files: dict[str, str], said: str
) -> None:
    project.write({f"../{name}": text for name, text in files.items()})
    done = check(security=[{"tool": "pip-audit", "advisories": "osv"}])
    assert said in done.said
    assert not is_gate(done.error)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-e ./here\n", 'requirements.txt:1: "-e ./here" names no package of an index'),
        ("\n-r none.txt\n", "requirements.txt:2: there is no none.txt"),
        ("a==1\nhttps://example.com/b.whl\n", "requirements.txt:2"),
    ],
)
def test_requirements_that_cannot_be_read_are_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "requirements.txt").write_text(text)
    with pytest.raises(Trouble) as raised:
        packages([], tmp_path)
    assert said in raised.value.what


def test_a_range_is_of_the_version_that_is_installed(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("PyYAML>=5\nPyYAML<1\nSix==1.16.*\n")
    [some, none, wild] = packages(["in.txt"], tmp_path)
    assert some == Package("pyyaml", some.version, "in.txt", 1)
    assert Version(some.version) >= Version("6")
    assert none.version == ""
    assert wild.version in ("", "1.16.0")


# -- pip-audit, which asks a service --------------------------------------------------------------


@dataclass
class Osv:
    """A service that speaks OSV's API, on loopback."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200


@contextmanager
def serving(osv: Osv) -> Iterator[Osv]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = asked["package"]["name"], asked["version"]
            osv.asked.append((name, version))
            vulns = [each for each in DATABASE[:2] if name == "requests"]
            named = json.loads(json.dumps(vulns).replace('"Requests"', '"requests"'))
            self._answer(json.dumps({"vulns": named} if named else {}).encode())

        def _answer(self, body: bytes) -> None:
            self.send_response(osv.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    osv.url = f"http://127.0.0.1:{server.server_port}/v1/query"
    try:
        yield osv
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_pip_audit_asks_a_service(project: Project, check: Check) -> None:
    project.write({"requirements.txt": "requests==2.19.0\nidna==3.7\n"})
    with serving(Osv()) as osv:
        audit = {"tool": "pip-audit", "service": "osv", "url": osv.url}
        done = check(security=[audit])
        assert sorted(osv.asked) == [("idna", "3.7"), ("requests", "2.19.0")]
        ignoring = check(security=[{**audit, "ignore": ["PYSEC-2", "GHSA-0001"]}])
    assert is_gate(done.error)
    assert done.found() == [
        ("pip-audit", "CVE-2018-0001", "requirements.txt", 1),
        ("pip-audit", "PYSEC-2", "requirements.txt", 1),
    ]
    assert "fixed in 2.20.0" in done.said
    assert ignoring.error is None, ignoring.said


def test_a_service_that_fails_is_no_clean_answer(project: Project, check: Check) -> None:
    project.write({"requirements.txt": "requests==2.19.0\n"})
    with serving(Osv(status=503)) as osv:
        audit = {"tool": "pip-audit", "service": "osv", "url": osv.url}
        done = check(security=[audit])
    assert "pip-audit: it did not give a report" in done.said
    assert not is_gate(done.error)


def test_pip_audit_wants_exact_versions(project: Project, check: Check) -> None:
    project.write({"requirements.txt": "\nno-such-package>=2\n"})
    done = check(security=["pip-audit"])
    assert "requirements.txt:2: no-such-package has no exact version" in done.said


# -- licences ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "allowed", "denied", "fine"),
    [
        ("MIT", {"MIT"}, set(), True),
        ("MIT", {"Apache-2.0"}, set(), False),
        ("MIT", set(), {"MIT"}, False),
        ("MIT", set(), {"GPL-3.0-only"}, True),
        ("MIT OR GPL-3.0-only", set(), {"GPL-3.0-only"}, True),
        ("MIT AND GPL-3.0-only", set(), {"GPL-3.0-only"}, False),
        ("GPL-3.0-only OR MIT AND Apache-2.0", {"MIT", "Apache-2.0"}, set(), True),
        ("(GPL-3.0-only OR MIT) AND Apache-2.0", {"MIT", "GPL-3.0-only"}, set(), False),
        ("(GPL-3.0-only OR MIT) AND Apache-2.0", {"MIT", "Apache-2.0"}, set(), True),
        ("Apache-2.0 WITH LLVM-exception", {"Apache-2.0"}, set(), True),
        ("Apache-2.0 WITH LLVM-exception", set(), {"Apache-2.0 WITH LLVM-exception"}, False),
    ],
)
def test_expressions_are_held_against_lists(
    expression: str, allowed: set[str], denied: set[str], fine: bool
) -> None:
    assert spdx.allows(expression, allowed, denied) == fine


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("License-Expression", "mit or apache-2.0")], "MIT OR Apache-2.0"),
        ([("License", "BSD 3-Clause License")], "BSD-3-Clause"),
        ([("License", "Apache-2.0")], "Apache-2.0"),
        ([("Classifier", "License :: OSI Approved :: MIT License")], "MIT"),
        (
            [
                ("Classifier", "License :: OSI Approved :: MIT License"),
                ("Classifier", "License :: OSI Approved :: Apache Software License"),
            ],
            "MIT OR Apache-2.0",
        ),
        ([("Classifier", "License :: OSI Approved :: Somebody's License")], None),
        ([("License", "see the file")], None),
        ([], None),
    ],
)
def test_metadata_says_the_licence(fields: list[tuple[str, str]], licence: str | None) -> None:
    facts = Message()
    for name, value in fields:
        facts[name] = value
    assert spdx.licence_of(facts) == licence


def test_licences_of_packages_are_checked(project: Project, check: Check) -> None:
    project.write({"requirements.txt": "PyYAML\npackaging\nno-such-package\n"})
    licences = {"tool": "licences", "allow": ["mit"]}
    done = check(security=[licences])
    assert is_gate(done.error)
    assert done.found() == [
        ("licences", "not-allowed", "requirements.txt", 2),
        ("licences", "not-installed", "requirements.txt", 3),
    ]
    assert "packaging has the licence Apache-2.0 OR BSD-2-Clause, which is not allowed" in done.said
    fine = {"tool": "licences", "allow": ["MIT", "BSD-2-Clause"], "ignore": ["no-such-package"]}
    assert check(security=[fine]).error is None
