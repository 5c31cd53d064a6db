"""An image that a recipe builds, and trains in."""

import json
import tarfile
from pathlib import Path

from tests.engines import Engine
from tests.shipped import Shipped

#: A program of the image's own, with SageMaker's contract.
TRAIN = """\
#!/bin/sh
cat /opt/ml/input/config/hyperparameters.json
echo "validation accuracy: 0.75"
cat /opt/ml/input/data/train/rows.csv > /opt/ml/model/model.csv
"""
RECIPE = """\
name: own
stages:
  image:
    uses: container.build
    with: {context: own, network: host}
  rows:
    uses: shell.prepare
    with: {command: "echo 1,2 > {outputs.out}", outputs: {out: rows.csv}}
  model:
    uses: sagemaker.train
    inputs: {image: image.image, train: rows.out}
    with:
      container: true
      hyperparameters: {depth: 4}
      metrics: {accuracy: "validation accuracy: ([0-9.]+)"}
"""


def test_it_trains_in_what_it_built(podman: Engine, tmp_path: Path) -> None:
    project = Shipped(tmp_path, dict(podman.variables))
    own = tmp_path / "own"
    own.mkdir()
    (own / "train").write_text(TRAIN)
    (own / "train").chmod(0o755)
    (own / "Dockerfile").write_text("FROM localhost/shell:1\nCOPY train /bin/train\n")
    (tmp_path / "own.yaml").write_text(RECIPE)
    project.git("init", "-q")
    assert project.run("own") == dict.fromkeys(("image", "rows", "model"), "done")
    shown = json.loads(project.mlpipe("runs", "show", "last", "--json"))
    model = next(each for each in shown["stages"] if each["stage"] == "model")
    assert model["metrics"] == {"accuracy": 0.75}
    [archive] = (tmp_path / ".mlpipe" / "artifacts").rglob("model.tar.gz")
    with tarfile.open(archive) as opened:
        assert opened.getnames() == ["model.csv"]
    assert set(project.run("own").values()) == {"cached"}
    (own / "train").write_text(TRAIN.replace("0.75", "0.80"))
    again = project.run("own")
    assert (again["image"], again["rows"], again["model"]) == ("done", "cached", "done")


def test_sagemaker_is_not_given_what_only_this_machine_has(podman: Engine, tmp_path: Path) -> None:
    project = Shipped(tmp_path, dict(podman.variables))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "Dockerfile").write_text("FROM localhost/shell:1\n")
    target = (
        "targets: {aws: {region: eu-west-1, bucket: acme, "
        "role: 'arn:aws:iam::111122223333:role/training'}}\n"
    )
    settings = "      compute: {instance: ml.m5.large, max_runtime: 20m}\n"
    recipe = RECIPE.replace("      container: true\n", settings)
    (tmp_path / "own.yaml").write_text(target + recipe)
    project.git("init", "-q")
    done = project.command("mlpipe", "run", "own", "--target", "aws")
    assert done.returncode == 1
    assert "the image is in an engine of this machine" in done.stderr
    assert "Push it" in done.stderr
