"""Tuning jobs of the emulated AWS, asked for by an unmodified boto3 client."""

import itertools
import math
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlpipe_awstest import Aws
from tests.plugins.awstest.awstest_jobs import BUCKET, IMAGE, trials, tuned, tuning, wait_until

DEPTH = {"Name": "depth", "MinValue": "1", "MaxValue": "9"}
RATE = {"Name": "rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
LOSS = {"Name": "loss", "Values": ["l1", "l2"]}
RANGES = {"IntegerParameterRanges": [DEPTH], "ContinuousParameterRanges": [RATE]}
#: The score is the depth; the hyperparameters are the model.
SCRIPT = (
    "cp /opt/ml/input/config/hyperparameters.json /opt/ml/model/; "
    'python3 -c "import json; '
    "print('score=' + json.load(open('/opt/ml/input/config/hyperparameters.json'))['depth'])\""
)


@pytest.fixture
def sagemaker(aws: Aws) -> Any:
    aws.bucket(BUCKET)
    aws.image(IMAGE, train='bash -c "$SCRIPT"')
    return aws.client("sagemaker")


def test_a_tuning_job_really_trains(aws: Aws, sagemaker: Any) -> None:
    sagemaker.create_hyper_parameter_tuning_job(**tuning("search", SCRIPT, RANGES))
    job = tuned(sagemaker, "search")
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    counted = {"Completed": 3, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0}
    assert job["TrainingJobStatusCounters"] == {**counted, "Stopped": 0}
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}
    found = trials(sagemaker, "search")
    depths = [int(each["TunedHyperParameters"]["depth"]) for each in found]
    assert all(1 <= depth <= 9 for depth in depths)
    assert all(0.001 <= float(each["TunedHyperParameters"]["rate"]) <= 0.1 for each in found)
    scores = [each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for each in found]
    assert scores == depths
    best = job["BestTrainingJob"]
    assert int(best["TunedHyperParameters"]["depth"]) == max(depths)
    trained = sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert trained["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    expected = {"kind": "tree", "_tuning_objective_metric": "score"}
    assert trained["HyperParameters"] == {**expected, **best["TunedHyperParameters"]}
    key = trained["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
    assert key in aws.objects(BUCKET)
    by_score = trials(
        sagemaker, "search", SortBy="FinalObjectiveMetricValue", SortOrder="Descending"
    )
    assert [int(each["TunedHyperParameters"]["depth"]) for each in by_score] == sorted(
        depths, reverse=True
    )


def test_the_same_seed_tries_the_same(sagemaker: Any) -> None:
    for name in ("one", "two"):
        sagemaker.create_hyper_parameter_tuning_job(**tuning(name, SCRIPT, RANGES))
        tuned(sagemaker, name)
    one, two = ([t["TunedHyperParameters"] for t in trials(sagemaker, n)] for n in ("one", "two"))
    assert one == two
    assert len({str(each) for each in one}) == 3


def test_a_grid_tries_every_combination(sagemaker: Any) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "depth", "Values": ["0", "2"]}, LOSS]}
    limits = {"MaxParallelTrainingJobs": 2}
    config = {"Strategy": "Grid", "ResourceLimits": limits}
    request = tuning("grid", SCRIPT, ranges, config=config)
    request["HyperParameterTuningJobConfig"].pop("RandomSeed")
    sagemaker.create_hyper_parameter_tuning_job(**request)
    assert tuned(sagemaker, "grid")["TrainingJobStatusCounters"]["Completed"] == 4
    found = trials(sagemaker, "grid")
    tried = [(t["TunedHyperParameters"]["depth"], t["TunedHyperParameters"]["loss"]) for t in found]
    assert sorted(tried) == sorted(itertools.product(["0", "2"], ["l1", "l2"]))
    values = {t["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for t in found}
    assert values == {0.0, 2.0}  # nothing is left out, not even a zero


def test_never_more_in_parallel_than_asked_for(sagemaker: Any) -> None:
    config = {"ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1}}
    sagemaker.create_hyper_parameter_tuning_job(**tuning("row", SCRIPT, RANGES, config=config))
    tuned(sagemaker, "row")
    jobs = [
        sagemaker.describe_training_job(TrainingJobName=each["TrainingJobName"])
        for each in trials(sagemaker, "row")
    ]
    assert all(a["TrainingEndTime"] <= b["CreationTime"] for a, b in itertools.pairwise(jobs))


def test_autotune_searches_near_hints(sagemaker: Any) -> None:
    ranges = {"AutoParameters": [{"Name": "depth", "ValueHint": "20"}]}
    request = tuning("auto", SCRIPT, ranges, Autotune={"Mode": "Enabled"})
    sagemaker.create_hyper_parameter_tuning_job(**request)
    tuned(sagemaker, "auto")
    tried = [int(each["TunedHyperParameters"]["depth"]) for each in trials(sagemaker, "auto")]
    assert all(abs(math.log10(depth / 20)) <= 1.1 for depth in tried)


def test_a_tuning_job_can_be_stopped(sagemaker: Any) -> None:
    sagemaker.create_hyper_parameter_tuning_job(**tuning("long", "sleep 600", RANGES))
    wait_until(lambda: len(trials(sagemaker, "long", StatusEquals="InProgress")) == 2)
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="long")
    job = tuned(sagemaker, "long")
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 2
    assert "BestTrainingJob" not in job
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="long")


def test_trials_that_fail(aws: Aws, sagemaker: Any) -> None:
    aws.doom("capacity")
    sagemaker.create_hyper_parameter_tuning_job(**tuning("some", SCRIPT, RANGES))
    job = tuned(sagemaker, "some")
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 1}
    sagemaker.create_hyper_parameter_tuning_job(**tuning("all", "exit 1", RANGES))
    job = tuned(sagemaker, "all")
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert "All training jobs failed" in job["FailureReason"]


