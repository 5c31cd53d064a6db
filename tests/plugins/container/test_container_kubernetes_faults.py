"""Clusters that are busy, refuse, or break off; tokens; deploys that are killed."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlpipe.errors import StageError
from mlpipe_aws import settings
from mlpipe_container.kubernetes.access import access
from mlpipe_container.kubernetes.api import Api
from mlpipe_container.kubernetes.config import KubernetesConfig
from mlpipe_container.kubernetes.deploying import Manner, carry_out, described
from mlpipe_container.kubernetes.refusals import Refusal
from mlpipe_container.kubernetes.rollout import Limits, Overtaken
from mlpipe_container.kubernetes.tokens import Tokens, signer
from mlpipe_container.kubernetes.values import Service
from mlpipe_container.kubernetes.wanting import wanted as wanted_of
from tests.plugins.container.kubernetes_api import Program
from tests.plugins.container.kubernetes_api.calls import Call
from tests.plugins.container.kubernetes_api.tokens import problem
from tests.plugins.container.kubernetes_site import TARGET, Site, digest, opened

MADE = ["create services/scorer", "create deployments/scorer", "create configmaps/mlpipe-scorer"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with opened(tmp_path, monkeypatch) as site:
        yield site


# -- passing faults ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["429", "500", "503", "drop", "lost"])
def test_calls_are_repeated_and_take_effect_once(site: Site, kind: str) -> None:
    site.cluster.fault(kind, "GET", times=2, after=1)
    site.cluster.fault(kind, "PATCH", times=2, after=2)  # the first that are no dry run
    site.deploy(site.image(1))
    assert site.cluster.changes == MADE
    assert site.running() == [digest(1)] * 2
    assert site.plan(site.image(1)) == ()


def test_what_does_not_pass_is_said(site: Site) -> None:
    api = Api(access(settings(TARGET), "prod"), pauses=(0.001, 0.001))
    site.cluster.fault("500", times=100)
    with pytest.raises(Refusal, match="etcdserver: request timed out"):
        api.get("/api/v1")
    assert len(site.cluster.api.calls) == 8


def test_an_api_that_is_away_for_a_while_ends_no_rollout(site: Site) -> None:
    image = site.image(1)
    config = KubernetesConfig(cluster="prod")
    wanted = wanted_of(config, Service("scorer", 8000), image, site.root)
    api = Api(access(settings(TARGET), "prod"), pauses=(0.001, 0.001))

    def fail(call: Call) -> None:
        if call.path.endswith("/pods"):
            site.cluster.api.watcher = lambda call: None
            site.cluster.fault("503", times=20)

    site.cluster.api.watcher = fail
    manner = Manner(force=False, limits=Limits(20, 1))
    carry_out(api, wanted, described(api, wanted, force=False), manner)
    assert site.cluster.api.faults[0].times == 0
    assert site.running() == [digest(1)]


def test_what_is_forbidden_is_not_repeated(site: Site) -> None:
    site.cluster.api.forbidden.add("patch deployments")
    with pytest.raises(StageError) as refused:
        site.deploy(site.image(1))
    refused.match("cannot patch resource")
    refused.match("aws eks associate-access-policy --cluster-name prod")
    assert site.cluster.changes == []


def test_a_cluster_that_cannot_be_reached(site: Site) -> None:
    found = access(settings(TARGET), "prod")
    gone = type(found)("prod", "https://127.0.0.1:9", found.authority, found.tokens)
    with pytest.raises(Refusal, match="the API server cannot be reached") as refused:
        Api(gone, pauses=(0.001, 0.001)).get("/api/v1")
    refused.match("a private endpoint is reached from its VPC only")


def test_a_cluster_with_another_certificate(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    found = access(settings(TARGET), "prod")
    with opened(other, pytest.MonkeyPatch()) as elsewhere:
        authority = elsewhere.cluster.certificate.decode()
        wrong = type(found)("prod", found.endpoint, authority, found.tokens)
        with pytest.raises(Refusal, match="CERTIFICATE_VERIFY_FAILED"):
            Api(wrong, pauses=(0.001, 0.001)).get("/api/v1")
    assert site.cluster.api.calls == []


def test_clusters_that_are_not_there(site: Site) -> None:
    with pytest.raises(StageError, match='EKS has no cluster "test" in eu-west-1') as refused:
        site.plan(site.image(1), cluster="test")
    refused.match("aws eks list-clusters --region eu-west-1")
    site.cluster.status = "CREATING"
    with pytest.raises(StageError, match='the cluster "prod" is CREATING'):
        site.plan(site.image(1))


def test_a_probe_that_is_forbidden_is_not_waited_for(site: Site) -> None:
    site.cluster.api.forbidden.add("get services/proxy")
    with pytest.raises(StageError, match="cannot get resource"):
        site.deploy(site.image(1), timeout=60)


def test_events_and_logs_are_not_needed(site: Site) -> None:
    site.cluster.api.forbidden |= {"get events", "get pods/log"}
    with pytest.raises(StageError, match="CrashLoopBackOff"):
        site.deploy(site.image(1, Program(crashes=True)))
    with pytest.raises(StageError, match="0 of 2 ready"):
        site.deploy(site.image(2, Program(ready=False)), timeout=0.3)


def test_another_deploy_meanwhile_stays(site: Site) -> None:
    site.deploy(site.image(1))
    other, applied = site.image(3), threading.Event()

    def overtake(call: Call) -> None:
        if call.path.endswith("/pods") and not applied.is_set():
            applied.set()
            apps: Any = site.apps()
            there = apps.read_namespaced_deployment("scorer", "default")
            there.spec.template.spec.containers[0].image = other.reference
            apps.replace_namespaced_deployment("scorer", "default", there)

    site.cluster.api.watcher = overtake
    with pytest.raises(Overtaken, match=f"something else asked for .*{digest(3)} meanwhile"):
        site.deploy(site.image(2, Program(seconds=5)))
    deployment = site.cluster.get("Deployment", "scorer")
    assert deployment is not None
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == other.reference


# -- tokens ---------------------------------------------------------------------------------------


def test_a_token_is_for_one_cluster_and_a_quarter_of_an_hour(site: Site) -> None:
    token, keys = signer(settings(TARGET), "prod")(), site.cluster.keys
    assert token.startswith("k8s-aws-v1.")
    assert "=" not in token
    assert problem(token, "prod", keys) == ""
    assert problem(token, "test", keys) == "a wrong signature"
    assert problem(token, "prod", dict.fromkeys(keys, "another")) == "a wrong signature"
    now = datetime.now(UTC)
    assert problem(token, "prod", keys, now + timedelta(minutes=14)) == ""
    assert problem(token, "prod", keys, now + timedelta(minutes=16)) == "expired"


def test_a_token_is_renewed_before_it_expires() -> None:
    made, clock = iter(("one", "two", "three")), [0.0]
    tokens = Tokens(lambda: next(made), lambda: clock[0])
    seen = []
    for minutes in (0, 5, 11.9, 12.1, 20, 24.2):
        clock[0] = minutes * 60
        seen.append(tokens.current())
    assert seen == ["one", "one", "one", "two", "two", "three"]


def test_a_token_that_expires_half_way_is_renewed(site: Site) -> None:
    image = site.image(1, Program(seconds=1.7))
    expiring = threading.Timer(1.1, site.cluster.expire)
    expiring.start()
    site.deploy(image)
    expiring.join()
    assert len({call.token for call in site.cluster.api.calls}) == 2
    assert site.cluster.changes == MADE


def test_a_role_that_the_cluster_does_not_know(site: Site) -> None:
    site.cluster.keys.clear()
    with pytest.raises(StageError, match="Unauthorized") as refused:
        site.plan(site.image(1))
    refused.match("aws eks create-access-entry --cluster-name prod")
    assert len(site.cluster.api.calls) == 2


# -- kills ----------------------------------------------------------------------------------------

KILLED = """
import sys
from pathlib import Path
from tests.plugins.container.kubernetes_site import REPOSITORY, Site, digest
from mlpipe_container.kubernetes.values import Image
site = Site(Path(sys.argv[1]), None)
site.deploy(Image(REPOSITORY, digest(2), "1.2.0", f"{2:040x}"))
"""


def is_change(call: Call) -> bool:
    return call.method == "PATCH" and "dryRun" not in call.query


POINTS: dict[str, Callable[[Call], bool]] = {
    "before anything": lambda call: is_change(call) and "/services/" in call.path,
    "between objects": lambda call: is_change(call) and "/deployments/" in call.path,
    "while waiting": lambda call: call.path.endswith("/pods"),
    "at the probe": lambda call: "/proxy" in call.path,
    "before the note": lambda call: is_change(call) and "/configmaps/" in call.path,
}


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_deploy_is_continued(site: Site, point: str) -> None:
    site.deploy(site.image(1))
    second, before = site.image(2), len(site.cluster.changes)
    killed = threading.Event()

    def kill(call: Call) -> None:
        if POINTS[point](call) and not killed.is_set():
            killed.set()
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            raise ConnectionAbortedError("nobody waits for an answer")

    site.cluster.api.watcher = kill
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(site.root)])
    assert process.wait(60) == -signal.SIGKILL
    assert killed.is_set()
    assert site.plan(second) != ()
    site.deploy(second)
    assert site.cluster.changes[before:] == [
        "update services/scorer",
        "update deployments/scorer",
        "update configmaps/mlpipe-scorer",
    ]
    assert site.running() == [digest(2)] * 2
    assert site.plan(second) == ()


def test_a_deploy_that_was_killed_with_a_bad_image_does_not_count(site: Site) -> None:
    """What is brought back is what was verified, not what happened to be there."""
    site.deploy(site.image(1))
    site.image(2, Program(crashes=True))
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(site.root)])
    waits = threading.Event()

    def look(call: Call) -> None:
        if call.path.endswith("/pods"):
            process.kill()
            waits.set()

    site.cluster.api.watcher = look
    assert waits.wait(60)
    process.wait(60)
    site.cluster.api.watcher = lambda call: None
    with pytest.raises(StageError, match=r"1\.1\.0 is in service again"):
        site.deploy(site.image(3, Program(crashes=True)))
    assert site.running() == [digest(1)] * 2
