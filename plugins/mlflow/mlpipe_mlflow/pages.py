"""The page that shows an evaluation: one file, nothing from elsewhere, light and dark."""

from collections.abc import Iterable, Mapping
from html import escape

from mlpipe_mlflow import plots
from mlpipe_mlflow.config import EvaluateConfig
from mlpipe_mlflow.measuring import Confusion
from mlpipe_mlflow.printing import MOST_CLASSES, interval
from mlpipe_mlflow.values import Estimate, Measured, Predicted, Rows
from mlpipe_pages import Plot, figure, page

#: A matrix of more classes than these has a line of its own.
_NARROW = 4

_STYLE = """
.matrix td{text-align:right;padding:8px 12px;min-width:56px;
background:color-mix(in srgb,var(--s0) calc(var(--share)*55%),var(--card))}
.matrix th{padding:8px 12px}
"""


def report(
    stage: str,
    config: EvaluateConfig,
    rows: Rows,
    predicted: Mapping[str, Predicted],
    measured: Mapping[str, Measured],
) -> str:
    """Write the page.

    Args:
        stage: The stage's name.
        config: Its settings.
        rows: The rows that were predicted.
        predicted: What each model made of them, and
        measured: how good that is.
    """
    tables = "\n".join([_metrics(measured), *_gains(measured, config)])
    models = [_model(name, config, rows, predicted[name], measured[name]) for name in measured]
    head = f'<h1>{escape(stage)}</h1>\n{_facts(config, rows)}\n<div class="row">{tables}</div>'
    body = "\n".join([head, *models])
    return page(f"{stage}: evaluation", body, _STYLE)


def _facts(config: EvaluateConfig, rows: Rows) -> str:
    text = f"{config.task.capitalize()} of {config.label}, measured on {len(rows.truth):,} rows."
    if config.bootstrap:
        share, samples = 100 * config.bootstrap.confidence, config.bootstrap.samples
        text += f" Below each number: its {share:.4g} % bounds, from {samples:,} bootstrap samples."
    return f'<p class="soft">{escape(text)}</p>'


def _metrics(measured: Mapping[str, Measured]) -> str:
    return _table("Metrics", {name: each.metrics for name, each in measured.items()})


def _gains(measured: Mapping[str, Measured], config: EvaluateConfig) -> Iterable[str]:
    gains = {name: each.gains for name, each in measured.items() if each.gains}
    if gains:
        yield _table(f"Better than {config.reference} by", gains)


def _table(caption: str, columns: Mapping[str, Mapping[str, Estimate]]) -> str:
    names = list(dict.fromkeys(metric for each in columns.values() for metric in each))
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in ("", *columns))
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(_cell(each.get(name)) for each in columns.values())
        + "</tr>\n"
        for name in names
    )
    return (
        f'<div class="card"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "<td>-</td>"
    bounds = f"<small>{interval(estimate)}</small>" if estimate.bounds else ""
    return f"<td>{estimate.value:.4g}{bounds}</td>"


def _model(
    name: str, config: EvaluateConfig, rows: Rows, predicted: Predicted, measured: Measured
) -> str:
    found: list[Plot] = []
    if config.task == "regression":
        found = plots.of_numbers(rows.truth, predicted.guesses)
    elif predicted.scores is not None:
        found = plots.of_scores(rows.truth, predicted.scores, config.positive)
    matrix = _matrix(measured.confusion) if measured.confusion else ""
    figures = [figure(each, f"{name} {number}") for number, each in enumerate(found)]
    return f'<h2>{escape(name)}</h2>\n<div class="grid">\n{matrix}{"".join(figures)}\n</div>'


def _matrix(confusion: Confusion) -> str:
    """Write the confusion matrix, each cell as dark as its share of the row."""
    if len(confusion.labels) > MOST_CLASSES:
        return ""
    labels = [escape(str(label)) for label in confusion.labels]
    head = "".join(f'<th scope="col">{label}</th>' for label in labels)
    body = "".join(
        f'<tr><th scope="row">{label}</th>'
        + "".join(
            f'<td style="--share:{count / max(sum(row), 1):.3f}">{count:,}</td>' for count in row
        )
        + "</tr>\n"
        for label, row in zip(labels, confusion.counts, strict=True)
    )
    size = " many" if len(labels) > _NARROW else ""
    return (
        f'<div class="card{size}"><table class="matrix"><caption>Confusion matrix</caption>'
        f"<thead><tr><td></td>{head}</tr></thead>\n<tbody>{body}</tbody></table>"
        '<p class="soft">A row for each true class, a column for each predicted one.</p></div>'
    )
