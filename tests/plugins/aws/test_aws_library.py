"""What plugins that talk to AWS share, against an emulated AWS over HTTP."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mlpipe_aws
from mlpipe import StageError, Target
from mlpipe_aws import Prices, Settings, Store
from mlpipe_awstest import REGION, ROLE, Aws

BUCKET = "acme-ml"


def target(**more: Any) -> Target:
    given = {"region": REGION, "bucket": BUCKET, "role": ROLE, **more}
    return Target("prod", "aws", {name: value for name, value in given.items() if value != ""})


@pytest.fixture
def settings(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    aws.bucket(BUCKET)
    return mlpipe_aws.settings(target())


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


# -- settings ---------------------------------------------------------------------------


def test_settings_have_defaults() -> None:
    found = mlpipe_aws.settings(target())
    assert (found.prefix, found.kms_key, found.tags) == ("mlpipe", None, {})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bucket": ""}, "targets.prod.bucket: is missing"),
        ({"buckets": "x"}, 'targets.prod.buckets: unknown key\n   Did you mean "bucket"?'),
        ({"colour": "x"}, "Known: region, bucket"),
        ({"bucket": "Not_A_Bucket"}, "targets.prod.bucket"),
        ({"role": "training"}, "As role: arn:aws:iam::"),
        ({"tags": {str(i): "x" for i in range(41)}}, "targets.prod.tags"),
        ({"endpoint_url": "localhost:1"}, "targets.prod.endpoint_url"),
    ],
)
def test_settings_that_are_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(StageError) as caught:
        mlpipe_aws.settings(target(**given))
    assert said in str(caught.value)


# -- the store --------------------------------------------------------------------------


def test_a_file_is_stored_once_under_its_digest(
    aws: Aws, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_bytes(b"1,2\n")
    store = Store(settings)
    uri = store.put(tmp_path / "rows.csv", digest(b"1,2\n"))
    place = digest(b"1,2\n").replace(":", "/")
    assert uri == f"s3://{BUCKET}/mlpipe/artifacts/{place}/rows.csv"
    assert store.put(tmp_path / "rows.csv", digest(b"1,2\n")) == uri
    assert len(aws.calls("PutObject")) == 1
    fetched = store.get(uri, tmp_path / "new" / "again.csv", digest(b"1,2\n"))
    assert fetched.read_bytes() == b"1,2\n"
    assert store.exists(uri)
    assert not store.exists(uri + "x")


def test_a_folder_is_stored_file_by_file(aws: Aws, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "images" / "deep").mkdir(parents=True)
    (tmp_path / "images" / "one.txt").write_text("1")
    (tmp_path / "images" / "deep" / "two.txt").write_text("2")
    store = Store(settings)
    uri = store.put(tmp_path / "images", "md5:abc.dir")
    assert uri == f"s3://{BUCKET}/mlpipe/artifacts/md5/abc.dir"
    assert sorted(key.removeprefix("mlpipe/artifacts/md5/") for key in aws.objects(BUCKET)) == [
        "abc.dir/deep/two.txt",
        "abc.dir/one.txt",
    ]
    into = store.get_all(uri, tmp_path / "back")
    assert (into / "deep" / "two.txt").read_text() == "2"


def test_two_that_store_the_same_at_once_do_not_clash(
    aws: Aws, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"x")
    aws.fault("PutObject", "lost-response")  # it took effect: the next attempt finds it there
    Store(settings).put(tmp_path / "a", digest(b"x"))
    assert len(aws.calls("PutObject")) == 2
    assert list(aws.objects(BUCKET).values()) == [b"x"]


def test_a_damaged_object_is_noticed(aws: Aws, settings: Settings, tmp_path: Path) -> None:
    aws.client("s3").put_object(Bucket=BUCKET, Key="k", Body=b"other")
    with pytest.raises(StageError, match="is not what it should be"):
        Store(settings).get(f"s3://{BUCKET}/k", tmp_path / "k", digest(b"x"))
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="cannot be fetched"):
        Store(settings).get(f"s3://{BUCKET}/nothing", tmp_path / "k")
    with pytest.raises(StageError, match="is no address in S3"):
        Store(settings).get("https://elsewhere/k", tmp_path / "k")


def test_objects_are_encrypted_with_the_targets_key(
    aws: Aws, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"x")
    uri = Store(mlpipe_aws.settings(target(kms_key="alias/ml"))).put(tmp_path / "a", digest(b"x"))
    key = uri.removeprefix(f"s3://{BUCKET}/")
    found = aws.client("s3").head_object(Bucket=BUCKET, Key=key)
    assert found["ServerSideEncryption"] == "aws:kms"


def test_a_file_that_has_changed_since_is_not_stored(
    aws: Aws, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"y")
    with pytest.raises(StageError, match="has changed since it was digested"):
        Store(settings).put(tmp_path / "a", digest(b"x"))
    assert aws.objects(BUCKET) == {}


def test_a_name_that_leads_out_of_the_folder_is_refused(
    aws: Aws, settings: Settings, tmp_path: Path
) -> None:
    aws.client("s3").put_object(Bucket=BUCKET, Key="d/../../out", Body=b"x")
    with pytest.raises(StageError, match="leads out of its folder"):
        Store(settings).get_all(f"s3://{BUCKET}/d", tmp_path / "deep" / "in")
    assert not list(tmp_path.rglob("out"))


def test_the_consoles_folders_are_no_files(aws: Aws, settings: Settings, tmp_path: Path) -> None:
    s3 = aws.client("s3")
    for key in ("d/", "d/sub/", "d/sub/a"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    into = Store(settings).get_all(f"s3://{BUCKET}/d", tmp_path / "in")
    assert [path.name for path in into.rglob("*") if path.is_file()] == ["a"]


def test_a_large_file_that_is_refused(settings: Settings, tmp_path: Path) -> None:
    size = 65 << 20
    with (tmp_path / "big").open("wb") as file:
        file.truncate(size)
    store = Store(settings.model_copy(update={"bucket": "nobody-has-this"}))
    with pytest.raises(StageError, match="Make the bucket, or name another"):
        store.put(tmp_path / "big", digest(bytes(size)))


# -- errors -----------------------------------------------------------------------------


def test_no_credentials(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(StageError, match="There are no AWS credentials here"):
        Store(mlpipe_aws.settings(target())).put(tmp_path / "a", digest(b"x"))


def test_no_such_profile(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageError, match=r'^profile: .* no profile "nobody"'):
        mlpipe_aws.client(settings.model_copy(update={"profile": "nobody"}), "s3")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StageError, match=r'^AWS_PROFILE: .* no profile "nobody"'):
        mlpipe_aws.client(settings, "s3")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AccessDenied", "mlpipe iam RECIPE --target TARGET"),
        ("ExpiredToken", "sign in again"),
        ("NoSuchBucket", "Make the bucket"),
        ("ResourceLimitExceeded", "quota"),
        ("SomethingElse", None),
    ],
)
def test_errors_say_what_to_do(code: str, said: str | None) -> None:
    from botocore.exceptions import ClientError

    error = ClientError({"Error": {"Code": code, "Message": "no"}}, "PutObject")
    explained = mlpipe_aws.explain(error)
    assert (explained is None) == (said is None)
    assert said is None or said in str(explained)


@pytest.mark.parametrize(
    ("code", "status", "passes"),
    [
        ("ThrottlingException", 400, True),
        ("ExpiredToken", 403, True),
        ("Odd", 503, True),
        ("AccessDenied", 403, False),
        ("ValidationException", 400, False),
    ],
)
def test_some_errors_pass(code: str, status: int, *, passes: bool) -> None:
    from botocore.exceptions import ClientError

    answer: Any = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    error = ClientError(answer, "DescribeTrainingJob")
    assert mlpipe_aws.passing(error) == passes
    with pytest.raises(StageError) as caught, mlpipe_aws.failing("no"):
        raise error
    assert mlpipe_aws.passing(caught.value) == passes


def test_being_out_of_reach_passes() -> None:
    from botocore.exceptions import EndpointConnectionError, NoCredentialsError

    assert mlpipe_aws.passing(EndpointConnectionError(endpoint_url="https://aws"))
    assert not mlpipe_aws.passing(NoCredentialsError())
    assert not mlpipe_aws.passing(StageError("no"))


def test_other_errors_are_left_as_they_are() -> None:
    assert mlpipe_aws.explain(ValueError("no")) is None


# -- prices -----------------------------------------------------------------------------


def test_the_table_that_ships_has_a_date_and_prices() -> None:
    table = Prices.load()
    assert table.currency == "USD"
    assert len(table.date) == 10
    assert 0 < (table.of("ml.m5.large") or 0) < (table.of("ml.m5.xlarge") or 0)
    assert table.of("ml.unheard-of.large") is None


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("date: 2026-01-01\ncurrency: EUR\nhourly: {ml.m5.large: 0.2}\n")
    table = Prices.load(path)
    assert (table.date, table.currency, table.of("ml.m5.large")) == ("2026-01-01", "EUR", 0.2)


@pytest.mark.parametrize(
    "text", ["", "- 1", "hourly: 1", "hourly: {a: b}", "hourly: {a: -1}", "hourly: {a: true}", "{"]
)
def test_tables_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(StageError, match="price table"):
        Prices.load(path)
    with pytest.raises(StageError, match="price table"):
        Prices.load(tmp_path / "nothing.yaml")


# -- the guard --------------------------------------------------------------------------


def reach(aws: Aws, log: Path, host: str) -> "subprocess.CompletedProcess[str]":
    code = f"import socket; socket.create_connection(('{host}', {aws.url.rpartition(':')[2]}), 2)"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=aws.guarded(log),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_guarded_processes_reach_this_machine_only(aws: Aws, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert reach(aws, log, "127.0.0.1").returncode == 0
    assert not log.exists()
    assert "may talk to this machine only" in reach(aws, log, "192.0.2.1").stderr
    assert "192.0.2.1" in log.read_text()
