"""Registered models: versions by digest, aliases by release, and loading them again."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from mlpipe import UserError
from mlpipe_mlflow.config import TrackingConfig
from tests.plugins.mlflow.mlflow_project import Pipeline


def trained(pipeline: Pipeline, models: dict[str, Path]) -> dict[str, dict[str, str]]:
    """Tell of a run that trains both models."""
    pipeline.start()
    facts = {}
    for name, archive in models.items():
        pipeline.begin(name)
        facts[name] = pipeline.model(name, archive)
        pipeline.end(name)
    return facts


def test_a_release_makes_models_loadable_by_alias(
    pipeline: Pipeline, models: dict[str, Path]
) -> None:
    facts = trained(pipeline, models)
    pipeline.release(champion=facts["tree"], challenger=facts["linear"])
    assert pipeline.aliases() == {"champion": "1", "challenger": "2"}
    version = pipeline.client.get_model_version_by_alias("churn", "champion")
    assert version.tags["mlpipe.digest"] == facts["tree"]["digest"]
    assert version.tags["mlpipe.stage"] == "tree"
    assert version.tags["mlpipe.program"] == "serve.py"
    assert version.run_id == pipeline.nested("tree").info.run_id

    data = load_breast_cancer(as_frame=True)
    code = f"""
import json, mlflow, sys
import pandas as pd
mlflow.set_tracking_uri("sqlite:///{pipeline.root}/mlflow.db")
rows = pd.read_json(sys.stdin, orient="split")
found = [mlflow.pyfunc.load_model(f"models:/churn@{{alias}}").predict(rows).tolist()
         for alias in ("champion", "challenger")]
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=data.data[400:].to_json(orient="split"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    champion, challenger = json.loads(done.stdout.splitlines()[-1])
    truth = data.target[400:].tolist()
    for guesses in (champion, challenger):
        assert sum(a == b for a, b in zip(guesses, truth, strict=True)) / len(truth) > 0.85
    assert champion != challenger


def test_the_same_model_is_never_registered_twice(
    pipeline: Pipeline, models: dict[str, Path]
) -> None:
    trained(pipeline, models)
    again = Pipeline(pipeline.root, run="8b21")
    facts = trained(again, models)
    again.release(champion=facts["linear"])
    assert len(pipeline.client.search_model_versions("name = 'churn'")) == 2
    assert again.aliases() == {"champion": "2"}


def test_aliases_follow_releases_and_rollbacks(pipeline: Pipeline, models: dict[str, Path]) -> None:
    facts = trained(pipeline, models)
    pipeline.release(champion=facts["tree"])
    pipeline.release(champion=facts["linear"], challenger=facts["tree"])
    assert pipeline.aliases() == {"champion": "2", "challenger": "1"}
    pipeline.client.set_registered_model_alias("churn", "approved", "2")

    rollback = Pipeline(pipeline.root, run="rollback-1c2d")
    rollback.release("rolled_back", champion=facts["tree"])
    assert pipeline.aliases() == {"champion": "1", "approved": "2"}
    rollback.replay()
    assert pipeline.aliases() == {"champion": "1", "approved": "2"}


def test_a_rollback_of_what_is_not_registered_moves_nothing(
    pipeline: Pipeline, models: dict[str, Path]
) -> None:
    facts = trained(pipeline, models)
    pipeline.release(champion=facts["tree"])
    Pipeline(pipeline.root, run="rollback-1c2d").release(
        "rolled_back", champion={"digest": "sha256:other", "location": "x"}
    )
    assert pipeline.aliases() == {"champion": "1"}


def test_a_model_from_before_tracking_is_registered_when_released(
    pipeline: Pipeline, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = trained(Pipeline(pipeline.root, recipe="unrelated"), models)
    pipeline.run = "8b21"
    pipeline.start()
    pipeline.release(champion=facts["tree"])
    assert pipeline.aliases() == {"champion": "1"}
    uri = f"sqlite:///{pipeline.root}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)  # MLflow sets it, too, and leaves it set
    mlflow.set_tracking_uri(uri)
    row = pd.DataFrame(load_breast_cancer().data[:1])
    assert len(mlflow.pyfunc.load_model("models:/churn@champion").predict(row)) == 1


def test_a_registered_model_of_another_name(root: Path, models: dict[str, Path]) -> None:
    pipeline = Pipeline(root, config=TrackingConfig(model="mine"), recipe="team's/churn")
    facts = trained(pipeline, models)
    pipeline.release(champion=facts["tree"])
    assert pipeline.aliases("mine") == {"champion": "1"}
    other = Pipeline(root, run="8b21", recipe="team's/churn:eu")
    trained(other, models)
    assert len(other.client.search_model_versions('name = "team\'s-churn-eu"')) == 2


def test_a_variant_whose_name_is_no_alias(pipeline: Pipeline, models: dict[str, Path]) -> None:
    facts = trained(pipeline, models)
    pipeline.release(champion=facts["tree"], v2=facts["linear"])
    assert pipeline.aliases() == {"champion": "1"}
    assert pipeline.reports == ['MLflow keeps the name "v2" for itself: no alias for it']


def test_a_model_that_is_elsewhere(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.begin("train")
    with pytest.raises(UserError, match=r"s3://bucket/m\.tar\.gz is not here to be registered"):
        pipeline.say("train", "model", name="m", digest="sha256:1", location="s3://bucket/m.tar.gz")


def test_models_of_other_kinds_and_releases_of_other_things(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.begin("train")
    pipeline.say("train", "model", name="m", framework="onnx", digest="sha256:1", location="m.onnx")
    image = {"image": "registry/app@sha256:1"}
    pipeline.tell("released", "push", kind="image", name="app", label="1.0", payload=image)
    assert pipeline.client.search_registered_models() == []


def test_a_script_with_requirements_of_its_own(
    pipeline: Pipeline, models: dict[str, Path], tmp_path: Path
) -> None:
    import mlpipe_scriptmode

    unpacked = mlpipe_scriptmode.unpack(models["tree"], tmp_path / "unpacked")
    own = tmp_path / "requirements.txt"
    own.write_text("# pinned\nscikit-learn==1.9.1\n-r more.txt\n\njoblib\n")
    sources = {"serve.py": unpacked / "code" / "serve.py", "requirements.txt": own}
    (tmp_path / "parts").mkdir()
    (unpacked / "model.joblib").rename(tmp_path / "parts" / "model.joblib")
    archive = pipeline.root / "model.tar.gz"
    mlpipe_scriptmode.pack(tmp_path / "parts", sources, "serve.py", archive)
    trained(pipeline, {"tree": archive})
    (written,) = (pipeline.root / "mlartifacts").rglob("models/*/requirements.txt")
    lines = written.read_text().splitlines()
    assert {"scikit-learn==1.9.1", "joblib"} < set(lines)
    assert any(line.startswith("mlpipe-framework-mlflow==") for line in lines)
