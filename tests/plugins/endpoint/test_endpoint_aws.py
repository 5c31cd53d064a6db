"""Endpoints at the emulated SageMaker: what is made, when calls fail, and what is left over."""

import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mlpipe import UserError
from mlpipe.errors import StageError
from mlpipe_awstest import ROLE, Aws
from mlpipe_endpoint.aws import AwsBackend
from mlpipe_endpoint.awssweeping import orphans
from tests.plugins.endpoint.endpoint_project import Project
from tests.plugins.endpoint.endpoint_sites import PROBE, TRAFFIC, Site, at_sagemaker

ROLLOUT = {"rollout": {"type": "canary", "share": 0.1, "wait": "5m", "errors": 0.02}}
CHANGING = ("Create", "Update", "Delete", "Put", "Add", "Register")


@pytest.fixture
def site(cloud: Aws, project: Project) -> Site:
    return at_sagemaker(project)


def changes(aws: Aws) -> list[str]:
    """Name the calls that changed something, but for objects."""
    return [
        name for service, name, _ in aws.calls() if service != "s3" and name.startswith(CHANGING)
    ]


def left_over(site: Site) -> list[str]:
    backend = site.backend
    assert isinstance(backend, AwsBackend)
    return [f"{each.kind} {each.name}" for each in orphans(backend)]


# -- what is made ---------------------------------------------------------------------------


def test_the_plan_lists_the_calls(site: Site, cloud: Aws, pair: dict[str, Path]) -> None:
    settings: dict[str, Any] = {"traffic": TRAFFIC, "hosting": ROLLOUT, "probe": PROBE}
    planned = site.plan(pair, **settings)
    assert changes(cloud) == []
    assert [f"{action.operation} {action.subject.partition(' ')[0]}" for action in planned] == [
        "create model",
        "create model",
        *["set alarm"] * 4,
        "create endpoint",
        "create endpoint",
    ]
    site.deploy(pair, **settings)
    assert changes(cloud) == [
        "CreateModel",
        "CreateModel",
        *["PutMetricAlarm"] * 4,
        "CreateEndpointConfig",
        "CreateEndpoint",
        "AddTags",
    ]
    assert site.plan(pair, **settings) == []


def test_a_model_is_made_with_its_script_and_role(site: Site, cloud: Aws, pair: Any) -> None:
    site.deploy({"champion": pair["champion"]}, hosting={"image": "mine:2"})
    ((_, _, made),) = cloud.calls("CreateModel")
    assert made["ExecutionRoleArn"] == ROLE
    container = made["PrimaryContainer"]
    assert container["Image"] == "mine:2"
    assert container["Environment"]["SAGEMAKER_PROGRAM"] == "serve.py"
    assert container["ModelDataUrl"].startswith("s3://acme-ml/mlpipe/artifacts/sha256/")


def test_what_mlflow_saved_is_no_model_of_sagemakers(site: Site, cloud: Aws) -> None:
    archive, inner = site.project.root / "saved.tar.gz", site.project.root / "MLmodel"
    inner.write_text("flavors: {}")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(inner, arcname="MLmodel")
    with pytest.raises(StageError, match="what MLflow saved is served on this machine only"):
        site.deploy({"champion": archive})
    assert changes(cloud) == []


def test_a_prebuilt_image_is_named_by_framework(site: Site, cloud: Aws, pair: Any) -> None:
    framework = {"name": "sklearn", "version": "1.2-1"}
    config = site.config(hosting={"image": None, "framework": framework})
    assert config.hosting is not None
    site.deploy({"champion": pair["champion"]}, hosting={"image": None, "framework": framework})
    ((_, _, made),) = cloud.calls("CreateModel")
    assert "sagemaker-scikit-learn:1.2-1" in made["PrimaryContainer"]["Image"]


def test_a_rollout_is_watched_by_alarms(site: Site, cloud: Aws, pair: dict[str, Path]) -> None:
    site.deploy(pair, traffic=TRAFFIC, hosting=ROLLOUT)
    pair["challenger"] = site.project.model("green")
    site.deploy(pair, traffic=TRAFFIC, hosting=ROLLOUT)
    ((_, _, update),) = cloud.calls("UpdateEndpoint")
    policy = update["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert policy == {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 300,
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
    }
    watching = update["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    alarms = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    found = {each["AlarmName"]: each for each in alarms}
    assert {each["AlarmName"] for each in watching} == found.keys()
    errors = found["mlpipe-churn-challenger-errors"]
    assert (errors["MetricName"], errors["Threshold"]) == ("Invocation5XXErrors", 0.02)


def test_capture_and_scaling(site: Site, cloud: Aws, pair: dict[str, Path]) -> None:
    scaling = {"least": 2, "most": 4, "invocations": 500}
    hosting = {"capture": 0.25, "autoscaling": scaling, "count": 2}
    site.deploy(pair, traffic=TRAFFIC, hosting=hosting)
    ((_, _, config),) = cloud.calls("CreateEndpointConfig")
    assert config["DataCaptureConfig"]["InitialSamplingPercentage"] == 25
    assert config["ProductionVariants"][0]["InitialInstanceCount"] == 2
    targets = cloud.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker"
    )["ScalableTargets"]
    assert {(each["ResourceId"], each["MaxCapacity"]) for each in targets} == {
        ("endpoint/churn/variant/champion", 4),
        ("endpoint/churn/variant/challenger", 4),
    }
    cloud.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName="churn",
        DesiredWeightsAndCapacities=[{"VariantName": "champion", "DesiredInstanceCount": 4}],
    )
    pair["challenger"] = site.project.model("green")
    site.deploy(pair, traffic=TRAFFIC, hosting=hosting)
    found = cloud.client("sagemaker").describe_endpoint(EndpointName="churn")
    counts = {
        each["VariantName"]: each["CurrentInstanceCount"] for each in found["ProductionVariants"]
    }
    assert counts["champion"] == 4  # what autoscaling had arrived at


