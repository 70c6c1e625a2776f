"""The colors and the frames that the figures share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

OUR_COLOR, THEIR_COLOR, THIRD_COLOR = "#D55E00", "#0072B2", "#009E73"


def panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Make a figure with `count` axes in a row."""
    figure = Figure((4.6 * count + 1.5, height), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, count, squeeze=False)[0])
    plain(axes)
    return figure, axes


def save(figure: Figure, file: Path) -> None:
    """Write the figure, and make the folder that it goes to."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def plain(axes: Iterable[Axes], *, grid: Literal["both", "x", "y"] = "both") -> None:
    """Draw a light grid behind the data, and no frame above it and to its right."""
    for ax in axes:
        ax.grid(axis=grid, color="0.91", lw=0.5)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
