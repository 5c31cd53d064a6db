"""What a run sets off: the recipes that its missed gates start, each as a run of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlpipe.engine.execute import Options, execute
from mlpipe.engine.reporting import Reporter, RunResult
from mlpipe.engine.session import session
from mlpipe.plan.make import make
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import LoadedRecipe, load
from mlpipe.store.runs import Cause, StageState


@dataclass(frozen=True, slots=True)
class Started:
    """A recipe that a missed gate starts.

    Attributes:
        stage: Whose gate was missed.
        name: The recipe, as the other one names it.
        path: Its file.
    """

    stage: str
    name: str
    path: Path


def started(result: RunResult, recipe: LoadedRecipe) -> Iterator[Started]:
    """Name the recipes that a run's missed gates start, each once.

    Args:
        result: How the run ended.
        recipe: What was run.
    """
    seen: set[Path] = set()
    for stage, path in recipe.starts.items():
        report = result.stages.get(stage)
        told = recipe.stages[stage].spec.on_gate_failure
        if report is None or report.state is not StageState.GATE_FAILED or path in seen:
            continue
        seen.add(path)
        yield Started(stage, str(told.run if told else ""), path)


def start(
    what: Started,
    result: RunResult,
    recipe: LoadedRecipe,
    plugins: PluginManager,
    options: Options,
    reporter: Callable[[], Reporter | None],
) -> RunResult:
    """Run a recipe that a missed gate starts. Its own gates start none.

    Args:
        what: The recipe.
        result: Of the run whose gate it was.
        recipe: What was run.
        plugins: Who serves stages.
        options: Of that run.
        reporter: Makes one that shows the new run.

    Raises:
        RecipeError: It was changed meanwhile, and has problems.
    """
    loaded = load(what.path, plugins=plugins, target=recipe.target.name)
    target = f" --target {recipe.target.name}" if recipe.target.name != "local" else ""
    chosen = Options(
        options.jobs,
        options.keep_going,
        f"mlpipe run {what.name}{target}",
        Cause(result.run, what.stage),
    )
    with session(loaded, plugins, read_only=False) as ready:
        return execute(
            make(ready.assessor),
            ready.assessor,
            ready.store,
            plugins,
            ready.executor,
            chosen,
            reporter(),
        )
