"""Draws the figures of a report: one color per optimizer, no state, the same bytes for the same data.

matplotlib takes a second to import, so it is asked for on first use; its settings are one for the process, so
one figure is drawn at a time. Text stays text and takes the page's color, so that it can be read aloud,
searched, and read on dark and on light.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#7F7F7F")
"""Told apart by the color blind (Okabe and Ito 2008, without black and yellow, which vanish on dark and on
light; a violet and a gray besides)."""

DASHES = ("solid", (0, (5, 2)), (0, (2, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""A second sign beside the color, for those who see none."""

SHAPES = {
    "o": "M4,0A4,4 0 1 1 -4,0A4,4 0 1 1 4,0Z",
    "s": "M-3.6,-3.6H3.6V3.6H-3.6Z",
    "^": "M0,-4.6L4.6,3.8H-4.6Z",
    "D": "M0,-5L5,0L0,5L-5,0Z",
    "v": "M0,4.6L4.6,-3.8H-4.6Z",
    "P": "M-1.6,-4.6H1.6V-1.6H4.6V1.6H1.6V4.6H-1.6V1.6H-4.6V-1.6H-1.6Z",
    "X": "M-4.2,-2L-2,-4.2L0,-2.2L2,-4.2L4.2,-2L2.2,0L4.2,2L2,4.2L0,2.2L-2,4.2L-4.2,2L-2.2,0Z",
    "*": "M0,-5L1.2,-1.5L4.8,-1.5L1.9,0.6L3,4L0,1.9L-3,4L-1.9,0.6L-4.8,-1.5L-1.2,-1.5Z",
}

WIDTH = 4.0
"""Inches: about a phone's width at the size of its text, so that it is read there without zooming."""

ROW = 0.29
"""Inches that a row of a horizontal figure takes."""

INK = "#0a0b0c"
"""Stands for the page's own text color, which takes its place in the end."""

FAINT = "#8a8f94"
"""For what is not the point: readable on dark and on light."""

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "whichopt",
    "font.family": "sans-serif",
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "legend.frameon": False,
    **{f"{part}.facecolor": "none" for part in ("figure", "axes", "savefig")},
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}
_LOCK = threading.Lock()
_SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Figure:
    """A drawing as inline SVG; `alt` says in words what it shows."""

    name: str
    title: str
    caption: str
    alt: str
    svg: str


@dataclass(frozen=True)
class LineStyle:
    """The style of an optimizer in every figure."""

    color: str
    dash: Any
    marker: str

    @property
    def dashes(self) -> str:
        """Return the dashes as SVG has them; empty if the line is solid."""
        return "" if self.dash == "solid" else " ".join(str(length) for length in self.dash[1])

    @property
    def shape(self) -> str:
        """The marker as an SVG path around the origin."""
        return SHAPES[self.marker]

    @property
    def line(self) -> dict[str, Any]:
        return {"color": self.color, "linestyle": self.dash}


def line_styles(labels: Sequence[str]) -> dict[str, LineStyle]:
    """By the order of the spec: colors come round after 8, and dashes tell those of one color apart."""
    return {
        label: LineStyle(
            color=COLORS[i % len(COLORS)],
            dash=DASHES[i // len(COLORS) % len(DASHES)],
            marker=MARKERS[i % len(MARKERS)],
        )
        for i, label in enumerate(labels)
    }


def render(
    name: str,
    draw: Callable[[Axes], None],
    *,
    title: str,
    caption: str,
    alt: str,
    height: float = 2.9,
    width: float = WIDTH,
) -> Figure:
    """The figure that `draw` makes on empty axes of that size in inches."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    file = io.StringIO()
    with _LOCK, rc_context(_SETTINGS):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        draw(canvas.add_subplot())
        # As savefig does, but for a first drawing on nothing that would double the time.
        backend: Any = FigureCanvasSVG(canvas)
        backend.print_svg(file, metadata={"Date": None, "Creator": None})
    return Figure(name=name, title=title, caption=caption, alt=alt, svg=_inline(file.getvalue(), name, alt))


def label_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Give each row of a horizontal figure its optimizer's label, the first one on top."""
    axes.set_yticks(range(len(labels)), [short(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def rows_height(rows: int) -> float:
    """Return the height of a figure with that many rows, in inches."""
    return 0.75 + ROW * rows


def short(label: str, most: int = 16) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def spread_over_decades(values: Sequence[float]) -> bool:
    """Tell if values are better shown on a log scale."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > 6


def plain_log(axis: Any) -> None:
    """Ticks of a log axis as plain numbers, few enough to be read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if _decades(axis) < 1.7 else (1,), numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    axis.set_minor_locator(NullLocator())


def _plain(value: float) -> str:
    """Return the number as short as it is clear: 0.01 and 1e-3, not 1e-03."""
    mantissa, e, power = (f"{value:.0e}" if 0 < value < 0.01 else f"{value:g}").partition("e")
    return f"{mantissa}{e}{int(power)}" if e else mantissa


def _decades(axis: Any) -> float:
    from math import log10

    low, high = sorted(axis.get_view_interval())
    return log10(high / low) if low > 0 else 9.0


def _inline(text: str, name: str, alt: str) -> str:
    """matplotlib's SVG as part of a page: no ids but its own, no addresses, the page's color for ink."""
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style", f"{_SVG}title"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        for key in list(element.attrib):
            value = element.attrib.pop(key)
            if key == "id" and not value[1:].isalnum() and element.tag == "g":
                continue  # names of groups, which nothing refers to
            key = key.rpartition("}")[2]
            if key == "id":
                value = f"{name}-{value}"
            value = re.sub(r"url\(#", f"url(#{name}-", value)
            if key == "href":
                value = f"#{name}-{value.removeprefix('#')}"
            element.set(key, value.replace(INK, "currentColor"))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", alt)
    return ElementTree.tostring(root, encoding="unicode")
