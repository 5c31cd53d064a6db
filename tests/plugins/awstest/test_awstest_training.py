"""Training jobs of the emulated AWS, asked for by an unmodified boto3 client."""

import io
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlpipe_awstest import Aws
from tests.plugins.awstest.awstest_jobs import BUCKET, ended, reach, request


@pytest.fixture
def sagemaker(aws: Aws) -> Any:
    aws.bucket(BUCKET)
    return aws.client("sagemaker")


def content(aws: Aws, key: str) -> dict[str, bytes]:
    """Give the files of an archive in the bucket."""
    with tarfile.open(fileobj=io.BytesIO(aws.objects(BUCKET)[key])) as tar:
        found = {m.name: tar.extractfile(m) for m in tar if m.isfile()}
        return {name: file.read() for name, file in found.items() if file is not None}


def test_a_job_really_runs(aws: Aws, sagemaker: Any) -> None:
    aws.client("s3").put_object(Bucket=BUCKET, Key="in/rows.csv", Body=b"1,2\n")
    script = (
        "cp /opt/ml/input/data/train/rows.csv /opt/ml/model/copy.csv; "
        "cp /opt/ml/input/config/*.json /opt/ml/output/data/; "
        "echo accuracy: 0.75; echo accuracy: 0.5; echo $DEPTH $TRAINING_JOB_NAME"
    )
    channel = {
        "ChannelName": "train",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in"}},
    }
    metric = {"Name": "accuracy", "Regex": "accuracy: ([0-9.]+)"}
    sagemaker.create_training_job(
        **request(
            "one",
            script,
            algorithm={"MetricDefinitions": [metric]},
            InputDataConfig=[channel],
            HyperParameters={"depth": "4"},
            Environment={"DEPTH": "deep"},
            Tags=[{"Key": "team", "Value": "fraud"}],
        )
    )
    job = ended(sagemaker, "one")
    assert job["TrainingJobStatus"] == "Completed", job
    passed = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert passed == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/one/output/model.tar.gz"
    assert content(aws, "out/one/output/model.tar.gz") == {"copy.csv": b"1,2\n"}
    told = content(aws, "out/one/output/output.tar.gz")
    assert told["hyperparameters.json"] == b'{"depth": "4"}'
    assert b'"current_host": "algo-1"' in told["resourceconfig.json"]
    (last,) = job["FinalMetricDataList"]
    assert (last["MetricName"], last["Value"]) == ("accuracy", 0.5)
    logs = aws.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="one/")[
        "logStreams"
    ]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
    lines = [each["message"] for each in events["events"]]
    assert lines == ["accuracy: 0.75", "accuracy: 0.5", "deep one"]
    tags = sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "fraud"}]


def test_a_script_that_fails(sagemaker: Any) -> None:
    script = "echo too bad > /opt/ml/output/failure; exit 3"
    sagemaker.create_training_job(**request("bad", script))
    job = ended(sagemaker, "bad")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: too bad, exit code: 3"
    assert "ModelArtifacts" not in job


