"""``mlpipe ui``: really started, and looked at with a browser."""

import contextlib
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mlflow import MlflowClient
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from mlpipe import UserError
from mlpipe_mlflow.config import TrackingConfig
from tests.plugins.mlflow.mlflow_project import Pipeline

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mlpipe", "ui", *arguments]


@dataclass(frozen=True)
class Ui:
    """A running ``mlpipe ui``."""

    process: "subprocess.Popen[str]"
    url: str
    page: str


def group_of(process: int) -> set[int]:
    """Give the children of a process: the server, and through its group all of its own."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,ppid,pgid"], capture_output=True, text=True, check=True
    ).stdout
    rows = [tuple(map(int, line.split())) for line in listed.splitlines()[1:]]
    # Until it has a group of its own, it is in that of the tests.
    groups = {group for _, parent, group in rows if parent == process} - {os.getpgid(0)}
    return {pid for pid, _, group in rows if group in groups}


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Pipeline:
    """A project with one finished run."""
    root = tmp_path_factory.mktemp("ui") / "project"
    (root / ".mlpipe").mkdir(parents=True)
    shutil.copy(empty_database, root / "mlflow.db")
    pipeline = Pipeline(root)
    pipeline.start(depth=4)
    pipeline.begin("train", C=1.0)
    for step in range(5):
        pipeline.metric("train", step, loss=1.0 / (step + 1))
    pipeline.end("train", metrics={"accuracy": 0.9625})
    pipeline.finish()
    return pipeline


@pytest.fixture(scope="module")
def ui(tracked: Pipeline) -> Iterator[Ui]:
    """The command, started below the project's folder and answering."""
    below = tracked.root / "recipes"
    below.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    process = subprocess.Popen(
        command("--port", "0"), cwd=below, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        found = re.match(r"(http://127\.0\.0\.1:\d+)/#\S+  shows sqlite:///\S+/mlflow\.db", first)
        assert found, first
        wait_for(found[1], process)
        yield Ui(process, found[1], first.split()[0])
    finally:
        process.terminate()
        process.communicate(timeout=30)


def wait_for(url: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                assert answer.status == 200
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"{url} does not answer")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    for program in (CHROMIUM, DRIVER):
        if not Path(program).exists():
            pytest.skip(f"{program} is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1600,1000",
        f"--user-data-dir={tmp_path / 'chromium'}",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def see(browser: webdriver.Chrome, *texts: str) -> str:
    """Wait until a page shows some texts; give all that it shows."""

    def shown(driver: webdriver.Chrome) -> str:
        page = driver.find_element(By.TAG_NAME, "body").text
        return page if all(text in page for text in texts) else ""

    return WebDriverWait(browser, 60, ignored_exceptions=[Exception]).until(
        shown, f"the page does not show {texts}"
    )


def test_the_page_shows_the_run_and_its_metrics(
    ui: Ui, tracked: Pipeline, browser: webdriver.Chrome
) -> None:
    experiment = tracked.parent().info.experiment_id
    browser.get(ui.page)
    see(browser, "Experiments", "churn")
    browser.get(f"{ui.url}/#/experiments/{experiment}/runs?workflowType=machine_learning")
    see(browser, "churn", tracked.run)
    browser.get(f"{ui.url}/#/experiments/{experiment}/runs/{tracked.parent().info.run_id}")
    see(browser, "train.accuracy", "0.9625", "depth")
    browser.get(f"{ui.url}/#/experiments/{experiment}/runs/{tracked.nested('train').info.run_id}")
    page = see(browser, "accuracy", "0.9625", "loss", "0.2")
    assert "Finished" in page


def test_tracking_on_a_server(ui: Ui, root: Path, models: dict[str, Path]) -> None:
    pipeline = Pipeline(root, recipe="remote", config=TrackingConfig(tracking_uri=ui.url))
    pipeline.start(depth=4)
    pipeline.begin("train", C=1.0)
    pipeline.metric("train", 1, loss=0.5)
    pipeline.say("train", "dataset", name="test", digest="sha256:1", location="t.csv")
    facts = pipeline.model("train", models["tree"])
    pipeline.end("train", metrics={"loss": 0.5})
    pipeline.release(champion=facts)
    pipeline.finish()
    before = pipeline.picture()
    assert [run.info.status for run in pipeline.runs()] == ["FINISHED", "FINISHED"]
    assert pipeline.nested("train").data.metrics == {"loss": 0.5}
    assert pipeline.aliases("remote") == {"champion": "1"}
    pipeline.replay()
    assert pipeline.picture() == before


class Forward(socketserver.BaseRequestHandler):
    """Passes bytes on between a client and the port ``server.target``."""

    server: "Forwarder"

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.target)) as there:
            back = threading.Thread(target=self.pump, args=(there, self.request))
            back.start()
            self.pump(self.request, there)
            back.join()

    @staticmethod
    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class Forwarder(socketserver.ThreadingTCPServer):
    """A server that is reached through another port."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, target: int) -> None:
        super().__init__(("127.0.0.1", port), Forward)
        self.target = target


def test_a_server_that_comes_back_is_told_what_follows(ui: Ui, root: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    config = TrackingConfig(tracking_uri=f"http://127.0.0.1:{port}")
    pipeline = Pipeline(root, recipe="flaky", config=config)
    with pytest.raises(UserError, match="does not answer"):
        pipeline.start(depth=4)
    pipeline.begin("early")
    assert pipeline.reports == []
    with Forwarder(port, int(ui.url.rpartition(":")[2])) as forwarder:
        threading.Thread(target=forwarder.serve_forever, daemon=True).start()
        pipeline.context.memory["link"].resting_until = 0.0  # the pause is over
        pipeline.begin("train")
        pipeline.end("train")
        pipeline.finish()
        forwarder.shutdown()
    assert pipeline.reports == [f"http://127.0.0.1:{port} answers again; 2 events were not tracked"]
    served = MlflowClient(ui.url)
    experiment = served.get_experiment_by_name("flaky")
    assert experiment is not None
    names = {run.info.run_name for run in served.search_runs([experiment.experiment_id])}
    assert names == {pipeline.run, "train"}


def test_a_port_that_is_taken(ui: Ui, tracked: Pipeline) -> None:
    port = ui.url.rpartition(":")[2]
    done = subprocess.run(
        command("--port", port), cwd=tracked.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"127.0.0.1:{port}: cannot listen at port {port}: Address already in use\n"
        "   Name another with --port, or 0 for any that is free.\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_leaves_nothing(tracked: Pipeline, number: signal.Signals) -> None:
    process = subprocess.Popen(
        command("--port", "0"), cwd=tracked.root, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    url = process.stderr.readline().split()[0]
    deadline = time.monotonic() + 30
    while not (server := group_of(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not [pid for pid in server if Path(f"/proc/{pid}").exists()]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", urlsplit(url).port))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "mlflow.db: nothing was tracked here yet"),
        (("--tracking-uri", "https://u:p@mlflow.example.org"), "https://mlflow.example.org is a"),
        (("--tracking-uri", "mlruns"), '"mlruns" is a folder'),
    ],
)
def test_nothing_to_show(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = subprocess.run(
        command(*arguments), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
