"""Putting data under DVC beside DVC itself, and beside the least that must be done.

All figures are CPU seconds within one process that has imported what it needs, so that only the
work is compared. Each is the best of several rounds, which take turns, in folders that are new
each time: file systems are slow to make files where many were deleted just before.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

FILES = 10_000
ROUNDS = 3

COMMON = """
import contextlib, hashlib, io, json, os, shutil, sys, time
from pathlib import Path

def seconds(act):
    begun = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        act()
    return time.process_time() - begun

def copy(source, target):
    (shutil.copytree if os.path.isdir(source) else shutil.copy2)(source, target)

def say(**found):
    print(json.dumps(found))

work = Path.cwd()
"""

#: What DVC's own commands do, through its Python API.
THEIRS = (
    COMMON
    + """
from dvc.repo import Repo

copy(sys.argv[1], work / "data")
(work / ".dvc").mkdir()
(work / ".dvc" / "config").write_text(
    "[core]\\n    no_scm = true\\n    analytics = false\\n    check_update = false\\n"
    f"    remote = shared\\n    site_cache_dir = {work}/site\\n"
    f"['remote \\"shared\\"']\\n    url = {work}/shared\\n"
)
(work / "first.txt").write_text("first")
with Repo(str(work)) as repo:
    repo.add(["first.txt"])
    repo.push()
    say(add=seconds(lambda: repo.add(["data"])),
        push=seconds(repo.push),
        again=seconds(lambda: repo.add(["data"])))
"""
)

#: The same data made in scratch, as a stage makes it, for a remote that argv[2] names.
OURS = (
    COMMON
    + """
from mlpipe_dvc.tracking.values import Made
from mlpipe_dvc.tracking.versioning import version

def track(path, name):
    version([Made(path, work / name, name)], work, work / ".mlpipe", sys.argv[2])

made = work / ".mlpipe" / "made"
made.mkdir(parents=True)
(made / "first").write_text("first")
copy(sys.argv[1], made / "data")
track(made / "first", "first.txt")
say(add=seconds(lambda: track(made / "data", "data")))
"""
)

#: Files of somebody else's that become a data set again and again, as those in argv[2] do.
UNCHANGED = (
    COMMON
    + """
from mlpipe_dvc.tracking.values import Made
from mlpipe_dvc.tracking.versioning import version

def prepare(source, root):
    root.mkdir()
    paths = {name: Path(source, name) for name in sorted(os.listdir(source))}
    version([Made(root, root / "data", "data", paths)], root, root / ".mlpipe")
    made = [str(path) for path in paths.values()] + [f"{root}/data/{name}" for name in paths]
    stored = [str(path) for path in (root / ".dvc/cache").rglob("*") if path.is_file()]

    def again():
        version([Made(root, root / "data", "data", paths)], root, root / ".mlpipe")

    def look():
        for path in made:
            os.stat(path)
        for path in stored:
            os.stat(path)

    return again, look

with contextlib.redirect_stdout(io.StringIO()):
    many, look = prepare(sys.argv[1], work / "many")
    few, _ = prepare(sys.argv[2], work / "few")
    few()
found = [(seconds(many), seconds(few), seconds(look)) for _ in range(7)]
many, few, look = (min(each) for each in zip(*found))
say(many=many, few=few, stat=look, second=found[0][0])
"""
)

#: The least for one file: its MD5, and one copy of it.
LEAST = (
    COMMON
    + """
def md5():
    with open(sys.argv[1], "rb", buffering=0) as stream:
        hashlib.file_digest(stream, "md5")

