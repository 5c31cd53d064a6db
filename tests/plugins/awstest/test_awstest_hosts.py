"""What training jobs of the emulated AWS find, and what becomes of it."""

import io
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mlpipe_awstest import Aws, start
from tests.plugins.awstest.awstest_jobs import BUCKET, IMAGE, ended, reach, request, wait_until

GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture
def sagemaker(aws: Aws) -> Any:
    aws.bucket(BUCKET)
    return aws.client("sagemaker")


def put(aws: Aws, **objects: bytes) -> None:
    for key, body in objects.items():
        aws.client("s3").put_object(Bucket=BUCKET, Key=key.replace("__", "/"), Body=body)


def channel(uri: str, **source: Any) -> dict[str, Any]:
    where = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{uri}", **source}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": where}}


def lines(aws: Aws, name: str) -> list[str]:
    """Give what all hosts of a job printed."""
    logs = aws.client("logs")
    found = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")
    names = sorted(each["logStreamName"] for each in found["logStreams"])
    events = [logs.get_log_events(logGroupName=GROUP, logStreamName=n)["events"] for n in names]
    return [event["message"] for each in events for event in each]


@pytest.mark.parametrize(
    ("uri", "found"),
    [("in", ["a", "sub/b"]), ("in/", ["a", "sub/b"]), ("in/a", ["a"]), ("in/s", ["sub/b"])],
)
def test_a_prefix_stands_for_files(aws: Aws, sagemaker: Any, uri: str, found: list[str]) -> None:
    put(aws, in__a=b"1", in__sub__b=b"2")
    script = "cd /opt/ml/input/data/train; find . -type f | sort"
    sagemaker.create_training_job(**request("files", script, InputDataConfig=[channel(uri)]))
    assert ended(sagemaker, "files")["TrainingJobStatus"] == "Completed"
    assert lines(aws, "files") == [f"./{name}" for name in found]


def test_a_prefix_that_fits_nothing(sagemaker: Any) -> None:
    sagemaker.create_training_job(**request("none", "true", InputDataConfig=[channel("in")]))
    reason = ended(sagemaker, "none")["FailureReason"]
    assert reason.startswith("ClientError: Data download failed: No S3 objects found")


def test_hosts_share_data_and_leave_one_model(aws: Aws, sagemaker: Any) -> None:
    put(aws, in__a=b"1", in__b=b"2")
    sharded = channel("in/", S3DataDistributionType="ShardedByS3Key")
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    script = "ls /opt/ml/input/data/train; cp /opt/ml/input/data/train/* /opt/ml/model/; hostname"
    sagemaker.create_training_job(
        **request("shares", script, InputDataConfig=[sharded], ResourceConfig=resources)
    )
    assert ended(sagemaker, "shares")["TrainingJobStatus"] == "Completed"
    assert lines(aws, "shares") == ["a", "algo-1", "b", "algo-2"]
    archive = aws.objects(BUCKET)["out/shares/output/model.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert sorted(tar.getnames()) == ["a", "b"]


def test_one_host_that_fails_ends_the_others(sagemaker: Any) -> None:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    script = (
        "test $(hostname) = algo-1 && exec sleep 600; echo lost > /opt/ml/output/failure; exit 4"
    )
    sagemaker.create_training_job(**request("pair", script, ResourceConfig=resources))
    assert ended(sagemaker, "pair")["FailureReason"] == "AlgorithmError: lost, exit code: 4"


def test_lines_are_there_while_the_job_runs(aws: Aws, sagemaker: Any) -> None:
    sagemaker.create_training_job(**request("live", "echo one; echo; exec sleep 600"))
    reach(sagemaker, "live", "Training")
    wait_until(lambda: lines(aws, "live") == ["one", " "])
    assert sagemaker.describe_training_job(TrainingJobName="live")["SecondaryStatus"] == "Training"


def test_many_lines_arrive_whole(aws: Aws, sagemaker: Any) -> None:
    sagemaker.create_training_job(**request("many", "seq 5000"))
    assert ended(sagemaker, "many")["TrainingJobStatus"] == "Completed"
    logs = aws.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP)
    said = [event["message"] for page in pages for event in page["events"]]
    assert said == [str(number) for number in range(1, 5001)]


