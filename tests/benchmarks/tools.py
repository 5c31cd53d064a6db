"""The same graph of tiny stages as a project of each tool, and how each tool runs it."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.benchmarks.graphs import Graph, inputs_of, output_of, write_body
from tests.benchmarks.measure import Cost, cost

JOBS = 2

#: Keeps tools quiet and off the network.
QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "KEDRO_DISABLE_TELEMETRY": "1",
    # Kedro reads catalogs through omegaconf, which refuses that of 10,000 stages otherwise.
    "OMEGACONF_MAX_YAML_EXPANDED_NODES": "none",
    "PLOOMBER_STATS_ENABLED": "false",
    "PLOOMBER_VERSION_CHECK_DISABLED": "true",
}


@dataclass(frozen=True)
class Tool:
    """A tool that runs graphs.

    Attributes:
        name: What tables call it.
        write: Writes a graph as the tool's project into a folder.
        run: The command that runs it, given the folder of the tool's programs.
        packages: What to install in an environment of its own; none for what is here already.
        again: The command that runs it with nothing changed, where it is another one.
    """

    name: str
    write: Callable[[Path, Graph], None]
    run: Callable[[Path], Sequence[str]]
    packages: tuple[str, ...] = ()
    again: Callable[[Path], Sequence[str]] | None = None


def first_and_again(
    tool: Tool, folder: Path, graph: Graph, programs: Path = Path(), limit: float = 240.0
) -> tuple[Cost, Cost]:
    """Run a graph in a fresh folder, and once more with nothing changed.

    Raises:
        TookTooLong: One of the runs was not done within the limit, in seconds.
    """
    shutil.rmtree(folder, ignore_errors=True)
    tool.write(folder, graph)
    large = len(graph) >= 1000
    first = cost(tool.run(programs), folder, QUIET, limit=limit, memory=large)
    missing = [name for name in graph if not (folder / output_of(name)).is_file()]
    assert not missing, f"{tool.name} said it was done, and did not make {missing[:3]}"
    again = cost((tool.again or tool.run)(programs), folder, QUIET, limit=limit)
    return first, again


def write_mlpipe(folder: Path, graph: Graph) -> None:
    """Write a recipe of ``python.prepare`` stages."""
    write_body(folder)
    (folder / ".mlpipe").mkdir()
    lines = ["name: graph", "stages:"]
    for name, parents in graph.items():
        inputs = ", ".join(f"i{i}: {each}.out" for i, each in enumerate(parents))
        files, args = (
            ("", "") if parents else ("files: [data/seed.json], ", "args: {seed: data/seed.json}, ")
        )
        lines.append(
            f"  {name}: {{uses: python.prepare, {files}inputs: {{{inputs}}}, with: "
            f"{{function: 'body:stage', {args}outputs: {{out: {output_of(name)}}}}}}}"
        )
    (folder / "graph.yaml").write_text("\n".join(lines) + "\n")


def write_loop(folder: Path, graph: Graph) -> None:
    """Write the function calls one after another."""
    write_body(folder)
    calls = [f"work({inputs_of(p)!r}, {output_of(name)!r})" for name, p in graph.items()]
    (folder / "loop.py").write_text("from body import work\n" + "\n".join(calls) + "\n")


def write_make(folder: Path, graph: Graph) -> None:
    """Write a Makefile that starts an interpreter a stage."""
    write_body(folder)
    rules = [f"all: {' '.join(map(output_of, graph))}"]
    for name, parents in graph.items():
        inputs = " ".join(inputs_of(parents))
        rules.append(f"{output_of(name)}: {inputs}\n\t@{sys.executable} body.py $@ $^")
    (folder / "Makefile").write_text("\n".join(rules) + "\n")


def write_dvc(folder: Path, graph: Graph) -> None:
    """Write a ``dvc.yaml``, without Git."""
    write_body(folder)
    stages = {
        name: {
            "cmd": f"{sys.executable} body.py {output_of(name)} {' '.join(inputs_of(parents))}",
            "deps": ["body.py", *inputs_of(parents)],
            "outs": [output_of(name)],
        }
        for name, parents in graph.items()
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text(
        "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
        f"    site_cache_dir = {folder / '.dvc' / 'site'}\n"
    )


def write_snakemake(folder: Path, graph: Graph) -> None:
    """Write a Snakefile with one rule and an input function."""
    write_body(folder)
    inputs = {name: inputs_of(parents) for name, parents in graph.items()}
    (folder / "graph.json").write_text(json.dumps(inputs))
    (folder / "Snakefile").write_text(
        "import json\n"
        "GRAPH = json.load(open('graph.json'))\n"
        "rule all:\n"
        "    input: [f'data/{name}.json' for name in GRAPH]\n"
        "rule stage:\n"
        "    input: lambda wildcards: GRAPH[wildcards.name]\n"
        "    output: 'data/{name}.json'\n"
        "    wildcard_constraints: name='(?!seed).*'\n"
        f"    shell: '{sys.executable} body.py {{output}} {{input}}'\n"
    )


def write_kedro(folder: Path, graph: Graph) -> None:
    """Write a Kedro project with a node a stage and a JSON data set for each of its files."""
    write_body(folder)
    package = folder / "src" / "bench"
    for path in (package, folder / "conf" / "base", folder / "conf" / "local"):
        path.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.kedro]\npackage_name = "bench"\nproject_name = "bench"\n'
        'kedro_init_version = "1.7.0"\nsource_dir = "src"\n'
    )
    (folder / ".telemetry").write_text("consent: false\n")
    (package / "__init__.py").write_text("")
    (package / "settings.py").write_text("")
    nodes = [(name, list(parents) or ["seed"]) for name, parents in graph.items()]
    (package / "pipeline_registry.py").write_text(
        "from kedro.pipeline import node, pipeline\n\n\n"
        "def add(*values):\n"
        '    return {"v": (sum(each["v"] for each in values) + 1) % 1000003}\n\n\n'
        f"NODES = {nodes!r}\n\n\n"
        "def register_pipelines():\n"
        '    made = [node(add, ins, name, name=f"{name}_node") for name, ins in NODES]\n'
        '    return {"__default__": pipeline(made)}\n'
    )
    catalog = "".join(
        f"{name}:\n  type: json.JSONDataset\n  filepath: {output_of(name)}\n"
        for name in ("seed", *graph)
    )
    (folder / "conf" / "base" / "catalog.yml").write_text(catalog)
    (folder / "conf" / "base" / "parameters.yml").write_text("")


def write_ploomber(folder: Path, graph: Graph) -> None:
    """Write a ``pipeline.yaml`` of function tasks, run by two processes."""
    write_body(folder)
    (folder / "tasks.py").write_text(
        "from body import work\n\n\n"
        "def first(product):\n"
        '    work(["data/seed.json"], str(product))\n\n\n'
        "def later(product, upstream):\n"
        "    work([str(each) for each in upstream.values()], str(product))\n"
    )
    tasks = [
        {
            "source": "tasks.later" if parents else "tasks.first",
            "name": name,
            "product": output_of(name),
            "upstream": list(parents) or None,
        }
        for name, parents in graph.items()
    ]
    pipeline = {
        "meta": {"extract_upstream": False},
        "executor": {"dotted_path": "ploomber.executors.Parallel", "processes": JOBS},
        "tasks": tasks,
    }
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))


def _mlpipe(_: Path) -> Sequence[str]:
    return [sys.executable, "-m", "mlpipe", "run", "graph", "--jobs", str(JOBS)]


LOOP = Tool("function calls in a loop", write_loop, lambda _: [sys.executable, "loop.py"])
MAKE = Tool("make, an interpreter a stage", write_make, lambda _: ["make", "-s", f"-j{JOBS}"])
MLPIPE = Tool("mlpipe", write_mlpipe, _mlpipe)
KEDRO = Tool(
    "kedro 1.7.0",
    write_kedro,
    lambda programs: [f"{programs}/kedro", "run"],
    ("kedro==1.7.0", "kedro-datasets[json]==9.6.0"),
    lambda programs: [f"{programs}/kedro", "run", "--only-missing-outputs"],
)
SNAKEMAKE = Tool(
    "snakemake 9.27.1",
    write_snakemake,
    lambda programs: [f"{programs}/snakemake", "-q", "all", "-c", str(JOBS)],
    ("snakemake==9.27.1",),
)
DVC = Tool(
    "dvc 3.67.1 repro",
    write_dvc,
    lambda programs: [f"{programs}/dvc", "repro", "-q"],
    ("dvc==3.67.1",),
)
PLOOMBER = Tool(
    "ploomber 0.23.3",
    write_ploomber,
    lambda programs: [f"{programs}/ploomber", "build"],
    ("ploomber==0.23.3", "setuptools<81"),
)
PEERS = (KEDRO, SNAKEMAKE, DVC, PLOOMBER)