def test_without_instances(site: Site, pair: dict[str, Path]) -> None:
    site.deploy({"champion": pair["champion"]}, hosting={"serverless": {"memory": 3072}})
    assert site.answer("champion") == b'["red"]'
    with pytest.raises(StageError, match="one variant only on serverless endpoints"):
        site.plan(pair, traffic=TRAFFIC, hosting={"serverless": {}})


# -- when calls fail ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("PutObject", "error500"),
        ("CreateModel", "lost-response"),
        ("PutMetricAlarm", "error500"),
        ("CreateEndpointConfig", "lost-response"),
        ("CreateEndpoint", "error500"),
        ("CreateEndpoint", "lost-response"),
        ("AddTags", "error500"),
    ],
)
def test_a_deploy_that_is_cut_off_is_continued(
    site: Site,
    cloud: Aws,
    pair: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    kind: str,
) -> None:
    """Without or with effect, no call is made twice and nothing is left over."""
    settings: dict[str, Any] = {"traffic": TRAFFIC, "hosting": ROLLOUT, "probe": PROBE}
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    cloud.fault(operation, kind)
    with pytest.raises(StageError):
        site.deploy(pair, **settings)
    site.deploy(pair, **settings)
    assert site.now().weights == TRAFFIC
    assert site.answer("challenger") == b'["blue"]'
    assert site.plan(pair, **settings) == []
    sagemaker = cloud.client("sagemaker")
    assert len(sagemaker.list_models()["Models"]) == 2
    assert len(sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 1
    assert left_over(site) == []


@pytest.mark.parametrize("kind", ["error500", "lost-response"])
@pytest.mark.parametrize("operation", ["UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"])
def test_a_change_that_is_cut_off_is_continued(
    site: Site,
    cloud: Aws,
    pair: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    kind: str,
) -> None:
    site.deploy(pair, traffic=TRAFFIC)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    cloud.fault(operation, kind)
    wanted: dict[str, Any] = {"traffic": {"champion": 50, "challenger": 50}}
    if operation == "UpdateEndpoint":
        pair["challenger"] = site.project.model("green")
    with pytest.raises(StageError):
        site.deploy(pair, **wanted)
    site.deploy(pair, **wanted)
    assert site.now().weights == wanted["traffic"]
    assert site.plan(pair, **wanted) == []


@pytest.mark.parametrize("kind", ["throttling", "error500"])
def test_passing_faults_are_outlasted(
    site: Site, cloud: Aws, pair: dict[str, Path], kind: str
) -> None:
    cloud.fault("*", kind, times=2)
    site.deploy(pair, traffic=TRAFFIC)
    assert site.answer("champion") == b'["red"]'


def test_calls_whose_answers_are_late_are_made_once(
    cloud: Aws, project: Project, pair: dict[str, Path]
) -> None:
    """They take effect; the client stops waiting, and sends them again."""
    site = at_sagemaker(project, read_timeout=1)
    for operation in ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "DescribeEndpoint"):
        cloud.fault(operation, "timeout", seconds=1.5)
    site.deploy(pair, traffic=TRAFFIC, probe=PROBE)
    assert len(cloud.client("sagemaker").list_models()["Models"]) == 2
    pair["challenger"] = project.model("green")
    changing = ("UpdateEndpoint", "InvokeEndpoint", "AddTags", "PutObject")
    for operation in (*changing, "UpdateEndpointWeightsAndCapacities", "DeleteEndpoint"):
        cloud.fault(operation, "timeout", seconds=1.5)
    site.deploy(pair, traffic=TRAFFIC, probe=PROBE)
    assert site.answer("challenger") == b'["green"]'
    assert site.plan(pair, traffic=TRAFFIC, probe=PROBE) == []
    assert len(cloud.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]) == 2
    assert site.backend.weigh("churn", {"challenger": 50.0})["challenger"] == 50
    assert site.backend.stop("churn")
    assert site.backend.describe("churn") is None


