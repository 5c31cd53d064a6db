"""Training at the emulated SageMaker: what is asked for, what goes wrong, what is found again."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import mlpipe_aws
from mlpipe import StageError, Target
from mlpipe_awstest import ROLE, Aws
from mlpipe_sagemaker.awslogs import LogFollower
from mlpipe_sagemaker.environment import arguments
from tests.plugins.emulated_aws import BUCKET
from tests.plugins.sagemaker.training_project import IMAGE, Project, aws_target, saving

_CREATE = "CreateTrainingJob"


def asked(cloud: Aws) -> Any:
    """Give the one request for a training job."""
    ((_, _, request),) = cloud.calls(_CREATE)
    return request


def test_everything_that_a_recipe_may_say_is_asked_for(project: Project, cloud: Aws) -> None:
    project.write({"requirements.txt": "# none\n"})
    target = aws_target(
        kms_key="alias/ml",
        tags={"team": "fraud"},
        subnets=["subnet-1"],
        security_groups=["sg-1"],
        network_isolation=True,
        encrypt_traffic=True,
        prefix="teams/fraud",
    )
    training = project.train(
        saving("print('loss: 0.5')"),
        target=target,
        hyperparameters={"depth": 4},
        metrics={"loss": "loss: ([0-9.]+)"},
        env={"DEPTH": "deep"},
        compute={
            "instance": "ml.m5.xlarge",
            "instances": 1,
            "volume": 50,
            "max_runtime": "20m",
            "spot": {"max_wait": "1h"},
            "retries": 2,
            "input_mode": "FastFile",
        },
    )
    request = asked(cloud)
    assert request["TrainingJobName"] == "test-forest"
    assert request["RoleArn"] == ROLE
    assert request["AlgorithmSpecification"]["MetricDefinitions"] == [
        {"Name": "loss", "Regex": "loss: ([0-9.]+)"}
    ]
    assert request["AlgorithmSpecification"]["TrainingInputMode"] == "FastFile"
    resources = request["ResourceConfig"]
    assert (resources["InstanceType"], resources["VolumeSizeInGB"]) == ("ml.m5.xlarge", 50)
    assert resources["VolumeKmsKeyId"] == "alias/ml"
    assert request["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 1200,
        "MaxWaitTimeInSeconds": 3600,
    }
    assert request["EnableManagedSpotTraining"] is True
    assert request["CheckpointConfig"]["S3Uri"] == (
        f"s3://{BUCKET}/teams/fraud/checkpoints/test-forest"
    )
    assert request["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    assert request["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert request["EnableNetworkIsolation"] is True
    assert request["EnableInterContainerTrafficEncryption"] is True
    assert request["OutputDataConfig"]["KmsKeyId"] == "alias/ml"
    assert request["OutputDataConfig"]["S3OutputPath"] == f"s3://{BUCKET}/teams/fraud/jobs"
    assert request["Environment"]["DEPTH"] == "deep"
    tags = {each["Key"]: each["Value"] for each in request["Tags"]}
    assert tags == {"team": "fraud", "mlpipe:run": "test-run", "mlpipe:stage": "forest"}
    values = training.result.values
    assert values["job"] == "test-forest"
    assert values["model_uri"].endswith("/test-forest/output/model.tar.gz")
    assert all(key.startswith("teams/fraud/") for key in cloud.objects(BUCKET))


def test_mpi_is_asked_for_as_the_sdk_does(project: Project, cloud: Aws) -> None:
    cloud.doom("capacity")  # its driver wants hosts that log in to each other
    with pytest.raises(StageError, match="CapacityError"):
        project.train(
            saving(""),
            target=aws_target(),
            distribution={"type": "mpi", "processes": 2},
            compute={"instances": 2},
        )
    assert asked(cloud)["ResourceConfig"]["InstanceCount"] == 2
    uploaded = {Path(key).name: value for key, value in cloud.objects(BUCKET).items()}
    assert json.loads(uploaded["distributed.json"])["process_count_per_node"] == 2
    assert b"mpi_driver.py" in uploaded["sm_train.sh"]


def test_warm_pools_and_framework_images(project: Project, cloud: Aws) -> None:
    project.train(
        saving(""),
        target=aws_target(),
        image=None,
        framework={"name": "sklearn", "version": "1.2-1"},
        compute={"keep_alive": "10m"},
    )
    request = asked(cloud)
    assert request["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600
    image = request["AlgorithmSpecification"]["TrainingImage"]
    assert image.endswith("sagemaker-scikit-learn:1.2-1-cpu-py3")
    assert "eu-west-1" in image


def test_the_sources_and_data_are_uploaded_once(project: Project, cloud: Aws) -> None:
    project.write({"rows.csv": "1\n"})
    for name in ("one", "two"):
        inputs = {"train": project.root / "rows.csv"}
        project.train(saving(""), name=name, target=aws_target(), inputs=inputs)
    put = [call[2]["Key"] for call in cloud.calls("PutObject")]
    assert len(put) == len(set(put))
    assert all(key.startswith("mlpipe/artifacts/sha256/") for key in put)
    assert {"rows.csv", "sourcedir.tar.gz", "sm_train.sh"} <= {Path(key).name for key in put}
    assert not any("__pycache__" in key for key in put)


def test_a_job_whose_answer_is_lost_is_made_once(project: Project, cloud: Aws) -> None:
    cloud.fault(_CREATE, "throttling")
    cloud.fault(_CREATE, "lost-response")
    training = project.train(saving(""), target=aws_target())
    assert training.output("model").is_file()
    assert len(cloud.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]) == 1


def test_passing_faults_are_overcome(
    project: Project,
    cloud: Aws,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    cloud.fault("PutObject", "error500")
    cloud.fault("DescribeTrainingJob", "error500")
    cloud.fault("GetLogEvents", "throttling", times=3)  # more than one call's attempts
    training = project.train(
        saving("print('loss: 0.5')"), target=aws_target(), metrics={"loss": "loss: ([0-9.]+)"}
    )
    assert training.result.metrics == {"loss": 0.5}
    assert "the job goes on, and so does waiting" in capsys.readouterr().out
    assert len(cloud.calls(_CREATE)) == 1


def test_another_job_of_the_same_name_is_not_taken_for_ours(project: Project, cloud: Aws) -> None:
    project.train(saving("print('theirs')"), target=aws_target())
    shutil.rmtree(project.root / ".mlpipe")  # another clone, another user of the account
    with pytest.raises(StageError, match="another job of this name") as caught:
        project.train(saving("print('ours')"), target=aws_target())
    assert "it is given another name" in str(caught.value)
    assert list((project.root / ".mlpipe" / "sagemaker" / "jobs").iterdir()) == []
    same = project.train(saving("print('theirs')"), target=aws_target())
    assert same.output("model").is_file()


def test_endpoint_url_is_the_only_address(
    project: Project, cloud: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    project.train(saving(""), target=aws_target(endpoint_url=cloud.url))
    assert {service for service, *_ in cloud.calls()} == {"s3", "sagemaker", "logs"}


def test_two_hosts_are_read_line_by_line(
    project: Project, cloud: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    script = "import os; print('seen: 0.5', flush=True)"
    training = project.train(
        saving(script),
        target=aws_target(),
        metrics={"seen": "^seen: ([0-9.]+)"},
        compute={"instances": 2},
    )
    assert training.result.metrics == {"seen": 0.5}
    lines = capsys.readouterr().out.splitlines()
    assert {"[algo-1] seen: 0.5", "[algo-2] seen: 0.5"} <= set(lines)
    assert len(training.probe.payloads("metrics")) == 2


def test_an_algorithm_is_told_what_its_data_is(project: Project, cloud: Aws) -> None:
    project.write({"rows.csv": "1,2\n"})
    with pytest.raises(StageError):  # the emulator has no algorithm
        project.train(
            "",
            script=None,
            image=None,
            algorithm="xgboost:1.7-1",
            inputs={"train": project.root / "rows.csv"},
            hyperparameters={"num_round": 3, "objective": "reg:squarederror"},
            target=aws_target(),
        )
    request = asked(cloud)
    assert "sagemaker-xgboost:1.7-1" in request["AlgorithmSpecification"]["TrainingImage"]
    (channel,) = request["InputDataConfig"]
    assert (channel["ChannelName"], channel["ContentType"]) == ("train", "text/csv")
    assert request["HyperParameters"] == {"num_round": "3", "objective": "reg:squarederror"}


def test_the_images_own_program(project: Project, cloud: Aws) -> None:
    own = 'cp /opt/ml/input/config/hyperparameters.json "/opt/ml/model/told.json"; echo "$0 $*"'
    cloud.image(IMAGE, train=f"sh -c {shlex.quote(own)}")
    project.write({"rows.csv": "1,2\n"})
    training = project.train(
        "",
        script=None,
        inputs={"train": project.root / "rows.csv"},
        hyperparameters={"kind": "forest", "trees": 3},
        target=aws_target(),
    )
    request = asked(cloud)
    assert [each["ChannelName"] for each in request["InputDataConfig"]] == ["train"]
    assert "ContainerEntrypoint" not in request["AlgorithmSpecification"]
    with tarfile.open(training.output("model")) as tar:
        assert tar.getnames() == ["told.json"]
        told = tar.extractfile("told.json")
        assert told is not None
        assert json.load(told) == {"kind": "forest", "trees": "3"}


def test_a_spot_interruption_continues_from_the_checkpoint(project: Project, cloud: Aws) -> None:
    cloud.doom("spot")
    script = """
        import pathlib, time
        step = pathlib.Path("/opt/ml/checkpoints/step")
        n = int(step.read_text()) if step.exists() else 0
        print("begin", n, flush=True)
        while n < 3:
            n += 1
            step.write_text(str(n))
            print("step", n, flush=True)
            time.sleep(0.2)
    """
    probe_metrics = project.train(
        saving(script),
        target=aws_target(),
        metrics={"begin": "begin ([0-9]+)"},
        compute={"spot": {"max_wait": "2h"}},
    )
    begins = [each["metrics"]["begin"] for each in probe_metrics.probe.payloads("metrics")]
    assert begins[0] == 0
    assert begins[-1] > 0


def test_the_reason_of_a_failure_is_in_the_error(project: Project, cloud: Aws) -> None:
    cloud.doom("capacity")
    with pytest.raises(StageError, match="CapacityError") as caught:
        project.train("import time; time.sleep(60)", target=aws_target())
    assert "mlpipe replay test-run forest" in str(caught.value)


def test_the_last_lines_are_in_the_error(project: Project, cloud: Aws) -> None:
    script = "for i in range(80): print('line', i)\nraise SystemExit(3)"
    with pytest.raises(StageError) as caught:
        project.train(script, target=aws_target())
    said = str(caught.value)
    assert "AlgorithmError" in said
    assert "line 79" in said
    assert len(said.splitlines()) < 60


def test_a_job_that_takes_too_long_is_said_to(project: Project, cloud: Aws) -> None:
    with pytest.raises(StageError, match="SageMaker stopped the job after 2 s") as caught:
        project.train(
            "import time; time.sleep(600)", target=aws_target(), compute={"max_runtime": 2}
        )
    assert "with.compute.max_runtime" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"role": None}, "targets.aws.role: is missing"),
        ({"region": "Ireland"}, "targets.aws.region"),
        ({"regoin": "eu-west-1"}, 'Did you mean "region"?'),
        ({"subnets": ["subnet-1"]}, "subnets and security_groups go together"),
        ({"bucket": "nobody-has-this"}, "Make the bucket, or name another"),
    ],
)
def test_targets_that_are_wrong(
    project: Project, cloud: Aws, settings: dict[str, Any], said: str
) -> None:
    target = aws_target(**settings)
    with pytest.raises(StageError) as caught:
        project.train(saving(""), target=target)
    assert said in str(caught.value)
    assert cloud.calls(_CREATE) == []


def test_no_image(project: Project, cloud: Aws) -> None:
    with pytest.raises(StageError, match="none is named"):
        project.train(saving(""), target=aws_target(), image=None)


def test_a_text_that_the_drivers_would_change_is_refused(project: Project, cloud: Aws) -> None:
    with pytest.raises(StageError, match=r"would reach the script as 1000\.0"):
        project.train(saving(""), target=aws_target(), hyperparameters={"lr": "1e3"})


def test_the_target_may_be_out_of_reach(project: Project, monkeypatch: Any, cloud: Aws) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    target = aws_target(endpoint_url="http://127.0.0.1:9")
    with pytest.raises(StageError, match="AWS cannot be reached"):
        project.train(saving(""), target=target)


RECIPE = f"""
name: p
targets: {{aws: {{region: eu-west-1, bucket: {BUCKET}, role: "{ROLE}"}}}}
stages:
  fit:
    uses: sagemaker.train
    with: {{script: train.py, image: "image:1"}}
