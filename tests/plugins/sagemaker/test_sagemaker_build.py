"""Packages of training code: the same bytes for the same sources, whatever is around them."""

import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlpipe import Artifact, StageResult, Target
from mlpipe.errors import StageError
from mlpipe.testing import make_stage
from mlpipe_awstest import Aws
from mlpipe_sagemaker import build
from mlpipe_sagemaker.config import BuildConfig
from mlpipe_sagemaker.packaging import pack_sources, unpack_sources
from tests.plugins.sagemaker.training_project import Project, aws_target

FILES = {
    "jobs/one.py": "import shared\n",
    "jobs/two.py": "import shared\nfrom tools.text import clean\n",
    "jobs/shared.py": "X = 'ü'\n",
    "jobs/unused.py": "",
    "jobs/requirements.txt": "greeting==1.0\n",
    "tools/__init__.py": "",
    "tools/text.py": "def clean(): ...\n",
}
SCRIPTS = ["jobs/one.py", "jobs/two.py"]


def built(root: Path, target: Target | None = None, **settings: Any) -> StageResult:
    config = BuildConfig.model_validate({"scripts": SCRIPTS, **settings})
    return build(config=config, stage=make_stage(root, "build", target=target).stage)


def package(root: Path, **settings: Any) -> Path:
    code = built(root, **settings).outputs["code"]
    assert isinstance(code, Path)
    return code


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def test_package(project: Project) -> None:
    project.write(FILES)
    result = built(project.root)
    assert set(result.outputs) == {"code"}
    assert result.values == {"programs": ["one.py", "two.py"], "uri": ""}
    archive = result.outputs["code"]
    assert isinstance(archive, Path)
    assert archive.name == "sourcedir.tar.gz"
    assert names(archive) == [
        "mlpipe.json",
        "one.py",
        "requirements.txt",
        "shared.py",
        "tools/__init__.py",
        "tools/text.py",
        "two.py",
    ]


def test_source_dir_is_packaged_whole(project: Project) -> None:
    project.write({**FILES, "jobs/data/words.txt": "a", "jobs/.hidden": "", "tools/text.py": "1"})
    assert names(package(project.root, source_dir="jobs")) == [
        "data/words.txt",
        "mlpipe.json",
        "one.py",
        "requirements.txt",
        "shared.py",
        "two.py",
        "unused.py",
    ]


def test_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for number, (mask, mode, order) in enumerate([(0o022, 0o644, 1), (0o077, 0o755, -1)]):
        project = Project(tmp_path / f"machine-{number}")
        before = os.umask(mask)
        try:
            project.write(dict(list(FILES.items())[::order]))
            for path in project.root.rglob("*.py"):
                path.chmod(mode)
                os.utime(path, (1e9 + number, 1e9 + number))
            made.append(package(project.root).read_bytes())
            made.append(package(project.root, scripts=SCRIPTS[::-1]).read_bytes())
        finally:
            os.umask(before)
    assert len(set(made)) == 1


@pytest.mark.parametrize("name", ["jobs/shared.py", "jobs/requirements.txt"])
def test_other_sources_give_other_bytes(name: str, project: Project) -> None:
    project.write(FILES)
    before = package(project.root).read_bytes()
    project.write({name: FILES[name] + "# changed\n"})
    assert package(project.root).read_bytes() != before


def test_requirements_are_fingerprinted() -> None:
    config = BuildConfig.model_validate({"scripts": ["jobs/one.py", "train.py"]})
    assert config.sources() == ("jobs/requirements.txt", "requirements.txt")


def test_two_files_of_one_name(project: Project) -> None:
    project.write({"a/train.py": "", "b/train.py": ""})
    with pytest.raises(StageError, match=r"train\.py. would be both a/train\.py and b/train\.py"):
        package(project.root, scripts=["a/train.py", "b/train.py"])


def test_missing_script(project: Project) -> None:
    with pytest.raises(StageError, match=r"jobs/one\.py: there is no such script"):
        package(project.root)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"scripts": []}, "at least 1 item"),
        ({"scripts": ["jobs/deep/one.py"], "source_dir": "jobs"}, "not directly in source_dir"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        BuildConfig.model_validate(settings)


def test_name_of_the_manifest_is_taken(project: Project) -> None:
    project.write({**FILES, "jobs/mlpipe.json": "{}"})
    with pytest.raises(StageError, match=r'mlpipe\.json" is the name'):
        package(project.root, source_dir="jobs")


def test_unpacked_again(project: Project, tmp_path: Path) -> None:
    project.write(FILES)
    sources = {"one.py": project.root / "jobs" / "one.py"}
    digest = pack_sources(sources, ("one.py",), tmp_path / "sourcedir.tar.gz")
    found = unpack_sources(tmp_path / "sourcedir.tar.gz", tmp_path / "unpacked")
    assert {name: path.read_text() for name, path in found.items()} == {"one.py": "import shared\n"}
    assert digest == pack_sources(found, ("one.py",), tmp_path / "again.tar.gz")


def test_what_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "sourcedir.tar.gz").write_bytes(b"PK")
    with pytest.raises(StageError, match=r"sagemaker\.build"):
        unpack_sources(tmp_path / "sourcedir.tar.gz", tmp_path / "unpacked")


def test_package_is_stored_once_on_aws(project: Project, cloud: Aws) -> None:
    project.write(FILES)
    results = [built(project.root, aws_target()) for _ in range(2)]
    code = results[0].outputs["code"]
    assert isinstance(code, Artifact)
    assert code == results[1].outputs["code"]
    assert code.location == results[0].values["uri"]
    assert code.location.endswith(f"/artifacts/sha256/{code.digest[7:]}/sourcedir.tar.gz")
    assert len(cloud.calls("PutObject")) == 1
    bucket, key = code.location.removeprefix("s3://").split("/", 1)
    body = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert body == package(project.root).read_bytes()