def test_a_job_that_the_service_loses_is_tried_again(aws: Aws, sagemaker: Any) -> None:
    aws.doom("fail")
    again = {"MaximumRetryAttempts": 1}
    script = "cd /opt/ml/checkpoints; ls; test -e first || { touch first; exec sleep 600; }"
    kept = {"S3Uri": f"s3://{BUCKET}/checkpoints"}
    sagemaker.create_training_job(
        **request("again", script, RetryStrategy=again, CheckpointConfig=kept)
    )
    job = ended(sagemaker, "again")
    assert job["TrainingJobStatus"] == "Completed"
    passed = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert passed.count("Restarting") == 1
    assert lines(aws, "again") == ["first"]


def test_images_have_other_programs(aws: Aws, sagemaker: Any, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho other "$@"\n')
    python.chmod(0o755)
    aws.image("*/mine:*", python=str(python), train="python3 algorithm")
    sagemaker.create_training_job(**without_command("other", IMAGE))
    ended(sagemaker, "other")
    assert lines(aws, "other") == ["other algorithm"]


def without_command(name: str, image: str, **more: Any) -> dict[str, Any]:
    made = request(name, "", **more)
    made["AlgorithmSpecification"] = {"TrainingImage": image, "TrainingInputMode": "File"}
    return made


def test_a_framework_image_runs_a_script(aws: Aws, sagemaker: Any, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import os, sys, helper\n"
        "print(sys.argv[1:], os.environ['SM_HP_DEPTH'], os.environ['SM_CHANNEL_TRAIN'])\n"
    )
    (tmp_path / "helper.py").write_text("")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in ("train.py", "helper.py"):
            tar.add(tmp_path / name, name)
    put(aws, code__sourcedir=archive.getvalue(), in__a=b"1")
    values = {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": f'"s3://{BUCKET}/code/sourcedir"',
        "depth": "3",
    }
    made = without_command("script", IMAGE, HyperParameters=values, InputDataConfig=[channel("in")])
    sagemaker.create_training_job(**made)
    assert ended(sagemaker, "script")["TrainingJobStatus"] == "Completed"
    assert lines(aws, "script") == ["['--depth', '3'] 3 /opt/ml/input/data/train"]


# -- processes --------------------------------------------------------------------------------


def running(mark: str) -> list[int]:
    """Give the processes whose command line has a text in it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if command.startswith(f"sleep {mark}"):
            found.append(int(folder.name))
    return found


DAEMON = "setsid sleep {mark} & echo started; exec sleep {mark}"


def test_nothing_is_left_of_a_job_that_ended(sagemaker: Any) -> None:
    mark = f"{os.getpid()}.1"
    script = f"setsid sleep {mark} & while ! pgrep -f '^sleep {mark}'; do sleep 0.1; done"
    sagemaker.create_training_job(**request("left", script))
    assert ended(sagemaker, "left")["TrainingJobStatus"] == "Completed"
    assert running(mark) == []


def test_a_reset_ends_jobs_and_forgets_them(aws: Aws, sagemaker: Any) -> None:
    mark = f"{os.getpid()}.2"
    sagemaker.create_training_job(**request("gone", DAEMON.format(mark=mark)))
    wait_until(lambda: len(running(mark)) == 2)
    aws.reset()
    assert running(mark) == []
    assert aws.calls() == []
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
    assert aws.client("s3").list_buckets()["Buckets"] == []


def test_an_emulator_ends_with_who_started_it(tmp_path: Path) -> None:
    mark = f"{os.getpid()}.3"
    code = (
        "import sys, time\n"
        "from mlpipe_awstest import start\n"
        "from tests.plugins.awstest.awstest_jobs import BUCKET, request\n"
        "with start() as aws:\n"
        "    aws.bucket(BUCKET)\n"
        f"    job = request('orphan', {DAEMON.format(mark=mark)!r})\n"
        "    aws.client('sagemaker').create_training_job(**job)\n"
        "    time.sleep(600)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
    try:
        wait_until(lambda: len(running(mark)) == 2 or starter.poll() is not None)
    finally:
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    wait_until(lambda: running(mark) == [])


def test_two_emulators_know_nothing_of_each_other(aws: Aws) -> None:
    with start() as other:
        other.bucket(BUCKET)
        assert aws.client("s3").list_buckets()["Buckets"] == []
