"""The endpoint does what its OpenAPI document says, whatever is sent."""

import subprocess
import sys
from pathlib import Path

import mlpipe_endpoint
from mlpipe.testing import make_stage
from mlpipe_endpoint.config import EndpointConfig
from tests.plugins.endpoint.endpoint_project import Project, request


def test_what_is_sent_is_answered_as_the_document_says(lasting: Project) -> None:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run"]
    # What is a row, and of how many columns, the model says and not the document.
    left_out = "positive_data_acceptance,negative_data_rejection"
    checks = ["--checks", "all", "--exclude-checks", left_out]
    bounds = ["--max-examples", "50", "--phases", "coverage,fuzzing", "--workers", "1"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{lasting.port()}/openapi.json", *checks, *bounds],
        cwd=lasting.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    assert "4 selected / 4 total" in done.stdout
    assert request(lasting.port()).status == 200


def test_a_token_is_part_of_it(project: Project) -> None:
    models = {"champion": project.model("red")}
    config = EndpointConfig.model_validate({"endpoint": "churn", "token": "TOKEN"})
    stage = make_stage(project.root, "deploy", inputs=models, secrets={"TOKEN": "s3cret"}).stage
    mlpipe_endpoint.deploy(config=config, stage=stage)
    port = project.port()
    assert request(port, "GET", "/openapi.json").status == 401
    shown = request(port, "GET", "/openapi.json", headers={"Authorization": "Bearer s3cret"}).json
    assert shown["security"] == [{"token": []}]
    assert shown["paths"]["/ping"]["get"]["security"] == []
