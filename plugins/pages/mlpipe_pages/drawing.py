"""Figures as SVG that stands in a page: its colours are the page's, light or dark."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours that matplotlib is given, each standing for a variable of the page's style.
INK, SOFT, LINE = "#010201", "#010202", "#010203"
_SERIES = 5
_VARIABLES = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    **{f"#01030{number}": f"var(--s{number})" for number in range(_SERIES)},
}
_DASHES = ("-", "--", ":", "-.")

_SETTINGS = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "legend.fontsize": 10,
}


def series(number: int) -> dict[str, Any]:
    """Give colour and dashes of a figure's series, which differ from those of the others."""
    return {
        "color": f"#01030{number % _SERIES}",
        "linestyle": _DASHES[number // _SERIES % len(_DASHES)],
    }


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure to be drawn.

    Attributes:
        title: What it shows.
        caption: What it says, for those too who cannot see it.
        draw: Draws on the axes.
    """

    title: str
    caption: str
    draw: "Callable[[Axes], None]"


def figure(plot: Plot, name: str) -> str:
    """Draw a figure, as HTML.

    Args:
        plot: The figure.
        name: What tells it from all others of its page.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {**_SETTINGS, "svg.hashsalt": name}  # its type lists hundreds of keys
    with mpl.rc_context(settings):
        made = Figure(figsize=(4.6, 3.6), layout="constrained")
        FigureCanvasSVG(made)
        plot.draw(made.add_subplot())
        stream = io.StringIO()
        made.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    label = escape(f"{plot.title}. {plot.caption}")
    return (
        f"<figure><h3>{escape(plot.title)}</h3>{_inline(stream.getvalue(), label)}"
        f"<figcaption>{escape(plot.caption)}</figcaption></figure>"
    )


def _inline(document: str, label: str) -> str:
    """Take an SVG out of its document, without the names that every figure gives its parts."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    used = set(re.findall(r"""["(]#([\w.-]+)""", svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda m: m[0] if m[1] in used else "", svg)
    svg = re.sub(r' (?:width|height)="[^"]*pt"', "", svg, count=2)  # the page says how large
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip()
