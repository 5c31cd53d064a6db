"""The shipped machine-learning recipe, in a project of its own, as a user runs it."""

import http.client
import json
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pandas as pd
import pytest
from botocore.config import Config

from tests.shipped import REPOSITORY, Shipped

STAGES = ["data", "forest", "code", "linear", "quality", "endpoint"]


@dataclass
class Demo:
    """The project, and what its first run said."""

    project: Shipped
    first: str = ""

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.project.root

    def mlpipe(self, *arguments: str) -> str:
        """Run ``mlpipe``, which must succeed; give its standard output."""
        return self.project.mlpipe(*arguments)

    def run(self, *arguments: str) -> dict[str, str]:
        """Run the recipe; give how each stage ended."""
        return self.project.run("diagnosis", *arguments)

    @property
    def url(self) -> str:
        """Where the endpoint answers."""
        status: dict[str, Any] = json.loads(
            self.mlpipe("endpoint", "status", "diagnosis", "--json")
        )
        return str(status["url"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The recipe in a fresh Git repository, run once; its endpoint is stopped in the end."""
    demo = Demo(Shipped(tmp_path_factory.mktemp("demo")))
    demo.project.take("recipes", "recipes")
    demo.project.git("init", "-q")
    try:
        demo.first = demo.mlpipe("run", "diagnosis")
        yield demo
    finally:
        demo.project.command("mlpipe", "endpoint", "stop", "diagnosis")


@pytest.fixture
def settled(demo: Demo) -> Demo:
    """The project with everything as the recipe says, whatever a test before this one did."""
    demo.run()
    return demo


def row() -> bytes:
    return (REPOSITORY / "recipes" / "diagnosis" / "row.json").read_bytes()


def client(url: str) -> Any:
    """An unmodified SageMaker Runtime client."""
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"max_attempts": 0}),
    )


def test_the_first_run_does_everything(demo: Demo) -> None:
    assert demo.first.startswith("done in ")
    assert "endpoint diagnosis  release diagnosis-1" in demo.first


@pytest.mark.parametrize("variant", ["champion", "challenger"])
def test_boto3_gets_predictions_from_each_variant(settled: Demo, variant: str) -> None:
    answer = client(settled.url).invoke_endpoint(
        EndpointName="diagnosis",
        Body=row(),
        ContentType="application/json",
        TargetVariant=variant,
    )
    assert answer["InvokedProductionVariant"] == variant
    assert json.loads(answer["Body"].read()) == [1]


@pytest.mark.parametrize("path", ["/invocations", "/endpoints/diagnosis/invocations"])
def test_plain_http_gets_predictions(settled: Demo, path: str) -> None:
    with urllib.request.urlopen(f"{settled.url}/ping", timeout=10) as answer:
        assert answer.status == 200
    request = urllib.request.Request(
        settled.url + path, data=row(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.loads(answer.read()) == [1]


def test_the_data_is_versioned_by_dvc(demo: Demo) -> None:
    assert demo.project.succeed("dvc", "status") == "Data and pipelines are up to date.\n"
    assert (demo.root / "data" / "train.csv.dvc").is_file()


def test_runs_and_models_are_in_mlflow(demo: Demo) -> None:
    from mlflow import MlflowClient

    store = MlflowClient(tracking_uri=f"sqlite:///{demo.root / 'mlflow.db'}")
    experiment = store.get_experiment_by_name("diagnosis")
    assert experiment is not None
    first = json.loads(demo.mlpipe("runs", "list", "--json", "--limit", "1000"))[-1]["run"]
    runs = store.search_runs([experiment.experiment_id], f"tags.`mlpipe.run` = '{first}'")
    assert {run.data.tags.get("mlpipe.stage", "") for run in runs} == {"", *STAGES}
    assert {run.info.status for run in runs} == {"FINISHED"}
    model = store.get_registered_model("diagnosis")
    assert set(model.aliases) == {"champion", "challenger"}
    assert model.aliases["champion"] != model.aliases["challenger"]


def test_nothing_changed_runs_nothing(settled: Demo) -> None:
    before = sorted((settled.root / ".mlpipe" / "runs").glob("*/observers.log"))
    assert settled.run() == {**dict.fromkeys(STAGES, "cached"), "endpoint": "in place"}
    assert sorted((settled.root / ".mlpipe" / "runs").glob("*/observers.log")) == before


def test_its_experiment_runs(settled: Demo) -> None:
    planned = settled.mlpipe("ab", "plan", "diagnosis").splitlines()
    assert planned[0] == "confirmed (binary, increase is better): 0.94 now, 0.03 would matter"
    assert "verdict: inconclusive" in settled.mlpipe("ab", "status", "diagnosis")


def test_its_traffic_is_watched(settled: Demo) -> None:
    table = pd.read_csv(settled.root / "data" / "train.csv").drop(columns="malignant")
    connection = http.client.HTTPConnection(urlsplit(settled.url).netloc, timeout=30)
    for row in table.sample(frac=2, replace=True, random_state=1).to_numpy().tolist():
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/invocations", json.dumps([row]), headers)
        assert connection.getresponse().read()
    connection.close()
    before = settled.run()
    ended = settled.project.run("watch")
    assert ended == {**before, "traffic": "done"}
    (report,) = (settled.root / ".mlpipe" / "runs").glob("*/traffic.1/report.html")
    assert "None of 30 features drifted." in report.read_text()


def test_a_stopped_endpoint_is_started_again(settled: Demo) -> None:
    url = settled.url
    settled.mlpipe("endpoint", "stop", "diagnosis")
    plan = settled.mlpipe("plan", "diagnosis")
    assert "start" in plan
    assert settled.run() == {**dict.fromkeys(STAGES, "cached"), "endpoint": "done"}
    assert settled.url == url


def test_one_hyperparameter_runs_what_depends_on_it(settled: Demo) -> None:
    ended = settled.run("--set", "params.trees=20")
    assert ended == {
        "data": "cached",
        "forest": "done",
        "code": "cached",
        "linear": "cached",
        "quality": "done",
        "endpoint": "done",
    }
    why = settled.mlpipe("why", "diagnosis", "forest", "--set", "params.trees=30")
    assert why == "forest runs because\n  hyperparameters.n-estimators 20 → 30\n"
    settled.mlpipe("rollback", "endpoint/diagnosis")
    assert settled.run() == {**dict.fromkeys(STAGES, "cached"), "endpoint": "in place"}


def test_a_missed_gate_deploys_nothing(settled: Demo) -> None:
    recipe = settled.root / "recipes" / "diagnosis.yaml"
    text = recipe.read_text()
    releases = settled.mlpipe("releases", "list")
    try:
        recipe.write_text(text.replace('">= 0.94"', '"> 1"'))
        done = settled.project.command("mlpipe", "run", "diagnosis", "--set", "params.trees=21")
        assert done.returncode == 3
        assert "gate failed  challenger.accuracy" in done.stderr
        assert "– endpoint  waiting for quality" in done.stderr
        assert settled.mlpipe("releases", "list") == releases
    finally:
        recipe.write_text(text)


def test_a_clone_with_its_data_has_hits(settled: Demo, tmp_path: Path) -> None:
    settled.project.git("add", "-A")
    settled.project.git("commit", "-qm", "Version the data")
    clone = Shipped(tmp_path / "clone")
    settled.project.git("clone", "-q", ".", str(clone.root))
    for file in (settled.root / "data").glob("*.csv"):
        shutil.copyfile(file, clone.root / "data" / file.name)
    plan = json.loads(clone.mlpipe("plan", "diagnosis", "--json", "--until", "quality"))
    assert {each["stage"]: each["verdict"] for each in plan if each["stage"] != "endpoint"} == (
        dict.fromkeys(STAGES[:-1], "cached")
    )
