"""The page that shows an evaluation, as a browser and a reader of its source see it."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.tree import DecisionTreeClassifier

from tests.plugins.mlflow.mlflow_evaluation import evaluate, table
from tests.plugins.mlflow.mlflow_project import pack


class Page(HTMLParser):
    """What stands in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @property
    def figures(self) -> list[str]:
        """What those are told who do not see the figures."""
        return [str(each.get("aria-label")) for tag, each in self.attributes if tag == "svg"]


def page(root: Path, inputs: dict[str, Path], **settings: Any) -> Page:
    path = evaluate(root, inputs, **settings)[0].outputs["plots"]
    assert isinstance(path, Path)
    found = Page(path.read_text())
    assert not found.open
    return found


def test_a_page_needs_nothing_from_elsewhere(tmp_path: Path, archives: dict[str, Path]) -> None:
    data = load_breast_cancer()
    inputs = {
        "champion": archives["tree"],
        "challenger": archives["linear"],
        "test": table(tmp_path, data.data[400:], data.target[400:]),
    }
    settings = {"bootstrap": {"samples": 100}, "champion": "champion"}
    found = page(tmp_path, inputs, **settings)
    addresses = re.findall(r"""(?:src|href)=["']([^"']*)|url\(([^)]*)\)""", found.text)
    assert all((one or other).startswith("#") for one, other in addresses)
    tags = {tag for tag, _ in found.attributes}
    assert not tags & {"script", "link", "img", "iframe"}
    assert "prefers-color-scheme:dark" in found.text
    names = [each["id"] for _, each in found.attributes if "id" in each]
    assert not re.findall(r"#0103|#0102", found.text)
    assert len(found.figures) == 6
    assert found.figures[3] == "ROC curve. Area under the curve: 0.9992."
    assert "95 % bounds, from 100 bootstrap samples" in found.text
    assert "Better than champion by" in found.text
    assert len(names) == len(set(names))
    used = re.findall(r"""["(]#([\w.-]+)""", found.text)
    assert set(used) == set(names)
    assert page(tmp_path / "again", inputs, **settings).text == found.text


def test_more_classes_than_colours(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = np.array([f"_<class ${number}$>" for number in range(40)] * 10)
    rows = random.normal(size=(400, 4)) + np.arange(40)[np.arange(400) % 40, None]
    inputs = {
        "model": pack(tmp_path / "m.tar.gz", DecisionTreeClassifier().fit(rows, labels)),
        "test": table(tmp_path, rows, labels),
    }
    found = page(tmp_path, inputs)
    assert "Confusion matrix" not in found.text  # of 1,600 cells; the JSON report has it
    assert found.figures[0].count("_<class $") == 10
    assert "<class" not in found.text
    assert found.text.count("\u200b_&lt;class $") == 30  # ten in each legend


def test_three_classes(tmp_path: Path) -> None:
    data = load_iris()
    labels = data.target_names[data.target]
    model = LogisticRegression(max_iter=500).fit(data.data[::2], labels[::2])
    inputs = {
        "model": pack(tmp_path / "m.tar.gz", model),
        "test": table(tmp_path, data.data[1::2], labels[1::2]),
    }
    found = page(tmp_path, inputs)
    assert [each.partition(".")[0] for each in found.figures] == [
        f"{what} of each class against the others"
        for what in ("ROC curve", "Precision and recall", "Calibration")
    ]
    assert found.text.count('<td style="--share') == 9


def test_a_model_without_probabilities_has_its_matrix(tmp_path: Path) -> None:
    data = load_breast_cancer()
    model = RidgeClassifier().fit(data.data[:400], data.target[:400])
    inputs = {
        "model": pack(tmp_path / "m.tar.gz", model),
        "test": table(tmp_path, data.data[400:], data.target[400:]),
    }
    found = page(tmp_path, inputs)
    assert found.figures == []
    assert found.text.count('<td style="--share') == 4


@pytest.mark.parametrize(("repeat", "note"), [(1, ""), (20, " 2,000 of 2,840 rows are shown.")])
def test_a_regression(tmp_path: Path, repeat: int, note: str) -> None:
    data = load_diabetes()
    model = LinearRegression().fit(data.data[:300], data.target[:300])
    rows, truth = np.tile(data.data[300:], (repeat, 1)), np.tile(data.target[300:], repeat)
    inputs = {
        "model": pack(tmp_path / "m.tar.gz", model),
        "test": table(tmp_path, rows, truth, "test.parquet"),
    }
    found = page(tmp_path, inputs, task="regression")
    residuals = model.predict(data.data[300:]) - data.target[300:]
    middle = f"Mean {residuals.mean():.4g}, standard deviation {residuals.std():.4g}."
    assert found.figures == [
        f"Predicted and actual. Dots on the line are right.{note}",
        f"Residuals. {middle}{note}",
        f"Distribution of residuals. {middle}",
    ]
    assert len(found.text) < 1_000_000