def warm(parent: str, kind: str = "IdenticalDataAndAlgorithm") -> dict[str, Any]:
    parents = [{"HyperParameterTuningJobName": parent}]
    return {"ParentHyperParameterTuningJobs": parents, "WarmStartType": kind}


def test_warm_starts(sagemaker: Any) -> None:
    first = tuning("first", SCRIPT, {**RANGES, "IntegerParameterRanges": [DEPTH]})
    sagemaker.create_hyper_parameter_tuning_job(**first)
    best = tuned(sagemaker, "first")["BestTrainingJob"]
    low = {"IntegerParameterRanges": [{**DEPTH, "MinValue": "0", "MaxValue": "1"}]}
    request = tuning("second", SCRIPT, {**RANGES, **low}, WarmStartConfig=warm("first"))
    sagemaker.create_hyper_parameter_tuning_job(**request)
    overall = tuned(sagemaker, "second")["OverallBestTrainingJob"]
    assert overall["TrainingJobName"] == best["TrainingJobName"]
    assert overall["TuningJobName"] == "first"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"WarmStartConfig": warm("nobody")}, "Parent tuning job nobody does not exist"),
        ({"HyperParameterTuningJobName": "n" * 33}, "length less than or equal to 32"),
        ({"WarmStartConfig": warm("x", "Similar")}, "enum value set"),
        ({"config": {"Strategy": "Grid"}}, "categorical parameters only"),
        (
            {"config": {"ResourceLimits": {"MaxParallelTrainingJobs": 1}}},
            "MaxNumberOfTrainingJobs is required",
        ),
        (
            {"ranges": {"IntegerParameterRanges": [{**DEPTH, "MaxValue": "1"}]}},
            "MinValue of depth must be less",
        ),
        (
            {"ranges": {"ContinuousParameterRanges": [{**RATE, "MinValue": "0"}]}},
            "Logarithmic scaling of rate needs MinValue above 0",
        ),
        ({"definition": {"StaticHyperParameters": {"depth": "1"}}}, "must be unique"),
    ],
)
def test_requests_that_are_refused(sagemaker: Any, change: dict[str, Any], said: str) -> None:
    ranges = change.get("ranges", RANGES)
    more = {name: value for name, value in change.items() if name != "ranges"}
    with pytest.raises(ClientError, match=said):
        sagemaker.create_hyper_parameter_tuning_job(**tuning("bad", SCRIPT, ranges, **more))


def test_warm_starts_from_what_is_different(sagemaker: Any) -> None:
    sagemaker.create_hyper_parameter_tuning_job(**tuning("first", SCRIPT, RANGES))
    with pytest.raises(ClientError, match="has not ended"):
        sagemaker.create_hyper_parameter_tuning_job(
            **tuning("early", SCRIPT, RANGES, WarmStartConfig=warm("first"))
        )
    tuned(sagemaker, "first")
    fewer = {"IntegerParameterRanges": [DEPTH]}
    other = {"TrainingImage": IMAGE.replace("mine", "other"), "TrainingInputMode": "File"}
    changed = tuning("new", SCRIPT, RANGES, definition={"AlgorithmSpecification": other})
    for request, said in (
        (tuning("new", SCRIPT, fewer), "as many hyperparameters"),
        (changed, "needs the image"),
    ):
        with pytest.raises(ClientError, match=said):
            sagemaker.create_hyper_parameter_tuning_job(**request, WarmStartConfig=warm("first"))


def test_a_name_is_used_once(sagemaker: Any) -> None:
    sagemaker.create_hyper_parameter_tuning_job(**tuning("again", SCRIPT, RANGES))
    with pytest.raises(ClientError, match="ResourceInUse"):
        sagemaker.create_hyper_parameter_tuning_job(**tuning("again", SCRIPT, RANGES))
    with pytest.raises(ClientError, match="ResourceNotFound"):
        sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="never")
