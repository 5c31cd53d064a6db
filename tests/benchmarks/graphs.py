"""Graphs of tiny stages, and the code that every tool runs for each of them.

A stage reads the small JSON files of the stages before it (or a seed), adds their numbers, and
writes one small JSON file, so that what is measured is the tool's own work.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

#: The stages in an order in which they can run, each with the stages that it reads.
Graph = Mapping[str, Sequence[str]]

BODY = """\
import json
import sys


def work(inputs, output):
    numbers = []
    for path in inputs:
        with open(path) as stream:
            numbers.append(json.load(stream)["v"])
    with open(output, "w") as stream:
        json.dump({"v": (sum(numbers) + 1) % 1000003}, stream)


def stage(out, **inputs):
    work(inputs.values(), out)


if __name__ == "__main__":
    work(sys.argv[2:], sys.argv[1])
"""


def chain(length: int) -> Graph:
    """Make a chain: each stage reads the one before it."""
    names = [f"s{i:05d}" for i in range(length)]
    return {name: names[max(i - 1, 0) : i] for i, name in enumerate(names)}


def layered(layers: int, width: int) -> Graph:
    """Make layers; each stage reads three of the layer before. One layer is just wide."""
    graph: dict[str, Sequence[str]] = {}
    for layer in range(layers):
        for j in range(width):
            picks = sorted({j, (j * 7 + 1) % width, (j * 13 + 5) % width})
            parents = [f"l{layer - 1:02d}_{k:04d}" for k in picks] if layer else []
            graph[f"l{layer:02d}_{j:04d}"] = parents
    return graph


CHAIN, WIDE, THOUSAND, TEN_THOUSAND = (
    "10 in a chain",
    "100 wide",
    "1,000 in 10 layers",
    "10,000 in 10 layers",
)
GRAPHS: Mapping[str, Callable[[], Graph]] = {
    CHAIN: lambda: chain(10),
    WIDE: lambda: layered(1, 100),
    THOUSAND: lambda: layered(10, 100),
    TEN_THOUSAND: lambda: layered(10, 1000),
}


def inputs_of(parents: Sequence[str]) -> list[str]:
    """Give the paths of the files that a stage reads."""
    return [f"data/{each}.json" for each in parents] or ["data/seed.json"]


def output_of(name: str) -> str:
    """Give the path of the file that a stage writes."""
    return f"data/{name}.json"


def write_body(folder: Path) -> None:
    """Write what every tool's project has: the stages' code and the seed."""
    (folder / "data").mkdir(parents=True)
    (folder / "body.py").write_text(BODY)
    (folder / "data" / "seed.json").write_text('{"v": 1}')
