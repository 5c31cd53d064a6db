"""``mlpipe init``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from mlpipe.console import Console
from mlpipe.errors import UserError

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_RECIPE = """\
# Run it:       mlpipe run {name}
# Ask it:       mlpipe plan {name}        what would run, and why
# Change it:    mlpipe run {name} --set params.degree=3
name: {name}
params: {{degree: 2, noise: 0.1, seed: 7}}
stages:
  data:
    uses: python.prepare
    with:
      function: pipeline:make_data
      outputs: {{points: data/points.csv}}
      args: {{noise: "${{params.noise}}", seed: "${{params.seed}}"}}
  model:
    uses: python.train
    inputs: {{points: data.points}}
    with:
      function: pipeline:fit
      outputs: {{model: models/model.json}}
      args: {{degree: "${{params.degree}}"}}
  quality:
    uses: python.evaluate
    inputs: {{model: model.model, points: data.points}}
    with:
      function: pipeline:evaluate
    gate: {{rmse: "< 0.5"}}
  report:
    uses: shell.build
    inputs: {{model: model.model}}
    needs: [quality]
    with:
      command: echo "the model is" && cat {{inputs.model}} | tee {{outputs.report}}
      outputs: {{report: reports/model.txt}}
"""

_CODE = '''\
"""The stages' code. Edit a function: the stages that use it run again, and no others."""

import csv
import json
import math
import random
import os
from pathlib import Path


def make_data(points: Path, noise: float, seed: int) -> dict[str, float]:
    """Sample a noisy parabola. Numbers that a stage returns are its metrics."""
    source = random.Random(seed)
    xs = [i / 20 for i in range(-40, 41)]
    with points.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["x", "y"])
        writer.writerows((x, x * x - x + source.gauss(0, noise)) for x in xs)
    return {"rows": len(xs)}


def fit(points: Path, model: Path, degree: int) -> None:
    """Fit a polynomial by least squares, in plain Python."""
    rows = read(points)
    size = degree + 1
    normal = [[sum(x ** (i + j) for x, _ in rows) for j in range(size)] for i in range(size)]
    right = [sum(y * x**i for x, y in rows) for i in range(size)]
    model.write_text(json.dumps({"coefficients": solve(normal, right)}))


def evaluate(model: Path, points: Path) -> dict[str, float]:
    """Measure the root mean square error; the recipe\'s gate bounds it."""
    coefficients = json.loads(model.read_text())["coefficients"]
    rows = read(points)
    errors = [sum(c * x**i for i, c in enumerate(coefficients)) - y for x, y in rows]
    return {"rmse": math.sqrt(sum(error * error for error in errors) / len(errors))}


def read(points: Path) -> list[tuple[float, float]]:
    """Read the table that ``make_data`` wrote."""
    with points.open(newline="") as stream:
        return [(float(row["x"]), float(row["y"])) for row in csv.DictReader(stream)]


def solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve linear equations by Gaussian elimination."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(len(rows)):
        pivot = max(range(i, len(rows)), key=lambda k: abs(rows[k][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k, row in enumerate(rows):
            if k != i:
                rows[k] = [a - row[i] * b for a, b in zip(row, rows[i], strict=True)]
    return [row[-1] for row in rows]
'''


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = Path(),
) -> None:
    """Make a small project that runs."""
    folder = folder.resolve()
    name = "".join(c if c.isalnum() else "-" for c in folder.name.lower()).strip("-") or "first"
    name = name if name[0].isalpha() else f"p-{name}"
    files = {
        f"{name}.yaml": _RECIPE.format(name=name),
        "pipeline.py": _CODE,
    }
    if there := [file for file in files if (folder / file).exists()]:
        raise UserError(
            f"{there[0]} exists", where=str(folder), fix="Choose another folder; nothing was made."
        )
    (folder / ".mlpipe").mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file).write_text(text, "utf-8")
    console = Console()
    where = os.path.relpath(folder)
    console.out(f"made {name}.yaml and pipeline.py in {where}")
    step = "" if where == "." else f"cd {where} && "
    console.out(f"next:  {step}mlpipe run {name}")
