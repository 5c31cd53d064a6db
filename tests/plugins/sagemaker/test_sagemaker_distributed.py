"""Several processes that train together: who they are, and what happens when one fails."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpipe import Target
from mlpipe.errors import StageError
from mlpipe_awstest import Aws
from mlpipe_sagemaker.blocks import Distribution
from mlpipe_sagemaker.distributed import FailedRank, first_failure, launcher
from tests.plugins.sagemaker.training_project import Project

TORCH = """
    import json, os, sys
    import torch
    import torch.distributed as together

    together.init_process_group("gloo")
    rank = torch.tensor([together.get_rank()])
    together.all_reduce(rank)
    rank_of = f"rank {together.get_rank()} of {together.get_world_size()}"
    # As one, or another rank's words may come between.
    sys.stdout.write(f"{rank_of}: loss=0.5\\n")
    sys.stdout.write(f"arguments {sys.argv}\\n")
    if together.get_rank() == 0:
        with open(os.environ["SM_MODEL_DIR"] + "/model.json", "w") as file:
            json.dump({"sum": int(rank), "world": together.get_world_size()}, file)
    together.destroy_process_group()
"""
MPI = """
    import os, pathlib
    rank, size = os.environ["OMPI_COMM_WORLD_RANK"], os.environ["OMPI_COMM_WORLD_SIZE"]
    pathlib.Path(os.environ["SM_MODEL_DIR"], f"rank-{rank}-of-{size}").touch()
    print("loss=0.5")
"""
LOSS = {"loss": r"loss=([\d.]+)"}


@pytest.fixture(scope="session")
def mpirun() -> None:
    if shutil.which("mpirun") is None:
        pytest.skip("MPI is not here: apt-get install openmpi-bin")


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return [name for name in tar.getnames() if "/" not in name]


# -- torchrun -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("processes", "instances"), [(2, 1), (1, 3)])
def test_ranks_and_world(
    processes: int,
    instances: int,
    project: Project,
    target: Target,
    torch_image: Aws,
    torch_python: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    training = project.train(
        TORCH,
        target=target,
        python=torch_python,
        hyperparameters={"epochs": 2},
        metrics=LOSS,
        distribution={"type": "torchrun", "processes": processes},
        compute={"instances": instances},
    )
    world = processes * instances
    with tarfile.open(training.output("model")) as tar:
        file = tar.extractfile("model.json")
        assert file is not None
        assert json.load(file) == {"sum": sum(range(world)), "world": world}
    said = capsys.readouterr().out
    assert {f"rank {rank} of {world}: loss=0.5" in said for rank in range(world)} == {True}
    assert said.count("arguments ['train.py', '--epochs', '2']") == world
    assert training.result.metrics == {"loss": 0.5}


def test_one_failing_rank_fails_the_stage(
    project: Project, target: Target, torch_image: Aws, torch_python: str
) -> None:
    script = """
        import os, time
        import torch.distributed as together

        together.init_process_group("gloo")
        if together.get_rank() == 1:
            raise ValueError("no rows in the second shard")
        time.sleep(120)
    """
    started = time.monotonic()
    with pytest.raises(StageError) as caught:
        project.train(
            script,
            target=target,
            python=torch_python,
            distribution={"type": "torchrun", "processes": 2},
        )
    said = str(caught.value)
    assert "rank 1 of the script" in said
    assert "ValueError: no rows in the second shard" in said
    if target.type == "local":
        assert said.startswith("train.py: rank 1 of the script ended with exit code 1\n")
        assert said.endswith("ValueError: no rows in the second shard")
        assert "ChildFailedError" not in said
    assert time.monotonic() - started < 100


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="this system has no setpriv")
def test_ranks_end_with_a_launcher_that_is_killed(torch_python: str, tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(
        "import os, pathlib, time\n"
        "here = pathlib.Path(__file__).parent\n"
        "(here / f'.{os.environ[\"RANK\"]}').write_text(str(os.getpid()))\n"
        "(here / f'.{os.environ[\"RANK\"]}').rename(here / f'rank-{os.environ[\"RANK\"]}')\n"
        "time.sleep(120)\n"
    )
    distribution = Distribution(type="torchrun", processes=2)
    command = [*launcher(distribution, 1, torch_python, here=True), str(script)]
    launching = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    files = [tmp_path / "rank-0", tmp_path / "rank-1"]
    try:
        wait_until(lambda: all(file.exists() for file in files))
    finally:
        launching.kill()
        launching.wait()
    pids = [int(file.read_text()) for file in files]
    try:
        wait_until(lambda: not any(is_running(pid) for pid in pids))
    finally:
        for pid in filter(is_running, pids):
            os.kill(pid, signal.SIGKILL)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False


# -- MPI ------------------------------------------------------------------------------------------


def test_mpi(project: Project, mpirun: None) -> None:
    training = project.train(MPI, metrics=LOSS, distribution={"type": "mpi", "processes": 3})
    ranks = [name for name in names(training.output("model")) if name.startswith("rank")]
    assert ranks == ["rank-0-of-3", "rank-1-of-3", "rank-2-of-3"]
    assert training.result.metrics == {"loss": 0.5}


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("raise ValueError('no rows')", ("exit code 1\n", "ValueError: no rows")),
        ("os.kill(os.getpid(), 9)", ("signal SIGKILL, as when memory runs out\n", "rank 1 goes")),
    ],
)
def test_one_failing_rank_of_mpi(
    last: str, said: tuple[str, str], project: Project, mpirun: None
) -> None:
    script = f"""
        import os, time
        if os.environ["OMPI_COMM_WORLD_RANK"] == "1":
            print("rank 1 goes", flush=True)
            time.sleep(0.5)
            {last}
        time.sleep(120)
    """
    with pytest.raises(StageError) as caught:
        project.train(script, distribution={"type": "mpi", "processes": 2})
    assert str(caught.value).startswith(f"train.py: rank 1 of the script ended with {said[0]}")
    assert str(caught.value).endswith(said[1])


def test_mpi_that_is_not_there(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project.root))
    with pytest.raises(StageError) as caught:
        project.train(MPI, python=sys.executable, distribution={"type": "mpi"})
    assert str(caught.value).startswith('with.distribution: "mpirun" cannot be started')
    assert "openmpi" in str(caught.value)


# -- what launchers say ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "found"),
    [
        (
            """\
[rank1]: ValueError: no rows
Connection closed by peer
W1123 09:09:29.954000 155 torch/distributed/elastic/multiprocessing/api.py:1028] Sending process 2
E1123 09:09:29.962000 155 torch/distributed/elastic/multiprocessing/api.py:1002] failed \
(exitcode: 1) local_rank: 1 (pid: 15543) of binary: python
Traceback (most recent call last):
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:""",
            FailedRank(1, 1, ["[rank1]: ValueError: no rows"]),
        ),
        (
            """\
out of words
E1123 09:09:29.962000 155 torch/distributed/elastic/multiprocessing/api.py:1002] failed \
(exitcode: -9) local_rank: 0 (pid: 15543) of binary: python""",
            FailedRank(0, -9, ["out of words"]),
        ),
        (
            """\
a table
--------------------------------------------------------------------------
mpirun noticed that process rank 2 with PID 0 on node host exited on signal 11 (Segmentation fault).
--------------------------------------------------------------------------""",
            FailedRank(2, -11, ["a table"]),
        ),
        ("torchrun was not even started\nNo module named torch", None),
        ("", None),
    ],
)
def test_reports_of_launchers(log: str, found: FailedRank | None) -> None:
    assert first_failure(log.splitlines()) == found