def test_an_update_that_is_led_back_is_a_failure(
    site: Site, cloud: Aws, pair: dict[str, Path]
) -> None:
    """Even though SageMaker says InService."""
    site.deploy(pair, traffic=TRAFFIC)
    cloud.doom("update-fails")
    other = {**pair, "challenger": site.project.model("green")}
    with pytest.raises(StageError, match="An alarm went off") as caught:
        site.deploy(other, traffic=TRAFFIC)
    assert "what was in service still is" in str(caught.value)
    assert "aws logs tail /aws/sagemaker/Endpoints/churn" in str(caught.value)
    assert site.answer("challenger") == b'["blue"]'
    assert any("endpoint config" in each for each in left_over(site))


def test_old_descriptions_are_no_failure(site: Site, cloud: Aws, pair: dict[str, Path]) -> None:
    site.deploy(pair, traffic=TRAFFIC)
    cloud.doom("stale")
    pair["challenger"] = site.project.model("green")
    site.deploy(pair, traffic=TRAFFIC)
    assert site.answer("challenger") == b'["green"]'


def test_a_variant_that_fails_the_probe_is_told(site: Site, pair: dict[str, Path]) -> None:
    with pytest.raises(StageError, match='variant "champion" does not answer the probe'):
        site.deploy({"champion": pair["champion"]}, probe={"body": [[-1, 2]]})
    (action,) = site.plan({"champion": pair["champion"]}, probe={"body": [[-1, 2]]})
    assert action.operation == "verify"


# -- what is left over, and what is not ours ------------------------------------------------


def test_what_nothing_uses_is_found_and_deleted(
    site: Site, cloud: Aws, pair: dict[str, Path]
) -> None:
    site.deploy(pair, traffic=TRAFFIC, hosting=ROLLOUT)
    cloud.client("sagemaker").create_model(
        ModelName="theirs",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "theirs", "ModelDataUrl": "s3://acme-ml/theirs"},
    )
    assert left_over(site) == []
    first = site.deploy({"champion": pair["challenger"]})
    assert len(left_over(site)) == 2  # a configuration and a model
    site.backend.stop("churn")
    found = left_over(site)
    assert sum("alarm" in each for each in found) == 4
    assert not any("theirs" in each for each in found)
    backend = site.backend
    assert isinstance(backend, AwsBackend)
    for orphan in orphans(backend):
        orphan.delete()
    assert left_over(site) == []
    for archive in pair.values():
        archive.unlink()
    site.rollback(first)  # what it needs is made again
    assert site.answer("champion") == b'["blue"]'


def test_commands_know_endpoints_of_both_targets(
    site: Site, project: Project, pair: dict[str, Path]
) -> None:
    def mlpipe(*arguments: str) -> str:
        command = [sys.executable, "-m", "mlpipe", "endpoint", *arguments]
        done = subprocess.run(
            command, cwd=project.root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    site.deploy(pair, traffic=TRAFFIC)
    project.deploy(pair, traffic=TRAFFIC)
    here, there = mlpipe("list").splitlines()
    assert here.startswith("churn  running  http://127.0.0.1:")
    assert there.startswith("churn  running  https://runtime.sagemaker.eu-west-1.amazonaws.com")
    assert "aws logs tail" in mlpipe("status", "churn", "--target", "aws")
    assert mlpipe("weights", "churn", "champion=1", "--target", "aws") == (
        "champion 1 · challenger 10\n"
    )
    assert mlpipe("stop", "churn", "--target", "aws") == "stopped churn\n"
    assert mlpipe("list") == f"{here}\n"
    assert "unused  endpoint config" in mlpipe("gc")
    assert "deleted  model" in mlpipe("gc", "--yes")
    assert mlpipe("gc") == ""


def test_an_endpoint_of_somebody_else_is_left_alone(
    site: Site, cloud: Aws, pair: dict[str, Path]
) -> None:
    site.deploy({"champion": pair["champion"]})
    sagemaker = cloud.client("sagemaker")
    arn = sagemaker.describe_endpoint(EndpointName="churn")["EndpointArn"]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["mlpipe:endpoint"])
    with pytest.raises(StageError, match="it was not made by mlpipe"):
        site.deploy(pair, traffic=TRAFFIC)


def test_what_is_missing_is_named(site: Site, cloud: Aws, project: Project, pair: Any) -> None:
    roleless = at_sagemaker(project, role=None)
    with pytest.raises(StageError, match="the role that endpoints assume"):
        roleless.deploy(pair, traffic=TRAFFIC)
    bare = site.config().model_copy(update={"hosting": None})
    import mlpipe_endpoint
    from mlpipe.testing import make_stage

    stage = make_stage(project.root, "deploy", inputs=pair, target=site.target).stage
    config = bare.model_copy(update={"traffic": TRAFFIC})
    with pytest.raises(UserError, match="what SageMaker serves the models with"):
        mlpipe_endpoint.preview(config=config, stage=stage)
