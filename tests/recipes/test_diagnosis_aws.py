"""The shipped machine-learning recipe with ``--target aws``, on an emulated AWS."""

import fnmatch
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlpipe_awstest import Aws
from tests.shipped import Shipped

BUCKET = "acme-ml"  # as in the recipe
#: IAM calls some operations otherwise than the API does, and some by what they need.
ACTIONS = {
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "CreateMultipartUpload"): "s3:PutObject",
    ("s3", "UploadPart"): "s3:PutObject",
    ("s3", "CompleteMultipartUpload"): "s3:PutObject",
}


@pytest.fixture(scope="module")
def ran(
    aws_server: Aws, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Shipped, Aws, Path]]:
    """The recipe in a fresh project, run once at an AWS beyond which nothing can be reached."""
    aws_server.reset()
    aws_server.bucket(BUCKET)
    aws_server.calls()
    attempts = tmp_path_factory.mktemp("guard") / "attempts.txt"
    project = Shipped(tmp_path_factory.mktemp("demo"), aws_server.guarded(attempts))
    project.take("recipes", "recipes")
    project.git("init", "-q")
    try:
        project.mlpipe("run", "diagnosis", "--target", "aws")
        yield project, aws_server, attempts
    finally:
        project.command("mlpipe", "endpoint", "stop", "diagnosis", "--target", "aws")


def ended(project: Shipped, *arguments: str) -> dict[str, str]:
    return project.run("diagnosis", "--target", "aws", *arguments)


def test_it_trained_and_tuned_at_sagemaker(ran: tuple[Shipped, Aws, Path]) -> None:
    _, aws, _ = ran
    sagemaker = aws.client("sagemaker")
    jobs = sagemaker.list_training_jobs()["TrainingJobSummaries"]
    assert len(jobs) == 1 + 6
    assert {job["TrainingJobStatus"] for job in jobs} == {"Completed"}
    (tuning,) = sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    assert tuning["HyperParameterTuningJobStatus"] == "Completed"


def test_the_models_answer_as_those_of_a_local_run(ran: tuple[Shipped, Aws, Path]) -> None:
    project, _, _ = ran
    row = ("--file", "recipes/diagnosis/row.json", "--target", "aws")
    for variant in ("champion", "challenger"):
        answer = project.mlpipe("endpoint", "invoke", "diagnosis", *row, "--variant", variant)
        assert json.loads(answer) == [1]


def test_the_endpoint_is_at_sagemaker(ran: tuple[Shipped, Aws, Path]) -> None:
    project, aws, _ = ran
    found = aws.client("sagemaker").describe_endpoint(EndpointName="diagnosis")
    weights = {each["VariantName"]: each["CurrentWeight"] for each in found["ProductionVariants"]}
    assert (found["EndpointStatus"], weights) == ("InService", {"champion": 90, "challenger": 10})
    listed = project.mlpipe("endpoint", "list")
    assert "diagnosis  running" in listed
    assert "champion 90 · challenger 10" in listed


def test_a_promotion_and_the_way_back(ran: tuple[Shipped, Aws, Path]) -> None:
    project, aws, _ = ran

    def weights() -> dict[str, float]:
        found = aws.client("sagemaker").describe_endpoint(EndpointName="diagnosis")
        return {each["VariantName"]: each["CurrentWeight"] for each in found["ProductionVariants"]}

    project.mlpipe("endpoint", "promote", "diagnosis", "challenger", "--target", "aws")
    assert weights() == {"champion": 0, "challenger": 100}
    assert ended(project)["endpoint"] == "in place"
    project.mlpipe("rollback", "endpoint/diagnosis")
    assert weights() == {"champion": 90, "challenger": 10}
    assert ended(project)["endpoint"] == "in place"


def test_run_again_it_does_nothing(ran: tuple[Shipped, Aws, Path]) -> None:
    project, aws, _ = ran
    before = len(aws.calls())
    states = ended(project)
    assert states.pop("endpoint") == "in place"
    assert set(states.values()) == {"cached"}
    looks = ("Describe", "List", "Get")
    assert all(name.startswith(looks) for _, name, _ in aws.calls()[before:])


def test_no_other_machine_was_asked_for_anything(ran: tuple[Shipped, Aws, Path]) -> None:
    _, _, attempts = ran
    assert not attempts.exists() or attempts.read_text() == ""


def allowed(policy: Any) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def resources(policy: Any, action: str) -> list[str]:
    found = [s["Resource"] for s in policy["Statement"] if action in s["Action"]]
    return [resource for each in found for resource in each]


def test_the_policy_allows_the_calls_that_were_made_and_no_others(
    ran: tuple[Shipped, Aws, Path],
) -> None:
    project, aws, _ = ran
    policy = json.loads(project.mlpipe("iam", "diagnosis", "--target", "aws"))
    # The test itself makes the bucket, and lists jobs.
    own = ("CreateBucket", "ListTrainingJobs", "ListHyperParameterTuningJobs")
    made = [c for c in aws.calls() if c[0] in ("s3", "logs", "sagemaker") and c[1] not in own]
    needed = {ACTIONS.get((service, name), f"{service}:{name}") for service, name, _ in made}
    assert needed <= allowed(policy)
    # Beyond what is called: the role is passed, jobs are tagged as they are made, and S3 says
    # "not there" only to who may list. Jobs are stopped with their run.
    silent = {"iam:PassRole", "sagemaker:AddTags", "s3:ListBucket"}
    silent |= {"sagemaker:StopTrainingJob", "sagemaker:StopHyperParameterTuningJob"}
    # The next deploys change the endpoint.
    silent |= {"sagemaker:DeleteEndpoint", "sagemaker:UpdateEndpoint"}
    silent |= {"sagemaker:UpdateEndpointWeightsAndCapacities"}
    assert allowed(policy) - needed <= silent
    for service, name, parameters in made:
        if service == "s3" and parameters["Key"]:
            action = ACTIONS.get((service, name), f"s3:{name}")
            arn = f"arn:aws:s3:::{parameters['Bucket']}/{parameters['Key']}"
            assert any(fnmatch.fnmatch(arn, pattern) for pattern in resources(policy, action)), arn


def test_the_plan_says_what_it_may_cost(ran: tuple[Shipped, Aws, Path]) -> None:
    project, _, _ = ran
    lines = project.mlpipe(
        "plan", "diagnosis", "--target", "aws", "--set", "params.seed=8"
    ).splitlines()
    # One training and six trials, of twenty minutes at most each.
    assert "worst case  2.333 instance-hours · $0.27" in lines
