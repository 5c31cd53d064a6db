"""Environments that are made from a script's requirements: once, whole, offline too."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlpipe.errors import StageError
from tests.plugins.sagemaker.training_project import Project, saving, wheel

USES_GREETING = saving("""
    import greeting, pathlib, sys
    print(greeting.WORDS, "with", sys.prefix)
    again = pathlib.Path(sys.prefix, "again")
    print("used before" if again.exists() else "new")
    again.touch()
""")


@pytest.fixture(params=["UV", "PIP"])
def offline(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No index but a folder of wheels, said in the words of pip or uv."""
    wheel(tmp_path / "wheels", "hello")
    monkeypatch.setenv(f"{request.param}_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_NO_INDEX" if request.param == "PIP" else "UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))


def environments(project: Project) -> list[Path]:
    folder = project.root / ".mlpipe" / "sagemaker" / "environments"
    return [path for path in folder.iterdir() if path.is_dir()]


def test_environment_is_made_once(
    project: Project, offline: None, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write({"requirements.txt": "greeting==1.0\n"})
    project.train(USES_GREETING, name="first", requirements=True)
    [made] = environments(project)
    said = capsys.readouterr().out
    assert f"hello with {made}" in said
    assert "new\n" in said
    project.train(USES_GREETING, name="second", requirements=True)
    assert "used before\n" in capsys.readouterr().out

    project.write({"requirements.txt": "greeting==1.0  # of other requirements\n"})
    project.train(USES_GREETING, name="third", requirements=True)
    assert "new\n" in capsys.readouterr().out
    assert len(environments(project)) == 2


def test_requirements_are_left_alone_unless_asked_for(project: Project) -> None:
    project.write({"requirements.txt": "no-such-package-anywhere\n"})
    assert project.train(saving("")).output("model").is_file()
    assert not (project.root / ".mlpipe" / "sagemaker" / "environments").exists()


@pytest.mark.parametrize("offline", ["UV"], indirect=True)
def test_two_stages_at_once_make_one_environment(project: Project, offline: None) -> None:
    project.write({"requirements.txt": "greeting\n"})

    def train(number: int) -> Path:
        script = f"train_{number}.py"
        training = project.train(
            USES_GREETING, name=f"stage-{number}", script=script, requirements=True
        )
        return training.output("model")

    with ThreadPoolExecutor(2) as pool:
        models = list(pool.map(train, range(2)))
    assert all(model.is_file() for model in models)
    assert len(environments(project)) == 1


@pytest.mark.parametrize("offline", ["UV"], indirect=True)
def test_install_that_fails_says_why_and_leaves_nothing(project: Project, offline: None) -> None:
    project.write({"requirements.txt": "greeting==7.7\n"})
    for number in range(2):  # a part of one would count as made
        with pytest.raises(StageError) as caught:
            project.train(USES_GREETING, name=f"try-{number}", requirements=True)
        said = str(caught.value)
        assert said.startswith("requirements.txt: the environment cannot be made")
        assert "greeting==7.7" in said
        assert environments(project) == []


@pytest.mark.parametrize("offline", ["UV"], indirect=True)
def test_what_a_killed_one_left_is_removed(project: Project, offline: None) -> None:
    project.write({"requirements.txt": "greeting\n"})
    project.train(USES_GREETING, name="first", requirements=True)
    [made] = environments(project)
    made.rename(made.with_name(f".{made.name}.0a1b"))
    project.train(USES_GREETING, name="second", requirements=True)
    assert environments(project) == [made]


@pytest.mark.parametrize("offline", ["UV"], indirect=True)
def test_wheel_among_the_sources(
    project: Project, offline: None, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write({"shop/requirements.txt": "./wheels/greeting-1.0-py3-none-any.whl\n"})
    for number, words in enumerate(["good morning", "good night"]):
        wheel(project.root / "shop" / "wheels", words)
        project.train(
            USES_GREETING,
            name=f"stage-{number}",
            script="shop/train.py",
            source_dir="shop",
            requirements=True,
        )
        assert words in capsys.readouterr().out


def test_requirements_that_are_not_there(project: Project) -> None:
    with pytest.raises(StageError, match=r"there is no requirements\.txt beside the script"):
        project.train(USES_GREETING, requirements=True)


def test_interpreter_that_is_not_there(project: Project) -> None:
    project.write({"requirements.txt": ""})
    with pytest.raises(StageError, match=r"with\.python: \"python-of-nobody\" cannot be started"):
        project.train(USES_GREETING, requirements=True, python="python-of-nobody")


@pytest.mark.parametrize("offline", ["UV"], indirect=True)
def test_environment_of_a_named_interpreter(project: Project, offline: None) -> None:
    project.write(
        {"requirements.txt": "greeting\n", "mine": f'#!/bin/sh\nexec {sys.executable} "$@"\n'}
    )
    (project.root / "mine").chmod(0o755)
    training = project.train(USES_GREETING, requirements=True, python="./mine")
    assert training.output("model").is_file()
