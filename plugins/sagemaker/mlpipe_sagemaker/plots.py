"""A page about a tuning: its history, what mattered, and every trial."""

import html
import json
from collections.abc import Sequence
from typing import Any

from mlpipe_sagemaker.config import TuneConfig
from mlpipe_sagemaker.contract import Trial
from mlpipe_sagemaker.optunaspace import distribution, encode

_STYLE = """
:root { color-scheme: light dark; --ink: #1b2527; --paper: #fff; --line: #d7dfe0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4eaea; --paper: #14191a; --line: #3a4446; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 64rem; padding: 1rem;
  color: var(--ink); background: var(--paper); }
figure { margin: 0 0 2rem; } figcaption { font-weight: 600; }
.plot { background: #fff; border: 1px solid var(--line); overflow-x: auto; }
.rows { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; } .best { font-weight: 600; }
"""


def page(trials: Sequence[Trial], config: TuneConfig, stage: str) -> str:
    """Write the page: one HTML file that needs nothing from elsewhere.

    Args:
        trials: All of them.
        config: What was searched.
        stage: The stage's name.
    """
    complete = [trial for trial in trials if trial.objective is not None]
    best = max(complete, key=lambda t: _sign(config) * (t.objective or 0.0))
    name = html.escape(config.objective)
    figures = "".join(_figures(trials, complete, config))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(stage)}:'
        f' {len(trials)} trials</title><meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(stage)}</h1>"
        f"<p>{len(trials)} trials to {config.direction} {name}; the best is number {best.number} "
        f"with {best.objective:.6g}.</p>{figures}{_table(trials, best)}</body></html>\n"
    )


def _sign(config: TuneConfig) -> int:
    return 1 if config.direction == "maximize" else -1


def _figures(trials: Sequence[Trial], complete: Sequence[Trial], config: TuneConfig) -> list[str]:
    from optuna.visualization import (
        plot_optimization_history,
        plot_parallel_coordinate,
        plot_param_importances,
    )

    study = _study(trials, config)
    asked: dict[str, Any] = {"target_name": config.objective}
    found = [("History of the objective", plot_optimization_history(study, **asked))]
    varied = [n for n in config.space if len({str(t.parameters.get(n)) for t in complete}) > 1]
    if len(complete) > 2 and len(varied) > 1:
        importances = plot_param_importances(
            study, evaluator=_evaluator(), params=_shared(complete)
        )
        found.append(("Importance of each parameter", importances))
    if len(complete) > 1:
        found.append(("Parameters of each trial", plot_parallel_coordinate(study, **asked)))
    return [_figure(title, figure, first=not index) for index, (title, figure) in enumerate(found)]


def _evaluator() -> Any:
    from optuna.importance import PedAnovaImportanceEvaluator

    return PedAnovaImportanceEvaluator()


def _shared(complete: Sequence[Trial]) -> list[str]:
    """Give the parameters that every trial has; those under a condition cannot be compared."""
    return [n for n in complete[0].parameters if all(n in trial.parameters for trial in complete)]


def _study(trials: Sequence[Trial], config: TuneConfig) -> Any:
    """Give the trials as Optuna's; those without an objective, too, so that numbers stay."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction=config.direction)
    space = config.space
    states = optuna.trial.TrialState
    for trial in trials:
        study.add_trial(
            optuna.trial.create_trial(
                state=states.FAIL if trial.objective is None else states.COMPLETE,
                value=trial.objective,
                params={n: encode(space[n], v) for n, v in trial.parameters.items()},
                distributions={n: distribution(space[n]) for n in trial.parameters},
            )
        )
    return study


def _figure(title: str, figure: Any, *, first: bool) -> str:
    below = {"orientation": "h", "y": -0.25}  # or it covers the plot on a phone
    figure.update_layout(title=None, template="plotly_white", margin={"t": 24}, legend=below)
    plot = figure.to_html(
        full_html=False,
        include_plotlyjs="inline" if first else False,
        config={"displaylogo": False, "responsive": True},
    )
    return (
        f"<figure><figcaption>{title}</figcaption>"
        f'<div class="plot" role="img" aria-label="{title}; the table below has the numbers">'
        f"{plot}</div></figure>"
    )


def _table(trials: Sequence[Trial], best: Trial) -> str:
    names = list(dict.fromkeys(name for trial in trials for name in trial.parameters))
    head = "".join(f"<th>{html.escape(n)}</th>" for n in ("trial", "state", "objective", *names))
    rows = []
    for trial in trials:
        value = "" if trial.objective is None else f"{trial.objective:.6g}"
        cells = [str(trial.number), trial.state, value]
        cells += [_shown(trial.parameters.get(name, "")) for name in names]
        mark = ' class="best"' if trial.number == best.number else ""
        inner = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr{mark}>{inner}</tr>")
    return (
        f'<div class="rows"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)
