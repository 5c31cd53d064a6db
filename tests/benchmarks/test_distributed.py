"""What a second process saves: the same training alone and by two, side by side."""

import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlpipe_sagemaker.blocks import Distribution
from mlpipe_sagemaker.contract import TrainingJob
from mlpipe_sagemaker.local import LocalTrainer

#: Steps over a shard of the same rows, gradients averaged after each, one thread a process.
TRAINING = """
import sys, time
import torch
import torch.distributed as together
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(1)
together.init_process_group("gloo")
rank, world = together.get_rank(), together.get_world_size()
rows, steps = 4096, int(sys.argv[2])
data, labels = torch.randn(rows, 256), torch.randint(0, 2, (rows,))
shard = slice(rank * rows // world, (rank + 1) * rows // world)
model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 2))
net = nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
together.barrier()
begun, worked = time.perf_counter(), time.process_time()
for _ in range(steps):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(data[shard]), labels[shard]).backward()
    optimizer.step()
together.barrier()
took = f"wall={time.perf_counter() - begun:.4f} cpu={time.process_time() - worked:.4f}"
sys.stdout.write(f"{took}\\n")  # as one, or the other rank's line may come between
together.destroy_process_group()
"""


@pytest.fixture
def torch_python(repository: Path) -> str:
    python = repository / ".venv-torch" / "bin" / "python"
    if not python.exists():
        pytest.skip("PyTorch is not here: make torch")
    return str(python)


@dataclass
class Taken:
    """Seconds of the training itself, without starting processes: of each rank of each round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def read(self, line: str) -> None:
        if found := re.search(r"wall=(\S+) cpu=(\S+)", line):
            self.wall.append(float(found[1]))
            self.cpu.append(float(found[2]))


def train(processes: int, steps: int, python: str, folder: Path, taken: Taken) -> None:
    script = folder / "train.py"
    folder.mkdir()
    script.write_text(TRAINING)
    job = TrainingJob(
        name="speed",
        program="train.py",
        sources={"train.py": script},
        channels={},
        hyperparameters={"steps": steps},
        metrics={},
        root=folder,
        scratch=folder,
        state_dir=folder,
        python=python,
        distribution=Distribution(type="torchrun", processes=processes),
    )
    LocalTrainer(taken.read).train(job, lambda found: None)


def test_speed_up_of_two_processes(
    torch_python: str,
    tmp_path: Path,
    show: Callable[[str], None],
    pytestconfig: pytest.Config,
) -> None:
    rounds, steps = (5, 100) if pytestconfig.getoption("--full") else (2, 15)
    taken: Mapping[int, Taken] = {1: Taken(), 2: Taken()}
    for number in range(rounds):
        for processes, each in taken.items():
            place = tmp_path / f"{number}-{processes}"
            train(processes, steps, torch_python, place, each)
    alone, together = taken[1], taken[2]
    assert (len(alone.cpu), len(together.cpu)) == (rounds, 2 * rounds)
    wall = statistics.median(alone.wall) / statistics.median(together.wall)
    work = statistics.median(alone.cpu) / statistics.median(together.cpu)
    show(
        f"  {steps} steps alone: {statistics.median(alone.wall):.2f} s; by two: "
        f"{statistics.median(together.wall):.2f} s; {wall:.2f} times as fast, "
        f"{work:.2f} times less CPU time in each\n"
    )
    # Seconds depend on what else the machine does; how the work is shared out does not.
    assert work >= 1.3
