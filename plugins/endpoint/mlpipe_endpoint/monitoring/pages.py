"""The page of a look: what drifted, and how."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from mlpipe_endpoint.config import MonitorConfig
from mlpipe_endpoint.monitoring.captures import Captured
from mlpipe_endpoint.monitoring.drift import Drift
from mlpipe_pages import Plot, figure, page, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Figures of features, those that changed most.
_SHOWN = 12


def report(
    config: MonitorConfig,
    found: Captured,
    drifts: Sequence[Drift],
    answers: Sequence[Drift],
    measured: Mapping[str, float],
) -> str:
    """Write the page.

    Args:
        config: What was looked for.
        found: What was captured.
        drifts: By feature; none where there are too few rows.
        answers: Of the predictions.
        measured: By labels.
    """
    plots = [_plot(each) for each in (*answers, *drifts[:_SHOWN])]
    figures = "".join(figure(plot, plot.title) for plot in plots)
    body = (
        f"<h1>{escape(config.endpoint)}: what it is asked</h1>\n{_said(config, found, drifts)}"
        f'<div class="row">{_table(drifts, answers)}{_quality(measured)}</div>'
        f'<div class="grid">{figures}</div>'
    )
    return page(f"{config.endpoint}: monitoring", body)


def _said(config: MonitorConfig, found: Captured, drifts: Sequence[Drift]) -> str:
    rows = len(found.features)
    drifted = [each.name for each in drifts if each.drifted]
    if not drifts:
        text = f"{rows:,} captured rows are too few to conclude anything: {config.least:,} are."
    elif drifted:
        text = f"{len(drifted)} of {len(drifts)} features drifted: {', '.join(drifted)}."
    else:
        text = f"None of {len(drifts)} features drifted."
    left = f" {found.unreadable:,} captures are no rows of features." if found.unreadable else ""
    how = (
        f"{rows:,} rows against the training data. Drifted: a stability index of at least "
        f"{config.effect:g}, and significant at a false discovery rate of {config.alpha:g}."
    )
    return f'<p><strong>{escape(text)}</strong></p><p class="soft">{escape(how + left)}</p>'


def _table(drifts: Sequence[Drift], answers: Sequence[Drift]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(each.name)}</th><td>{each.index:.3f}</td>'
        f"<td>{each.p:.2g}</td><td>{'drifted' if each.drifted else ''}</td></tr>"
        for each in (*answers, *drifts)
    )
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", "index", "p", ""))
    return (
        '<div class="card"><table><caption>Features</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _quality(measured: Mapping[str, float]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{value:.4g}</td></tr>'
        for name, value in measured.items()
    )
    caption = "<caption>With labels</caption>"
    return f'<div class="card"><table>{caption}{rows}</table></div>' if rows else ""


def _plot(each: Drift) -> Plot:
    state = "drifted" if each.drifted else "not drifted"
    caption = f"Index {each.index:.3f}, {state}. Shares of the training data, and now."
    return Plot(each.name, caption, _bars(each))


def _bars(each: Drift) -> "Callable[[Axes], None]":
    def draw(axes: "Axes") -> None:
        places = range(len(each.before))
        for number, (name, shares) in enumerate((("training", each.before), ("now", each.after))):
            offset = 0.4 * number - 0.2
            colour = series(number)["color"]
            axes.bar([p + offset for p in places], shares, 0.4, color=colour, label=name)
        axes.set_xticks(list(places), each.bins.labels, rotation=60, ha="right", fontsize=8)
        axes.legend()

    return draw
