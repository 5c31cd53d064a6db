"""What callers of a running endpoint see."""

import asyncio
import http.client
import itertools
import os
import signal
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from prometheus_client.parser import text_string_to_metric_families

import mlpipe_scriptmode
from mlpipe_endpoint import control, processes
from mlpipe_endpoint.hosting import Host
from mlpipe_endpoint.link import ModelFailed
from mlpipe_endpoint.values import Model
from tests.plugins.endpoint.endpoint_project import Answer, Project, request

BOTH = {"champion": 90, "challenger": 10}
RUNTIME = "/endpoints/churn/invocations"


@pytest.fixture
def port(project: Project, pair: dict[str, Path]) -> int:
    return int(project.deploy(pair, traffic=BOTH).values["port"])


@pytest.fixture
def runtime(lasting: Project) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{lasting.port()}",
        region_name="eu-west-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}),
    )


def to(variant: str) -> dict[str, str]:
    return {"X-Amzn-SageMaker-Target-Variant": variant}


def worker_pid(project: Project, variant: str) -> int:
    server = project.backend.folder("churn").server()
    assert server is not None
    return int(control.ask(server.control, "describe", timeout=5)["workers"][variant])


@contextmanager
def load(port: int, threads: int = 4) -> Iterator[list[Answer]]:
    """Keep asking meanwhile."""
    answers: list[Answer] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answers.append(request(port))

    workers = [threading.Thread(target=ask) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield answers
    finally:
        done.set()
        for worker in workers:
            worker.join()


@pytest.mark.parametrize("kind", ["text/€", "text/plain\\r\\nX-Mine: 1"])
def test_a_content_type_that_is_none_is_the_models_fault(project: Project, kind: str) -> None:
    script = f"""
        def model_fn(folder):
            return 1

        def predict_fn(rows, model):
            return rows

        def output_fn(prediction, accept):
            return b"here", "{kind}"
    """
    project.deploy({"champion": project.model("red", script)}, spares=0)
    for _ in range(2):
        answer = request(project.port())
        assert (answer.status, answer.headers["X-Mine"]) == (500, None)
        assert "it answered with the content type 'text/" in answer.json["Message"]


def test_boto3_reaches_both_variants(runtime: Any) -> None:
    for variant, name in (("champion", "red"), ("challenger", "blue")):
        answer = runtime.invoke_endpoint(
            EndpointName="churn",
            TargetVariant=variant,
            ContentType="application/json",
            Accept="application/json",
            SessionId="somebody",
            Body=b"[[1, 2], [3, 4]]",
        )
        assert answer["InvokedProductionVariant"] == variant
        assert answer["ContentType"] == "application/json"
        assert answer["Body"].read().replace(b" ", b"") == b'["%b","%b"]' % ((name.encode(),) * 2)


@pytest.mark.parametrize(
    ("arguments", "code", "status", "said"),
    [
        ({"EndpointName": "other"}, "ValidationError", 400, "Endpoint other not found"),
        ({"TargetVariant": "third"}, "ValidationError", 400, "Variant third not found"),
        ({"Body": b"[[-1]]"}, "ModelError", 424, "negative rows are not for me"),
        ({"Body": b"{nonsense"}, "ModelError", 424, r"client error \(400\)"),
        ({"ContentType": "image/png"}, "ModelError", 424, r"client error \(415\)"),
        ({"Body": b"0" * (6 * 1024 * 1024 + 1)}, "RequestEntityTooLarge", 413, "6291456"),
    ],
    ids=["endpoint", "variant", "model fails", "payload", "content type", "too large"],
)
def test_boto3_raises_what_it_raises_on_sagemaker(
    runtime: Any, arguments: Mapping[str, Any], code: str, status: int, said: str
) -> None:
    usual = {"EndpointName": "churn", "ContentType": "application/json", "Body": b"[[1]]"}
    with pytest.raises(ClientError, match=said) as caught:
        runtime.invoke_endpoint(**{**usual, **arguments})
    error = caught.value.response
    assert error["Error"]["Code"] == code
    assert error["ResponseMetadata"]["HTTPStatusCode"] == status
    modelled = getattr(runtime.exceptions, code, ClientError)
    assert isinstance(caught.value, modelled)
    if code == "ModelError":
        assert error["OriginalStatusCode"] in (400, 415, 500)
        assert error["OriginalMessage"]


def test_the_containers_dialect_answers_with_the_models_own_status(lasting: Project) -> None:
    port = lasting.port()
    assert request(port, body=b"{nonsense").status == 400
    assert request(port, headers={"Content-Type": "image/png"}).status == 415
    failed = request(port, body=b"[[-1]]", headers=to("champion"))
    assert failed.status == 500
    assert failed.json["__type"] == failed.headers["x-amzn-ErrorType"] == "ModelError"
    assert "negative rows are not for me" in failed.json["Message"]
    assert failed.variant == "champion"


def test_other_paths_and_methods_are_refused(lasting: Project) -> None:
    port = lasting.port()
    assert request(port, "GET", "/nowhere").status == 404
    assert request(port, path="/endpoints/churn/else").json["__type"] == "UnknownOperationException"
    wrong = request(port, "GET", RUNTIME)
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")
    assert request(port, "GET", "/ping").status == 200


def test_a_body_far_too_large_is_read_and_refused(lasting: Project) -> None:
    port = lasting.port()
    answer = request(port, path=RUNTIME, body=bytes(40 * 1024 * 1024))
    assert answer.status == 413
    assert request(port).status == 200


def test_it_listens_on_the_loopback_interface_only(lasting: Project) -> None:
    port = lasting.port()
    # All of 127.0.0.0/8 is this machine: a server on every interface would answer here too.
    with pytest.raises(OSError, match=r"refused|assign|timed out"):
        socket.create_connection(("127.0.0.2", port), timeout=2)


def test_traffic_is_split_by_weight(project: Project, port: int) -> None:
    # 1,000 requests at 10 %: mean 100, standard deviation 9.5. Outside 5 of them once in
    # 1.7 million runs.
    got = Counter(request(port).variant for _ in range(1000))
    assert 52 <= got["challenger"] <= 148
    assert got.total() == 1000

    project.backend.weigh("churn", {"champion": 0})
    assert {request(port).variant for _ in range(50)} == {"challenger"}


def test_answers_on_a_kept_connection_are_not_delayed_by_the_network_stack(
    lasting: Project,
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", lasting.port(), timeout=30)
    seconds = []
    for _ in range(50):
        started = time.perf_counter()
        connection.request("POST", RUNTIME, b"[[1, 2]]", {"Content-Type": "application/json"})
        assert connection.getresponse().read()
        seconds.append(time.perf_counter() - started)
    connection.close()
    # Nagle's algorithm and delayed acknowledgements together would make each one 40 ms.
    assert statistics.median(seconds) < 0.03


def test_every_answer_is_recorded_before_it_is_given(project: Project, port: int) -> None:
    before = len(project.records())
    headers = {**to("challenger"), "X-Amzn-SageMaker-Inference-Id": "order-7"}
    answers = [request(port, headers=headers), request(port), request(port, body=b"[[-1]]")]
    os.kill(project.server_pid(), signal.SIGKILL)
    records = project.records()[before:]
    assert [record["id"] for record in records] == [a.headers["x-amzn-RequestId"] for a in answers]
    assert [record["variant"] for record in records] == [a.variant for a in answers]
    assert [record["status"] for record in records] == [200, 200, 500]
    assert [record["targeted"] for record in records] == [True, False, False]
    assert records[0]["inference"] == "order-7"
    assert all(0 < record["latency"] < 10 for record in records)


def test_a_busy_model_does_not_block_ping_or_the_other_variant(lasting: Project) -> None:
    port = lasting.port()
    busy = threading.Thread(
        target=request, args=(port,), kwargs={"body": b"[[-4]]", "headers": to("champion")}
    )
    busy.start()
    time.sleep(0.2)
    started = time.monotonic()
    assert request(port, "GET", "/ping").status == 200
    assert request(port, headers=to("challenger")).status == 200
    assert time.monotonic() - started < 1
    assert busy.is_alive()
    busy.join()


def test_who_waits_behind_others_for_a_slow_model_is_answered_in_turn(lasting: Project) -> None:
    came: list[float] = []

    def ask() -> None:
        request(lasting.port(), body=b"[[-3, 0.4]]", headers=to("champion"))
        came.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One after another, and not all when the last one is done.
    assert all(later - sooner > 0.2 for sooner, later in itertools.pairwise(sorted(came)))


def test_a_model_that_kills_its_process_is_brought_back(
    project: Project, pair: dict[str, Path]
) -> None:
    port = int(project.deploy(pair, traffic=BOTH, spares=0).values["port"])
    died = request(port, path=RUNTIME, body=b"[[-2]]", headers=to("challenger"))
    assert died.status == 424
    assert "process ended" in died.json["Message"]
    assert {request(port).variant for _ in range(20)} == {"champion"}, "the others take over"
    back = processes.wait_until(lambda: request(port, headers=to("challenger")).status == 200, 10)
    assert back


def test_with_no_variant_ready_the_endpoint_says_unavailable(
    project: Project, pair: dict[str, Path]
) -> None:
    traffic = {"champion": 1, "challenger": 0}
    port = int(project.deploy(pair, traffic=traffic, spares=0).values["port"])
    os.kill(worker_pid(project, "champion"), signal.SIGKILL)
    assert processes.wait_until(lambda: request(port).status == 503, 5)
    assert request(port, "GET", "/ping").status == 503
    assert processes.wait_until(lambda: request(port, "GET", "/ping").status == 200, 10)


def test_weights_and_models_change_under_load_without_a_failed_request(
    project: Project, pair: dict[str, Path], port: int
) -> None:
    with load(port) as answers:
        _wait_for_answers_from(answers, {"red"})
        for number in range(3):
            project.backend.weigh("churn", {"champion": number, "challenger": 5})
            models = {name: project.model(f"{name}-{number}") for name in pair}
            project.deploy(models, traffic={"champion": 50 + number, "challenger": 50})
            _wait_for_answers_from(answers, {f"{name}-{number}" for name in pair})
    assert len(answers) > 200
    assert Counter(answer.status for answer in answers) == {200: len(answers)}


def _wait_for_answers_from(answers: list[Answer], models: set[str]) -> None:
    assert processes.wait_until(lambda: models <= {each.json[0] for each in answers[-200:]}, 30)


def test_requests_in_flight_finish_when_their_model_is_replaced_or_the_endpoint_stops(
    project: Project, pair: dict[str, Path], port: int
) -> None:
    for change in (
        lambda: project.deploy({**pair, "champion": project.model("green")}, traffic=BOTH),
        lambda: project.backend.stop("churn"),
    ):
        assert _during_a_slow_request(port, change).status == 200


def _during_a_slow_request(port: int, change: Callable[[], object]) -> Answer:
    answers: list[Answer] = []
    slow = threading.Thread(
        target=lambda: answers.append(request(port, body=b"[[-3, 1.5]]", headers=to("champion")))
    )
    slow.start()
    time.sleep(0.2)
    change()
    slow.join()
    return answers[0]


def test_a_model_that_hangs_is_replaced(project: Project) -> None:
    archive = project.model("red")
    folder = project.root / "unpacked"
    mlpipe_scriptmode.unpack(archive, folder)

    async def scenario() -> None:
        host = Host("champion", Model("sha256:0", str(archive)), folder, patience=0.5)
        await host.start()
        host.keep(0)
        with pytest.raises(ModelFailed, match=r"did not answer within 0\.5 s"):
            await host.invoke(b"[[-3, 60]]", "application/json", "*/*")
        assert not host.ready
        assert await asyncio.to_thread(processes.wait_until, lambda: host.ready, 10)
        answer = await host.invoke(b"[[1, 2]]", "application/json", "*/*")
        assert b"red" in answer.body
        await host.retire()
        assert not host.ready

    asyncio.run(asyncio.wait_for(scenario(), 20))


# -- metrics --------------------------------------------------------------------------------


def scraped(port: int) -> dict[tuple[str, ...], float]:
    """Read ``/metrics`` as Prometheus does."""
    answer = request(port, "GET", "/metrics")
    assert answer.status == 200
    return {
        (sample.name, *(str(value) for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def test_metrics_count_what_was_answered(project: Project, port: int) -> None:
    for variant, body in (
        ("champion", b"[[1]]"),
        ("champion", b"[[1]]"),
        ("challenger", b"[[-1]]"),
    ):
        request(port, body=body, headers=to(variant))
    request(port, headers=to("third"))
    request(port, "GET", "/invocations")  # is no invocation
    found = scraped(port)
    name = "mlpipe_endpoint_invocation"
    assert found[f"{name}s_total", "200", "champion"] == 2
    assert found[f"{name}s_total", "500", "challenger"] == 1
    assert found["mlpipe_endpoint_refused_total", "400"] == 1
    assert found[f"{name}_seconds_count", "champion"] == 2
    latencies = [each["latency"] for each in project.records() if each["variant"] == "champion"]
    assert found[f"{name}_seconds_sum", "champion"] == pytest.approx(sum(latencies), abs=1e-5)
    assert found["mlpipe_endpoint_weight", "challenger"] == 10
    assert found["mlpipe_endpoint_ready", "champion"] == 1
    project.deploy({"champion": project.model("green")}, traffic={"champion": 1})
    later = scraped(port)
    assert ("mlpipe_endpoint_weight", "challenger") not in later
    assert later[f"{name}s_total", "500", "challenger"] == 1
    assert request(port, "POST", "/metrics").status == 405