say(md5=seconds(md5), copy=seconds(lambda: shutil.copyfile(sys.argv[1], work / "copy")))
"""
)


@dataclass
class Bench:
    """Runs programs in new folders.

    Attributes:
        folder: Where these are made.
        count: How many there are.
    """

    folder: Path
    count: int = 0

    def run(self, program: str, *arguments: Path) -> dict[str, float]:
        """Run a program, which must succeed, and give the figures that it prints."""
        self.count += 1
        cwd = self.folder / f"run{self.count}"
        cwd.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=cwd,
            env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found

    def best(self, **programs: Sequence[str | Path]) -> dict[str, dict[str, float]]:
        """Run programs in turns, and give the least that each of their figures was."""
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
        for _ in range(ROUNDS):
            for name, (program, *arguments) in programs.items():
                rounds[name].append(self.run(str(program), *map(Path, arguments)))
        return {
            name: {figure: min(each[figure] for each in found) for figure in found[0]}
            for name, found in rounds.items()
        }


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "bench").mkdir()
    return Bench(tmp_path / "bench")


def table(**rows: float) -> str:
    return "\n".join(
        f"  {name.replace('_', ' '):<58}{seconds:8.3f} CPU s" for name, seconds in rows.items()
    )


def write_files(folder: Path, count: int, size: int) -> Path:
    """Write files that are all different, and old enough for an index to trust them."""
    folder.mkdir()
    for number in range(count):
        file = folder / f"{number:05}.bin"
        file.write_bytes(number.to_bytes(8, "big") * (size // 8))
        os.utime(file, (1_700_000_000, 1_700_000_000))
    return folder


def test_many_small_files(tmp_path: Path, bench: Bench, show: Callable[[str], None]) -> None:
    data, remote = write_files(tmp_path / "data", FILES, 4096), tmp_path / "remote"
    bench.run(OURS, data, remote)  # what is measured below finds this remote filled
    found = bench.best(
        theirs=[THEIRS, data], ours=[OURS, data, remote], pushed=[OURS, data, "new remote"]
    )
    ours, theirs, pushed = found["ours"], found["theirs"], found["pushed"]["add"]
    show(
        table(
            **{
                f"{FILES:,} files of 4 KB: dvc add": theirs["add"],
                f"{FILES:,} files of 4 KB: mlpipe": ours["add"],
                "the same, pushed to a folder: dvc add, dvc push": theirs["add"] + theirs["push"],
                "the same, pushed to a folder: mlpipe": pushed,
            }
        )
    )
    # About 4 and 3.5 on an idle machine. Of what is left, nine tenths are reading, hashing and
    # writing the files; where the file system has reflinks, the writing is saved as well.
    assert 2.5 * ours["add"] < theirs["add"]
    assert pushed < theirs["add"] + theirs["push"]


def test_one_large_file(
    tmp_path: Path, bench: Bench, show: Callable[[str], None], pytestconfig: pytest.Config
) -> None:
    size = 1_000_000_000 if pytestconfig.getoption("--full") else 200_000_000
    data, remote = write_files(tmp_path / "data", 1, size), tmp_path / "remote"
    (file,) = data.iterdir()
    bench.run(OURS, file, remote)
    found = bench.best(theirs=[THEIRS, file], ours=[OURS, file, remote], least=[LEAST, file])
    least = found["least"]["md5"] + found["least"]["copy"]
    show(
        table(
            **{
                f"one file of {size // 1_000_000} MB: dvc add": found["theirs"]["add"],
                "the same: mlpipe": found["ours"]["add"],
                "the same: only its MD5, and one copy": least,
            }
        )
    )
    assert found["ours"]["add"] < 1.3 * least


def test_unchanged_files_are_only_looked_at(
    tmp_path: Path, bench: Bench, show: Callable[[str], None]
) -> None:
    many = write_files(tmp_path / "many", FILES, 4096)
    few = write_files(tmp_path / "few", 1, 8)
    large = write_files(tmp_path / "large", 1, 200_000_000)
    found = bench.best(
        small=[UNCHANGED, many, few],
        large=[UNCHANGED, large, few],
        least=[LEAST, next(large.iterdir())],
    )
    small, one = found["small"], found["large"]
    show(
        table(
            **{
                f"{FILES:,} unchanged files, beyond one unchanged file": small["many"]
                - small["few"],
                "stat of the same files: the source's, in place, in the cache": small["stat"],
                "the first of these runs, right after the data set was made": small["second"],
                "one unchanged file of 200 MB, beyond one of 8 bytes": one["many"] - one["few"],
            }
        )
    )
    assert small["many"] - small["few"] < 3 * small["stat"]
    assert one["many"] - one["few"] < found["least"]["md5"] / 10, "must not grow with bytes"
