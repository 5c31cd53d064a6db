"""Training in an image, with a real engine; its image has a shell that is called ``python3``."""

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlpipe.errors import StageError
from mlpipe_sagemaker.config import TrainConfig
from tests.plugins.sagemaker.training_project import Project, Training

#: What Podman needs where limits cannot be raised and no systemd runs.
CONFIGURATION = """
[containers]
default_ulimits=[]
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
"""
STORAGE = """
[storage]
driver="vfs"
graphroot="{folder}/graph"
runroot="{folder}/run"
"""
#: The image's own program, which is given no arguments.
TRAIN = """\
#!/bin/busybox sh
echo "arguments $*"
cat /opt/ml/input/config/hyperparameters.json /opt/ml/input/data/train/rows.csv
echo model > /opt/ml/model/model.txt
"""
SAVE = 'echo model > "$SM_MODEL_DIR/model.txt"\n'


@dataclass(frozen=True)
class Engine:
    """Docker or Podman, with an image."""

    name: str
    image: str

    def run(self, *arguments: str) -> str:
        command = [self.name, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    # A short path: with one whose sockets' names are too long, Podman waits 20 s for a container.
    with tempfile.TemporaryDirectory(prefix="mlpipe-", ignore_cleanup_errors=True) as folder:
        yield from engine_in(Path(folder))


def engine_in(folder: Path) -> Iterator[Engine]:
    (folder / "containers.conf").write_text(
        CONFIGURATION + ('runtime="runc"\n' if shutil.which("runc") else "")
    )
    (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(folder / "containers.conf"))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))
        name = next(filter(is_running, ("docker", "podman")), None)
        busybox = shutil.which("busybox")
        if name is None or busybox is None:
            pytest.skip("no containers here: apt-get install podman runc catatonit busybox-static")
        found = Engine(name, "localhost/mlpipe-training:test")
        subprocess.run(
            [name, "import", "-", found.image],
            input=image(Path(busybox)),
            check=True,
            capture_output=True,
        )
        yield found
        found.run("rmi", "-f", found.image)


def is_running(engine: str) -> bool:
    if shutil.which(engine) is None:
        return False
    done = subprocess.run([engine, "info"], capture_output=True, check=False)
    return done.returncode == 0


