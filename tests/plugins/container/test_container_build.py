"""Building images with Docker and with Podman."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlpipe.errors import StageError
from mlpipe_container.config import BuildConfig
from mlpipe_container.images import missing
from tests.engines import Engine
from tests.plugins.container.container_projects import Project, container_project, file_of, image_of

DATE = "2026-03-01T09:30:00+01:00"


def facts(engine: Engine, image: str) -> dict[str, object]:
    found: list[dict[str, object]] = json.loads(engine.run("image", "inspect", image))
    return found[0]


def test_an_image_is_what_its_sources_say(project: Project) -> None:
    result = project.build(
        revision="c0ffee", created=DATE, version="1.2.0", repository="https://git.example.com/x",
        labels={"team": "risk"},
    )  # fmt: skip
    image = image_of(result)
    scheme = {"docker": "docker-daemon", "podman": "containers-storage"}[project.engine.name]
    assert image.location == f"{scheme}://{image.digest}"
    assert (
        project.engine.run("run", "--rm", "--network=host", image.digest, "cat", "/srv/app.txt")
        == "one"
    )
    config = facts(project.engine, image.digest)["Config"]
    assert isinstance(config, dict)
    assert config["Labels"].items() >= {
        ("org.opencontainers.image.revision", "c0ffee"),
        ("org.opencontainers.image.created", DATE),
        ("org.opencontainers.image.version", "1.2.0"),
        ("org.opencontainers.image.source", "https://git.example.com/x"),
        ("team", "risk"),
    }
    assert result.metrics["layers"] == 3
    assert result.metrics["size"] == image.size
    assert result.values == {"id": image.digest, "engine": project.engine.name}
    assert (
        file_of(result, "dockerfile").read_text()
        == (project.root / "service" / "Dockerfile").read_text()
    )
    assert missing(image.location) == ""


def test_a_changed_line_makes_its_own_layer_only(project: Project) -> None:
    first = facts(project.engine, image_of(project.build(created=DATE)).digest)["RootFS"]
    project.write({"service/app.txt": "two\n"})
    second = facts(project.engine, image_of(project.build(created=DATE)).digest)["RootFS"]
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["Layers"][:2] == second["Layers"][:2]
    assert first["Layers"][2] != second["Layers"][2]


def test_arguments_target_and_folder(project: Project) -> None:
    project.write(
        {
            "service/inner/docker/Dockerfile.x": (
                "ARG BASE\nFROM $BASE AS one\nARG DEPTH\nENV DEPTH=$DEPTH\nCMD echo $DEPTH\n"
                "FROM one AS two\nRUN false\n"
            )
        }
    )
    result = project.build(
        folder="inner",
        dockerfile="docker/Dockerfile.x",
        build_args={"BASE": "localhost/shell:1", "DEPTH": 4},
        target="one",
    )
    image = image_of(result).digest
    assert project.engine.run("run", "--rm", "--network=host", image) == "4"


def test_what_a_name_means_now_is_part_of_the_key(project: Project) -> None:
    first = project.identities()
    assert first["engine"] == project.engine.name
    assert set(first) == {"engine", "base localhost/shell:1"}
    assert project.identities() == first
    project.engine.load("localhost/shell:2", {"bin/other": b"x"})
    project.write({"service/Dockerfile": "FROM localhost/shell:2 AS a\nFROM a\nFROM scratch\n"})
    second = project.identities()
    assert set(second) == {"engine", "base localhost/shell:2"}
    project.engine.load("localhost/shell:2", {"bin/other": b"y"})
    assert project.identities() != second


def test_an_image_that_was_pruned_is_not_kept(project: Project) -> None:
    project.write({"service/app.txt": f"{os.urandom(8).hex()}\n"})
    image = image_of(project.build())
    project.engine.run("rmi", "--force", image.digest)
    assert missing(image.location) == f"is no longer in {project.engine.name}"


def test_the_same_sources_give_the_same_bytes(podman: Engine, tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        project = container_project(tmp_path / name, podman)
        project.write(
            {
                "service/Dockerfile": "FROM localhost/shell:1\nCOPY . /srv\nRUN touch /srv/new\n",
            }
        )
        made.append(image_of(project.build(reproducible=True, created=DATE)).digest)
    assert made[0] == made[1]


def test_secrets_do_not_stay(podman: Engine, tmp_path: Path) -> None:
    project = container_project(tmp_path, podman)
    mount = "--mount=type=secret,id=index"
    project.write(
        {
            "service/Dockerfile": "FROM localhost/shell:1\n"
            f'RUN {mount} sh -c "cat /run/secrets/index >/dev/null && echo read > /srv.txt"\n'
        }
    )
    settings: dict[str, Any] = {"secrets": {"index": "INDEX_PASSWORD"}}
    image = image_of(project.build({"INDEX_PASSWORD": "hunter2hunter2"}, **settings)).digest
    assert podman.run("run", "--rm", "--network=host", image, "cat", "/srv.txt") == "read"
    with subprocess.Popen(
        ["podman", "save", image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert b"hunter2hunter2" not in process.stdout.read()
    with pytest.raises(StageError, match="the secret INDEX_PASSWORD is not given to the stage"):
        project.build(**settings)


BAD: dict[str, tuple[dict[str, Any], str | None, str]] = {
    "no-dockerfile": (
        {"dockerfile": "Containerfile"},
        None,
        r"Containerfile: there is no Dockerfile.*\n.*There is Dockerfile: dockerfile: Dockerfile",
    ),
    "syntax": (
        {},
        "FROM localhost/shell:1\nCOPI a b\n",
        r"Dockerfile(:2)?: the Dockerfile is wrong: .*COPI",
    ),
    "copy": (
        {},
        "FROM localhost/shell:1\nCOPY nothing.txt /\n",
        r"a file that is copied is not there: .*nothing.txt",
    ),
    "run": (
        {},
        "FROM localhost/shell:1\nRUN false\n",
        r"build failed: .*(returned a non-zero code: 1|exit status 1)",
    ),
    "folder": ({"folder": "other"}, None, 'the sources have no folder "other"'),
    "date": ({"created": "yesterday"}, None, '"yesterday" is no date in ISO 8601'),
    "base": ({}, "FROM 127.0.0.1:1/none:1\n", "the registry cannot be reached"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(project: Project, case: str) -> None:
    settings, dockerfile, message = BAD[case]
    if dockerfile is not None:
        project.write({"service/Dockerfile": dockerfile})
    with pytest.raises(StageError, match=message):
        project.build(**settings)


def test_an_engine_that_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker_engine: Engine
) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "Dockerfile").write_text("FROM scratch\n")
    project = Project(tmp_path, docker_engine)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(StageError, match=r"docker does not run: .*nobody.sock"):
        project.build(engine="docker")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StageError, match=r"neither Docker nor Podman is installed\n.*apt-get"):
        project.build()


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="python: writes the Dockerfile"):
        BuildConfig.model_validate(
            {"dockerfile": "x", "python": {"base": "a@sha256:b", "command": ["x"]}}
        )
    with pytest.raises(ValueError, match="reproducible: needs a date"):
        BuildConfig(reproducible=True)
    with pytest.raises(ValueError, match="give either the input source"):
        BuildConfig().declares({})
