"""The same graph of tiny stages, written for each tool.

Each stage reads the small JSON files of the stages before it (or a seed), adds their numbers,
and writes one small JSON file.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

BODY = """\
import json
import sys


def add(*numbers):
    return (sum(numbers) + 1) % 1000003


def work(inputs, output):
    numbers = []
    for path in inputs:
        with open(path) as stream:
            numbers.append(json.load(stream)["v"])
    with open(output, "w") as stream:
        json.dump({"v": add(*numbers)}, stream)


def stage(out, **inputs):
    work(inputs.values(), out)


if __name__ == "__main__":
    work(sys.argv[2:], sys.argv[1])
"""
JOBS = 2
Graph = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Tool:
    """A tool under test.

    Attributes:
        name: What the table calls it.
        write: Writes a graph as the tool's project into a folder.
        command: Runs it, given the folder of the tool's programs.
        package: What to install in an environment of its own, or ``""``.
        again: Runs it again with nothing changed; the same command when left out.
    """

    name: str
    write: Callable[[Path, Graph], None]
    command: Callable[[Path], Sequence[str]]
    package: str = ""
    again: Callable[[Path], Sequence[str]] | None = None


def chain(length: int) -> Graph:
    """Make a chain: each stage reads the one before it."""
    names = [f"s{i:05d}" for i in range(length)]
    return {name: [names[i - 1]] if i else [] for i, name in enumerate(names)}


def layered(layers: int, width: int) -> Graph:
    """Make layers; each stage reads up to three of the layer before. One layer is `wide`."""
    graph: dict[str, Sequence[str]] = {}
    for layer in range(layers):
        for j in range(width):
            picks = sorted({j % width, (j * 7 + 1) % width, (j * 13 + 5) % width})
            parents = [f"l{layer - 1:02d}_{k:04d}" for k in picks] if layer else []
            graph[f"l{layer:02d}_{j:04d}"] = parents
    return graph


def _base(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "body.py").write_text(BODY)
    (folder / "data" / "seed.json").write_text('{"v": 1}')


def _inputs(parents: Sequence[str]) -> list[str]:
    return [f"data/{each}.json" for each in parents] or ["data/seed.json"]


def write_mlpipe(folder: Path, graph: Graph) -> None:
    """Write a recipe of ``python.prepare`` stages."""
    _base(folder)
    (folder / ".mlpipe").mkdir()
    lines = ["name: graph", "stages:"]
    for name, parents in graph.items():
        inputs = ", ".join(f"i{i}: {each}.out" for i, each in enumerate(parents))
        lines.append(
            f"  {name}: {{uses: python.prepare, inputs: {{{inputs}}}, with: "
            f"{{function: 'body:stage', outputs: {{out: data/{name}.json}}}}}}"
        )
    (folder / "graph.yaml").write_text("\n".join(lines) + "\n")


def write_loop(folder: Path, graph: Graph) -> None:
    """Write a plain loop of function calls, the floor."""
    _base(folder)
    calls = [f"work({_inputs(p)!r}, 'data/{name}.json')" for name, p in graph.items()]
    (folder / "loop.py").write_text("from body import work\n" + "\n".join(calls) + "\n")


def write_make(folder: Path, graph: Graph) -> None:
    """Write a Makefile that starts an interpreter a stage."""
    _base(folder)
    rules = [f"all: {' '.join(f'data/{name}.json' for name in graph)}"]
    for name, parents in graph.items():
        rules.append(
            f"data/{name}.json: {' '.join(_inputs(parents))}\n\t@{sys.executable} body.py $@ $^"
        )
    (folder / "Makefile").write_text("\n".join(rules) + "\n")


def write_dvc(folder: Path, graph: Graph) -> None:
    """Write a ``dvc.yaml``."""
    _base(folder)
    stages = {
        name: {
            "cmd": f"{sys.executable} body.py data/{name}.json {' '.join(_inputs(parents))}",
            "deps": ["body.py", *_inputs(parents)],
            "outs": [f"data/{name}.json"],
        }
        for name, parents in graph.items()
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")


def write_snakemake(folder: Path, graph: Graph) -> None:
    """Write a Snakefile with one rule and an input function."""
    _base(folder)
    inputs = {name: _inputs(parents) for name, parents in graph.items()}
    (folder / "graph.json").write_text(json.dumps(inputs))
    (folder / "Snakefile").write_text(
        "import json\nG = json.load(open('graph.json'))\n"
        "rule all:\n    input: [f'data/{n}.json' for n in G]\n"
        "rule stage:\n    input: lambda wc: G[wc.n]\n    output: 'data/{n}.json'\n"
        "    wildcard_constraints: n='(?!seed).*'\n"
        f"    shell: '{sys.executable} body.py {{output}} {{input}}'\n"
    )


def write_kedro(folder: Path, graph: Graph) -> None:
    """Write a Kedro project with a JSON data set a node."""
    _base(folder)
    source = folder / "src" / "bench"
    for path in (source, folder / "conf" / "base", folder / "conf" / "local"):
        path.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "bench"\nproject_name = "bench"\n'
        'kedro_init_version = "1.7.0"\nsource_dir = "src"\n'
    )
    (folder / ".telemetry").write_text("consent: false\n")
    (source / "__init__.py").write_text("")
    (source / "settings.py").write_text("")
    nodes = [(name, list(parents) or ["seed"]) for name, parents in graph.items()]
    (source / "pipeline_registry.py").write_text(
        "from kedro.pipeline import node, pipeline\n\n\n"
        "def add(*values):\n"
        '    return {"v": (sum(each["v"] for each in values) + 1) % 1000003}\n\n\n'
        f"NODES = {nodes!r}\n\n\ndef register_pipelines():\n"
        '    made = [node(add, ins, name, name=f"{name}_node") for name, ins in NODES]\n'
        '    return {"__default__": pipeline(made)}\n'
    )
    catalog = "".join(
        f"{name}:\n  type: json.JSONDataset\n  filepath: data/{name}.json\n"
        for name in ("seed", *graph)
    )
    (folder / "conf" / "base" / "catalog.yml").write_text(catalog)
    (folder / "conf" / "base" / "parameters.yml").write_text("")


MLPIPE = Tool(
    "mlpipe",
    write_mlpipe,
    lambda _: [sys.executable, "-m", "mlpipe", "run", "graph", "--jobs", str(JOBS)],
)
LOOP = Tool("a loop of function calls", write_loop, lambda _: [sys.executable, "loop.py"])
MAKE = Tool("make, an interpreter a stage", write_make, lambda _: ["make", "-s", f"-j{JOBS}"])
PEERS = (
    Tool(
        "kedro",
        write_kedro,
        lambda programs: [str(programs / "kedro"), "run"],
        "kedro==1.7.0 kedro-datasets[json]",
        lambda programs: [str(programs / "kedro"), "run", "--only-missing-outputs"],
    ),
    Tool(
        "snakemake",
        write_snakemake,
        lambda programs: [str(programs / "snakemake"), "-q", "all", "-c", str(JOBS)],
        "snakemake",
    ),
    Tool("dvc repro", write_dvc, lambda programs: [str(programs / "dvc"), "repro", "-q"], "dvc"),
)


def environment() -> dict[str, str]:
    """Give variables that keep tools quiet and off the network."""
    return {
        "DO_NOT_TRACK": "1",
        "KEDRO_DISABLE_TELEMETRY": "1",
        "DVC_NO_ANALYTICS": "1",
        "PYTHONHASHSEED": "0",
        "HOME": os.environ.get("HOME", "/tmp"),
    }