def image(busybox: Path) -> bytes:
    """Make an image's root: a shell, which ``python3`` runs its script with."""
    files = {
        "bin/busybox": busybox.read_bytes(),
        "bin/python3": b'#!/bin/busybox sh\nexec /bin/busybox sh "$@"\n',
        "bin/train": TRAIN.encode(),
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        for name in ("sh", "id", "ls", "cat", "sleep", "touch"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return made.getvalue()


def train(project: Project, engine: Engine, script: str, **more: Any) -> Training:
    text = textwrap.dedent(script)
    return project.train(text, image=engine.image, container=True, **more)


def test_contract(project: Project, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    project.write({"rows.csv": "1,2\n"})
    script = """
        echo "arguments $*" in "$PWD" for "$TRAINING_JOB_NAME"
        echo "variables $SM_MODEL_DIR $SM_CHANNEL_TRAIN $SM_CHECKPOINT_DIR $DEPTH"
        cat /opt/ml/input/data/train/rows.csv
        touch /opt/ml/checkpoints/first && echo kept
        echo "validation accuracy: 0.75"
        echo notes > /opt/ml/output/data/notes.txt
    """
    training = train(
        project,
        engine,
        script + SAVE,
        inputs={"train": project.root / "rows.csv"},
        hyperparameters={"epochs": 3},
        metrics={"accuracy": "validation accuracy: ([0-9.]+)"},
        env={"DEPTH": "4"},
    )
    assert capsys.readouterr().out.splitlines() == [
        "arguments --epochs 3 in /opt/ml/code for test-forest",
        "variables /opt/ml/model /opt/ml/input/data/train /opt/ml/checkpoints 4",
        "1,2",
        "kept",
        "validation accuracy: 0.75",
    ]
    assert training.result.metrics == {"accuracy": 0.75}
    with tarfile.open(training.output("model")) as tar:
        assert tar.getnames() == ["code/train.py", "mlpipe.json", "model.txt"]
    with tarfile.open(training.output("output")) as tar:
        assert tar.getnames() == ["notes.txt"]
    owners = {path.stat().st_uid for path in project.root.rglob("*")}
    assert owners == {os.getuid()}


def test_the_images_own_program(
    project: Project, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write({"rows.csv": "1,2\n"})
    training = project.train(
        "",
        script=None,
        image=engine.image,
        container=True,
        inputs={"train": project.root / "rows.csv"},
        hyperparameters={"kind": "forest", "trees": 3},
    )
    said = capsys.readouterr().out
    assert said == 'arguments \n{"kind": "forest", "trees": "3"}1,2\n'
    with tarfile.open(training.output("model")) as tar:
        assert tar.getnames() == ["model.txt"]


def test_failure(project: Project, engine: Engine) -> None:
    with pytest.raises(StageError) as caught:
        train(project, engine, 'echo "no rows" > /opt/ml/output/failure\necho last\nexit 7\n')
    assert str(caught.value) == "train.py: the script ended with exit code 7: no rows\n   last"


def test_checkpoints_outlive_a_failure(
    project: Project, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    script = """
        ls "$SM_CHECKPOINT_DIR"
        touch "$SM_CHECKPOINT_DIR/epoch-1" && exit 1
    """
    for _ in range(2):
        with pytest.raises(StageError):
            train(project, engine, script)
        shutil.rmtree(project.root / ".mlpipe" / "scratch")
    assert capsys.readouterr().out == "epoch-1\n"


def test_container_that_a_killed_run_left_is_ended(project: Project, engine: Engine) -> None:
    name = "--name=test-forest"
    engine.run(
        "run", "-d", "--init", name, "--network=host", "--entrypoint=sleep", engine.image, "300"
    )
    train(project, engine, SAVE)
    assert engine.run("ps", "-a", "-q", "--filter", "name=test-forest") == ""


def test_container_ends_when_following_it_fails(project: Project, engine: Engine) -> None:
    class Stop(Exception):
        pass

    def refuse(kind: str, payload: dict[str, Any]) -> None:
        raise Stop

    script = "echo loss=1\nsleep 300\n"
    with pytest.raises(Stop):
        train(project, engine, script, metrics={"loss": r"loss=(\d)"}, emitted=refuse)
    assert engine.run("ps", "-a", "-q", "--filter", "name=test-forest") == ""


def test_image_that_is_not_there(project: Project, engine: Engine) -> None:
    with pytest.raises(StageError) as caught:
        project.train(SAVE, image="localhost/mlpipe-no-such-image:1", container=True)
    assert "mlpipe-no-such-image" in str(caught.value)


# -- without an engine ----------------------------------------------------------------------------


def test_no_engine(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project.root))
    with pytest.raises(StageError) as caught:
        project.train(SAVE, image="training:1", container=True)
    assert str(caught.value).startswith(
        "with.container: neither Docker nor Podman is installed\n   Start or install one"
    )


def test_engine_that_does_not_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = project.root / "docker"
    docker.write_text("#!/bin/sh\necho 'Cannot connect to the daemon' >&2\nexit 1\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(project.root))
    with pytest.raises(StageError, match="docker does not run: Cannot connect to the daemon"):
        project.train(SAVE, image="training:1", container=True)


def test_the_images_own_program_without_a_container(project: Project) -> None:
    with pytest.raises(StageError, match="runs in the image only") as caught:
        project.train("", script=None, image="training:1")
    assert "Say container: true" in str(caught.value)


def test_container_without_an_image() -> None:
    config = TrainConfig(script="train.py", container=True)
    with pytest.raises(ValueError, match="container: true needs an image"):
        config.declares({})
