"""Which code goes with a model."""

from pathlib import Path

import pytest

import mlpipe_scriptmode
from mlpipe.errors import StageError
from mlpipe_sagemaker.config import TrainConfig
from mlpipe_sagemaker.sources import collect
from tests.plugins.sagemaker.training_project import Project, saving

FILES = {
    "recipes/shop/train.py": """
        import helper
        import os, numpy
        from recipes.shop.features import encode
        from tools import *

        def late():
            import recipes.shop.late
    """,
    "recipes/shop/helper.py": "import json",
    "recipes/shop/unused.py": "",
    "recipes/shop/features.py": "from . import scaling\nfrom .deep.inner import X",
    "recipes/shop/scaling.py": "import recipes.shop.features",
    "recipes/shop/late.py": "",
    "recipes/shop/deep/__init__.py": "",
    "recipes/shop/deep/inner.py": "from ..sibling import Y\nX = Y",
    "recipes/shop/sibling.py": "Y = 1",
    "tools/__init__.py": "from .text import clean",
    "tools/text.py": "def clean(): ...",
    "tools/other.py": "",
}


def found(project: Project, script: str) -> dict[str, str]:
    program, sources = collect(script, project.root, None)
    assert program == Path(script).name
    return {name: path.relative_to(project.root).as_posix() for name, path in sources.items()}


def test_imports_are_followed(project: Project) -> None:
    project.write(FILES)
    assert found(project, "recipes/shop/train.py") == {
        "train.py": "recipes/shop/train.py",
        "helper.py": "recipes/shop/helper.py",
        "recipes/shop/features.py": "recipes/shop/features.py",
        "recipes/shop/scaling.py": "recipes/shop/scaling.py",
        "recipes/shop/late.py": "recipes/shop/late.py",
        "recipes/shop/deep/__init__.py": "recipes/shop/deep/__init__.py",
        "recipes/shop/deep/inner.py": "recipes/shop/deep/inner.py",
        "recipes/shop/sibling.py": "recipes/shop/sibling.py",
        "tools/__init__.py": "tools/__init__.py",
        "tools/text.py": "tools/text.py",
    }


def test_module_wins_over_a_folder_of_its_name(project: Project) -> None:
    project.write({"shop/train.py": "import data", "shop/data/rows.csv": "", "data.py": "X = 1"})
    assert found(project, "shop/train.py") == {"train.py": "shop/train.py", "data.py": "data.py"}


def test_package_spread_over_two_folders(project: Project) -> None:
    files = {"shop/train.py": "import lib.a, lib.b", "shop/lib/a.py": "", "lib/b.py": ""}
    project.write(files)
    assert found(project, "shop/train.py") == {
        "train.py": "shop/train.py",
        "lib/a.py": "shop/lib/a.py",
        "lib/b.py": "lib/b.py",
    }


def test_what_is_shipped_is_all_that_the_script_needs(project: Project, tmp_path: Path) -> None:
    project.write(
        {"tools/names.py": "NAME = 'tools'", "shop/own.py": "from tools.names import NAME"}
    )
    script = """
        import own
        def model_fn(folder): return own.NAME
        def predict_fn(data, model): return model
    """
    archive = project.train(saving(script), script="shop/train.py").output("model")
    folder = mlpipe_scriptmode.unpack(archive, tmp_path / "elsewhere")
    assert mlpipe_scriptmode.load(folder).predict(None) == "tools"


def test_project_is_not_importable_beyond_what_is_shipped(project: Project) -> None:
    project.write({"tools/names.py": ""})
    with pytest.raises(StageError, match="No module named 'tools'"):
        project.train("import importlib; importlib.import_module('tools' + '.names')")


def test_requirements_beside_the_script_go_along(project: Project) -> None:
    project.write({"shop/train.py": "", "shop/requirements.txt": "lightgbm==4.6\n"})
    assert found(project, "shop/train.py")["requirements.txt"] == "shop/requirements.txt"
    config = TrainConfig(script="shop/train.py")
    assert config.sources() == ("shop/requirements.txt",)


def test_source_dir_goes_along_whole(project: Project) -> None:
    project.write(
        {
            "shop/train.py": "",
            "shop/config.json": "{}",
            "shop/unused/more.py": "",
            "shop/.git/config": "",
            "shop/__pycache__/train.cpython-311.pyc": "",
        }
    )
    program, sources = collect("shop/train.py", project.root, "shop")
    assert program == "train.py"
    assert sorted(sources) == ["config.json", "train.py", "unused/more.py"]


def test_script_reads_a_file_of_its_source_dir(project: Project) -> None:
    project.write({"shop/config.txt": "loss=0.5"})
    training = project.train(
        saving("print(open('config.txt').read())\n"),
        script="shop/train.py",
        source_dir="shop",
        metrics={"loss": r"loss=([\d.]+)"},
    )
    assert training.result.metrics == {"loss": 0.5}


def test_script_that_is_no_python_fails_by_its_own_words(project: Project) -> None:
    with pytest.raises(StageError, match="SyntaxError"):
        project.train("def (:")
