"""How the emulated AWS answers requests: checks, faults, the record of calls."""

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from mlpipe_awstest import Aws
from tests.plugins.awstest.awstest_jobs import BUCKET, ended, request


@pytest.fixture
def sagemaker(aws: Aws) -> Any:
    aws.bucket(BUCKET)
    return aws.client("sagemaker")


def once(aws: Aws, service: str, seconds: float = 60) -> Any:
    """A client that never tries again."""
    own = aws.environment()
    return boto3.client(
        service,
        endpoint_url=aws.url,
        region_name=own["AWS_REGION"],
        aws_access_key_id=own["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=own["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}, read_timeout=seconds),
    )


# -- checks -----------------------------------------------------------------------------------


def test_every_violation_is_named_as_the_service_does(sagemaker: Any) -> None:
    made = request("no_good", "true")
    made["ResourceConfig"]["InstanceType"] = "ml.x.y"
    with pytest.raises(ClientError) as raised:
        sagemaker.create_training_job(**made)
    said = raised.value.response["Error"]
    assert said["Code"] == "ValidationException"
    assert said["Message"].startswith("2 validation errors detected: Value 'no_good' at ")
    assert "'trainingJobName' failed to satisfy constraint: Member must satisfy" in said["Message"]
    assert "Value 'ml.x.y' at 'resourceConfig.instanceType' failed" in said["Message"]
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_what_moto_serves_is_checked_too(sagemaker: Any) -> None:
    with pytest.raises(ClientError, match="'modelName' failed to satisfy constraint"):
        sagemaker.create_model(ModelName="no_good", ExecutionRoleArn="a" * 30)


def test_answers_have_no_empty_structures(aws: Aws, sagemaker: Any) -> None:
    sagemaker.create_training_job(**request("job", "true", HyperParameters={}))
    assert "HyperParameters" not in ended(sagemaker, "job")


def test_lists_are_filtered_and_paged(sagemaker: Any) -> None:
    for number in range(12):
        sagemaker.create_training_job(**request(f"job-{number:02d}", "true"))
    first = sagemaker.list_training_jobs(SortBy="Name")
    assert [each["TrainingJobName"] for each in first["TrainingJobSummaries"]][9] == "job-09"
    rest = sagemaker.list_training_jobs(SortBy="Name", NextToken=first["NextToken"])
    assert [each["TrainingJobName"] for each in rest["TrainingJobSummaries"]] == [
        "job-10",
        "job-11",
    ]
    assert "NextToken" not in rest
    named = sagemaker.list_training_jobs(NameContains="-1", SortBy="Name", SortOrder="Descending")
    assert [each["TrainingJobName"] for each in named["TrainingJobSummaries"]] == [
        "job-11",
        "job-10",
    ]
    with pytest.raises(ClientError, match="token"):
        sagemaker.list_training_jobs(NextToken="never")


def test_tags_can_be_changed(sagemaker: Any) -> None:
    arn = sagemaker.create_training_job(**request("job", "true"))["TrainingJobArn"]
    sagemaker.add_tags(
        ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    )
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


# -- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "kind", "code"),
    [
        ("s3", "ListBuckets", "throttling", "SlowDown"),
        ("s3", "ListBuckets", "error500", "InternalError"),
        ("sts", "GetCallerIdentity", "throttling", "ThrottlingException"),
        ("sagemaker", "ListModels", "throttling", "ThrottlingException"),
        ("sagemaker", "ListModels", "error500", "InternalFailure"),
        ("logs", "DescribeLogGroups", "error500", "InternalFailure"),
    ],
)
def test_errors_are_in_the_words_of_their_service(
    aws: Aws, service: str, operation: str, kind: str, code: str
) -> None:
    client = once(aws, service)
    methods = {name: method for method, name in client.meta.method_to_api_mapping.items()}
    call = getattr(client, methods[operation])
    aws.fault(operation, kind)
    with pytest.raises(ClientError) as raised:
        call()
    assert raised.value.response["Error"]["Code"] == code
    call()


def test_an_answer_that_is_lost_and_one_that_is_late(aws: Aws) -> None:
    aws.fault("CreateBucket", "lost-response")
    where = {"LocationConstraint": "eu-west-1"}
    with pytest.raises(ConnectionClosedError):
        once(aws, "s3").create_bucket(Bucket="lost", CreateBucketConfiguration=where)
    aws.fault("CreateBucket", "timeout", seconds=3)
    with pytest.raises(ReadTimeoutError):
        once(aws, "s3", 0.5).create_bucket(Bucket="late", CreateBucketConfiguration=where)
    names = {each["Name"] for each in aws.client("s3").list_buckets()["Buckets"]}
    assert names == {"lost", "late"}


def test_faults_happen_as_often_as_asked_for(aws: Aws) -> None:
    aws.fault("*", "throttling", times=2)
    client = once(aws, "sagemaker")
    for _ in range(2):
        with pytest.raises(ClientError):
            client.list_models()
    client.list_models()


def test_faults_that_there_are_not(aws: Aws) -> None:
    with pytest.raises(ValueError, match="gremlins is no kind of fault; there are throttling"):
        aws.fault("*", "gremlins")
    with pytest.raises(ValueError, match="fire is no fate of jobs; there are fail, spot"):
        aws.doom("fire")


# -- the record of calls ------------------------------------------------------------------------


def test_calls_of_every_protocol_are_recorded(aws: Aws) -> None:
    aws.bucket(BUCKET)
    s3 = aws.client("s3")
    s3.put_object(Bucket=BUCKET, Key="a/b c", Body=b"1")
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "a/b c"})
    s3.get_object(Bucket=BUCKET, Key="a/b c")
    s3.head_object(Bucket=BUCKET, Key="copy")
    s3.list_objects_v2(Bucket=BUCKET, Prefix="a/")
    s3.get_bucket_location(Bucket=BUCKET)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="big")["UploadId"]
    s3.upload_part(Bucket=BUCKET, Key="big", PartNumber=1, UploadId=upload, Body=b"1")
    s3.abort_multipart_upload(Bucket=BUCKET, Key="big", UploadId=upload)
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "copy"}]})
    aws.client("sts").get_caller_identity()
    aws.client("lambda").list_functions()
    aws.client("logs").describe_log_groups(logGroupNamePrefix="/aws")
    aws.client("cloudwatch").list_metrics()
    made = aws.calls()
    assert [(service, name) for service, name, _ in made] == [
        ("s3", "CreateBucket"),
        ("s3", "PutObject"),
        ("s3", "CopyObject"),
        ("s3", "GetObject"),
        ("s3", "HeadObject"),
        ("s3", "ListObjectsV2"),
        ("s3", "GetBucketLocation"),
        ("s3", "CreateMultipartUpload"),
        ("s3", "UploadPart"),
        ("s3", "AbortMultipartUpload"),
        ("s3", "DeleteObjects"),
        ("sts", "GetCallerIdentity"),
        ("lambda", "ListFunctions"),
        ("logs", "DescribeLogGroups"),
        ("monitoring", "ListMetrics"),
    ]
    assert made[1][2] == {"Bucket": BUCKET, "Key": "a/b c"}
    assert (made[5][2]["Bucket"], made[5][2]["Prefix"]) == (BUCKET, "a/")
    assert made[13][2] == {"logGroupNamePrefix": "/aws"}