def test_a_job_can_be_stopped(sagemaker: Any) -> None:
    sagemaker.create_training_job(**request("long", "sleep 600"))
    reach(sagemaker, "long", "Training")
    sagemaker.stop_training_job(TrainingJobName="long")
    assert ended(sagemaker, "long")["TrainingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName="long")


def test_a_job_that_takes_too_long(sagemaker: Any) -> None:
    stopping = {"MaxRuntimeInSeconds": 1}
    sagemaker.create_training_job(**request("slow", "sleep 600", StoppingCondition=stopping))
    job = ended(sagemaker, "slow")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_several_hosts_see_each_other(aws: Aws, sagemaker: Any) -> None:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    script = (
        'grep -o \'"current_host": "[^"]*"\' /opt/ml/input/config/resourceconfig.json; '
        "getent hosts algo-2 | head -1"
    )
    sagemaker.create_training_job(**request("two", script, ResourceConfig=resources))
    assert ended(sagemaker, "two")["TrainingJobStatus"] == "Completed"
    logs = aws.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    said = [
        [
            e["message"]
            for e in logs.get_log_events(logGroupName=group, logStreamName=name)["events"]
        ]
        for name in sorted(each["logStreamName"] for each in streams)
    ]
    assert [lines[0] for lines in said] == [f'"current_host": "algo-{i}"' for i in (1, 2)]
    assert all(lines[1].split()[0] == "127.0.0.1" for lines in said)


def test_spot_instances_are_taken_away_and_the_job_continues(aws: Aws, sagemaker: Any) -> None:
    aws.doom("spot")
    script = (
        "c=/opt/ml/checkpoints/step; n=$(cat $c 2>/dev/null || echo 0); echo begin $n; "
        "while [ $n -lt 4 ]; do n=$((n+1)); echo $n > $c; echo step $n; sleep 0.2; done; "
        "echo $n > /opt/ml/model/n"
    )
    sagemaker.create_training_job(
        **request(
            "spot",
            script,
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
            CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints/spot"},
        )
    )
    job = ended(sagemaker, "spot")
    assert job["TrainingJobStatus"] == "Completed"
    passed = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert passed.count("Interrupted") == 1
    assert passed.count("Training") == 2
    assert content(aws, "out/spot/output/model.tar.gz") == {"n": b"4\n"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"TrainingJobName": "no_good"}, "failed to satisfy constraint"),
        ({"RoleArn": "a-role-that-is-no-arn-at-all"}, "roleArn"),
        ({"TrainingJobName": "n" * 64}, "length less than or equal to 63"),
        (
            {"ResourceConfig": {"InstanceType": "ml.x.y", "InstanceCount": 1, "VolumeSizeInGB": 1}},
            "enum value set",
        ),
        (
            {"EnableManagedSpotTraining": True},
            "MaxWaitTimeInSeconds must be no less than MaxRuntimeInSeconds",
        ),
    ],
)
def test_requests_that_the_service_refuses(
    sagemaker: Any, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        sagemaker.create_training_job(**{**request("bad", "true"), **change})


def test_a_name_is_used_once(sagemaker: Any) -> None:
    sagemaker.create_training_job(**request("again", "true"))
    with pytest.raises(ClientError, match="ResourceInUse"):
        sagemaker.create_training_job(**request("again", "true"))
    with pytest.raises(ClientError, match="Requested resource not found"):
        sagemaker.describe_training_job(TrainingJobName="never")


def test_faults(aws: Aws, sagemaker: Any) -> None:
    aws.fault("CreateTrainingJob", "throttling")
    aws.fault("DescribeTrainingJob", "error500")
    sagemaker.create_training_job(**request("late", "true"))  # boto3 tries again
    assert ended(sagemaker, "late")["TrainingJobStatus"] == "Completed"
    assert len(aws.calls("CreateTrainingJob")) == 2
    aws.fault("CreateTrainingJob", "lost-response")
    with pytest.raises(ClientError, match="ResourceInUse"):  # the first call took effect
        sagemaker.create_training_job(**request("lost", "true"))


@pytest.mark.parametrize(("fate", "reason"), [("fail", "Internal"), ("capacity", "CapacityError")])
def test_jobs_that_the_service_fails(aws: Aws, sagemaker: Any, fate: str, reason: str) -> None:
    aws.doom(fate)
    sagemaker.create_training_job(**request("doomed", "sleep 600"))
    assert reason in ended(sagemaker, "doomed")["FailureReason"]


def test_what_is_not_emulated_says_so(aws: Aws) -> None:
    with pytest.raises(ClientError, match="is not emulated"):
        aws.client("sagemaker").create_monitoring_schedule(
            MonitoringScheduleName="s", MonitoringScheduleConfig={}
        )


def test_calls_are_recorded_for_users_and_jobs(aws: Aws, sagemaker: Any) -> None:
    script = "python3 -c \"import boto3; boto3.client('s3').list_objects_v2(Bucket='acme-ml')\""
    sagemaker.create_training_job(**request("calls", script))
    assert ended(sagemaker, "calls")["TrainingJobStatus"] == "Completed"
    assert [name for _, name, _ in aws.calls(by_jobs=True)] == ["ListObjectsV2"]
    assert aws.calls("CreateTrainingJob")[0][2]["TrainingJobName"] == "calls"
    assert ("s3", "CreateBucket", {"Bucket": BUCKET}) in aws.calls()
