"""Preparing a table larger than the memory that it may take."""

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.benchmarks.measure import cost

GB = 1_000_000_000
RECIPE = """
name: clicks
stages:
  data:
    uses: dvc.prepare
    with:
      source: clicks.csv
      steps: ["clean:clean"]
      checks: "clean:check"
      split: {method: random, train: 0.8, test: 0.2}
      format: parquet
      stream: true
      output: data
"""
CODE = """
def clean(frame):
    return frame.dropna(subset=["city"])

def check(frame):
    return [] if frame["spent"].min() >= 0 else ["money came back"]
"""


def write_clicks(path: Path, size: int) -> None:
    """Write rows of about 80 bytes, as a shop would have them."""
    block = "".join(
        f"%d{n:05},user {n * n % 9973},{'' if n % 50 == 0 else f'city {n % 211}'},"
        f"2024-{1 + n * 7 % 12:02}-{1 + n * 5 % 28:02} 10:{n % 60:02}:00,{n / 7:.6f},{n % 3 == 0}\n"
        for n in range(100_000)
    )
    with path.open("w") as stream:
        stream.write("id,user,city,moment,spent,mobile\n")
        for number in count(1):
            stream.write(block.replace("%d", str(number)))
            if stream.tell() >= size:
                return


@pytest.mark.timeout(7200)
def test_a_large_table_is_prepared_within_a_gigabyte(
    tmp_path: Path, request: pytest.FixtureRequest, show: Callable[[str], None]
) -> None:
    size = 5 * GB if request.config.getoption("--full") else GB // 5
    (tmp_path / "clicks.yaml").write_text(RECIPE)
    (tmp_path / "clean.py").write_text(CODE)
    write_clicks(tmp_path / "clicks.csv", size)
    command = [str(Path(sys.executable).with_name("mlpipe")), "run", "clicks"]
    found = cost(command, tmp_path, {"DVC_NO_ANALYTICS": "1"}, limit=7000, memory=True)
    show(
        f"  stream {size / GB:.1f} GB of CSV  {found.wall:6.0f} s, {found.cpu:6.0f} CPU s,"
        f" at most {found.peak:4.0f} MB in all processes"
    )
    assert found.peak < 1000