"""
WAITS = """
    import os, pathlib, time
    print("begun", flush=True)
    while not pathlib.Path("{go}").exists():
        time.sleep(0.05)
"""


def mlpipe(project: Project, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "mlpipe", *arguments],
        cwd=project.root,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def begun(project: Project, cloud: Aws, script: str, **compute: Any) -> "subprocess.Popen[str]":
    """Start a run of a script; give the run once the script has begun."""
    more = f", compute: {json.dumps(compute)}" if compute else ""
    recipe = RECIPE.replace('"image:1"', f'"image:1"{more}')
    project.write({"p.yaml": recipe, "train.py": script})
    (project.root / ".mlpipe").mkdir()
    run = mlpipe(project, "run", "p", "--target", "aws")
    logs = cloud.client("logs")
    group = "/aws/sagemaker/TrainingJobs"

    def has_begun() -> bool:
        assert run.poll() is None
        try:
            events = logs.filter_log_events(logGroupName=group)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return False
        return any(event["message"] == "begun" for event in events)

    wait_for(has_begun)
    return run


def run_again(project: Project) -> None:
    second = mlpipe(project, "run", "p", "--target", "aws")
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, out + err


def test_a_run_that_was_killed_finds_its_job_again(
    project: Project, cloud: Aws, tmp_path: Path
) -> None:
    first = begun(project, cloud, saving(WAITS.format(go=tmp_path / "go")))
    first.kill()
    first.communicate(timeout=60)
    (tmp_path / "go").touch()
    run_again(project)
    assert len(cloud.calls(_CREATE)) == 1
    (job,) = cloud.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    assert job["TrainingJobStatus"] == "Completed"


def test_ctrl_c_stops_the_job_and_the_next_has_its_checkpoints(
    project: Project, cloud: Aws
) -> None:
    script = """
        import pathlib, time
        left = pathlib.Path("/opt/ml/checkpoints/left")
        continues = left.exists()
        left.write_text("1")
        print("begun", flush=True)
        while not continues:
            time.sleep(0.05)
    """
    first = begun(project, cloud, saving(script), spot={"max_wait": "2h"})
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert len(cloud.calls("StopTrainingJob")) == 1
    run_again(project)
    name = asked_names(cloud)[0]
    assert asked_names(cloud) == [name, f"{name}-1"]
    jobs = cloud.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    assert {job["TrainingJobName"]: job["TrainingJobStatus"] for job in jobs} == {
        name: "Stopped",
        f"{name}-1": "Completed",
    }


def asked_names(cloud: Aws) -> list[str]:
    return [request["TrainingJobName"] for _, _, request in cloud.calls(_CREATE)]


@pytest.mark.parametrize("package", ["boto3", "sagemaker"])
def test_what_is_not_installed_is_named(
    project: Project, cloud: Aws, package: str, repository: Path
) -> None:
    code = f"""
        import sys
        from pathlib import Path
        sys.modules["{package}"] = None  # as where it is not installed
        sys.path.insert(0, {str(repository)!r})
        from mlpipe import StageError
        from tests.plugins.sagemaker.training_project import Project, aws_target, saving
        try:
            Project(Path.cwd()).train(saving(""), target=aws_target())
        except StageError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert f"{package} is not installed" in done.stdout, done.stderr
    assert "pip install 'mlpipe-framework-sagemaker[aws]'" in done.stdout


class Refusing(BaseHTTPRequestHandler):
    """Refuses every call, as AWS does whom a policy does not allow it."""

    def do_POST(self) -> None:
        body = json.dumps({"__type": "AccessDeniedException", "Message": "no"}).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_who_may_not_read_the_log_is_told_so_once(
    cloud: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        logs = mlpipe_aws.client(mlpipe_aws.settings(aws_target(endpoint_url=url)), "logs")
        log = LogFollower(logs, "job")
        assert (log.read(), log.read()) == ([], [])
        server.shutdown()
    said = capsys.readouterr().out
    assert said.count("may not call DescribeLogStreams") == 1
    assert "job goes on without its log" in said


def test_arguments_are_those_of_the_sdks_drivers() -> None:
    given: dict[str, Any] = {"b": True, "C": 1.5, "name": "a b", "n": 3}
    expected = ["--C", "1.5", "--b", "true", "--n", "3", "--name", "a b"]
    assert arguments(given) == expected
    assert json.loads(expected[3]) is True


def test_a_local_target_asks_nothing_of_aws(project: Project, cloud: Aws) -> None:
    project.train(saving(""), target=Target())
    assert [name for _, name, _ in cloud.calls() if name != "CreateBucket"] == []
