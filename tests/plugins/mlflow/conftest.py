"""Projects whose MLflow database is there already: making one takes seconds."""

import os
import shutil
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from tests.plugins.mlflow.mlflow_project import Pipeline, pack


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of MLflow that are not those of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow with nothing in it."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def root(tmp_path: Path, empty_database: Path) -> Path:
    """A project's folder."""
    folder = tmp_path / "project"
    (folder / ".mlpipe").mkdir(parents=True)
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


@pytest.fixture
def pipeline(root: Path) -> Pipeline:
    return Pipeline(root)


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models of the breast cancer data, trained on its first 400 rows."""
    home = tmp_path_factory.mktemp("models")
    data = load_breast_cancer()
    rows, labels = data.data[:400], data.target[:400]
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(rows, labels)
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
    return {
        "tree": pack(home / "tree.tar.gz", tree),
        "linear": pack(home / "linear.tar.gz", linear),
    }


@pytest.fixture
def models(root: Path, archives: dict[str, Path]) -> dict[str, Path]:
    """The two models in a project's store."""
    folder = root / ".mlpipe" / "artifacts"
    folder.mkdir()
    return {name: Path(shutil.copy(path, folder)) for name, path in archives.items()}
