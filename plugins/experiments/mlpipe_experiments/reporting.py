"""A page about an experiment: what it says, and how that came about."""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe_experiments.deciding import Standing, present
from mlpipe_experiments.keeping import Ending, Experiment
from mlpipe_experiments.plan import ExperimentPlan
from mlpipe_experiments.showing import plan_lines
from mlpipe_experiments.tallying import Look, looks
from mlpipe_pages import INK, SOFT, Plot, figure, page, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: How often the experiment is looked at again for the plots.
_LOOKS = 60


def write(experiment: Experiment, out: Path | None = None, found: Standing | None = None) -> Path:
    """Write the page; give the file.

    Args:
        experiment: What it is about.
        out: The file; ``report.html`` in the experiment's folder when left out.
        found: How it stands, where that is known already.
    """
    place = out or experiment.folder / "report.html"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(report(experiment, found or present(experiment)), "utf-8")
    return place


def report(experiment: Experiment, found: Standing) -> str:
    """Give the page as HTML."""
    seen = list(looks(experiment.plan, found.joined.units, _LOOKS))
    plots = _plots(experiment.plan, seen) if seen else []
    figures = "".join(figure(plot, plot.title) for plot in plots)
    body = (
        f"<h1>Experiment on {escape(experiment.name)}</h1>\n{_said(experiment, found)}"
        f'<div class="row">{_numbers(experiment.plan, found)}{_guardrails(found)}</div>'
        f'<div class="grid">{figures}</div><h2>Decided before</h2>'
        f'<div class="card"><p>{"<br>".join(map(escape, plan_lines(experiment.plan)))}</p>'
        f'<p class="soft">Plan {experiment.plan.digest()}</p></div>'
    )
    return page(f"{experiment.name}: experiment", body)


def _said(experiment: Experiment, found: Standing) -> str:
    ending = experiment.ending or Ending(0.0, found.verdict.kind, None, found.verdict.reason)
    state = "Ended" if experiment.ending else "So far"
    units = f"{len(found.joined.units):,} of at most {found.size.horizon:,} units"
    left = f"; {found.joined.mixed:,} left out that several variants answered"
    return (
        f"<p><strong>{state}: {escape(ending.kind)}.</strong> {escape(ending.reason)}</p>"
        f'<p class="soft">{units}{left if found.joined.mixed else ""}</p>'
    )


def _numbers(plan: ExperimentPlan, found: Standing) -> str:
    kind = "closing" if found.verdict.closing else "always-valid"
    head = ("", "units", plan.metric.name, f"difference, {kind} interval")
    rows = []
    for name in plan.weights:
        seen, effect = found.observed.outcomes[name], found.verdict.effects.get(name)
        apart = "-"
        if effect is not None:
            apart = (
                f"{effect.estimate:+.4g} <small>{effect.lower:+.4g} … {effect.upper:+.4g}</small>"
            )
        rows.append((escape(name), f"{seen.count:,}", f"{seen.mean:.4g}", apart))
    return _table("Variants", head, rows)


def _guardrails(found: Standing) -> str:
    rows = [
        (escape(name), escape(each.metric), f"{each.worse_by:+.4g}", each.state)
        for name, checked in found.verdict.guardrails.items()
        for each in checked
    ]
    return _table("Guardrails", ("", "", "worse by", ""), rows) if rows else ""


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = "".join(f'<th scope="col">{escape(each)}</th>' for each in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>' + "".join(f"<td>{c}</td>" for c in row[1:]) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="card"><table><caption>{caption}</caption><thead><tr>{columns}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _plots(plan: ExperimentPlan, seen: Sequence[Look]) -> list[Plot]:
    return [
        Plot(
            f"Effect on {plan.metric.name}",
            "Difference to the control as units came, with its always-valid interval: once that "
            "leaves out 0, the experiment may be decided. Outcomes are those known now.",
            _effects(plan, seen),
        ),
        Plot(
            "Split",
            "Share of the units of each variant, and the planned one (dotted).",
            _split(plan, seen),
        ),
        *(
            Plot(
                f"Guardrail {guardrail.metric}",
                f"By how much the share is larger than the control's; {guardrail.margin:g} is "
                "allowed (dotted).",
                _guardrail(plan, seen, number),
            )
            for number, guardrail in enumerate(plan.guardrails)
        ),
    ]


def _effects(plan: ExperimentPlan, seen: Sequence[Look]) -> "Callable[[Axes], None]":
    import math

    def draw(axes: "Axes") -> None:
        for number, name in enumerate(plan.treatments):
            found = [(look.units, look.verdict.effects[name]) for look in seen]
            known = [(units, each) for units, each in found if math.isfinite(each.lower)]
            units = [each for each, _ in known]
            style = series(number)
            axes.plot(units, [each.estimate for _, each in known], **style, label=name)
            axes.fill_between(
                units,
                [each.lower for _, each in known],
                [each.upper for _, each in known],
                color=style["color"],
                alpha=0.2,
                linewidth=0,
            )
        axes.axhline(0, color=INK, linewidth=1)
        axes.axhline(plan.sign * plan.effect, color=SOFT, linestyle=":", label="would matter")
        axes.set(xlabel="units", ylabel="difference")
        axes.legend()

    return draw


def _split(plan: ExperimentPlan, seen: Sequence[Look]) -> "Callable[[Axes], None]":
    def draw(axes: "Axes") -> None:
        units = [look.units for look in seen]
        for number, name in enumerate(plan.weights):
            came = [look.observed.assigned[name] / look.units for look in seen]
            axes.plot(units, came, **series(number), label=name)
            axes.axhline(plan.share(name), color=SOFT, linestyle=":")
        axes.set(xlabel="units", ylabel="share", ylim=(0, 1))
        axes.legend()

    return draw


def _guardrail(plan: ExperimentPlan, seen: Sequence[Look], number: int) -> "Callable[[Axes], None]":
    def draw(axes: "Axes") -> None:
        units = [look.units for look in seen]
        for position, name in enumerate(plan.treatments):
            worse = [look.verdict.guardrails[name][number].worse_by for look in seen]
            axes.plot(units, worse, **series(position), label=name)
        axes.axhline(0, color=INK, linewidth=1)
        axes.axhline(plan.guardrails[number].margin, color=SOFT, linestyle=":")
        axes.set(xlabel="units", ylabel="worse by")
        axes.legend()

    return draw
