"""Figures of the toy functions: paths on contours, the same as an animation, and steps by learning rate."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray
from PIL import Image

from benchmarks.toy_functions.runs import (
    LR,
    MAX_STEPS,
    METHODS,
    PROBLEMS,
    TOLERANCE,
    Point,
    Problem,
    Run,
    Scan,
    best,
)

Range = tuple[float, float]
Corner = Literal["upper left", "upper right", "lower left"]


@dataclass(frozen=True)
class View:
    """How a problem is drawn."""

    title: str
    x: Range
    y: Range
    levels: tuple[float, ...]
    corner: Corner
    """Where there is room for words."""


@dataclass(frozen=True)
class Pen:
    """How a method is drawn: wide lines lie under narrow ones, so that paths which coincide all show."""

    color: str
    marker: str
    width: float


VIEWS = {
    "abs(x) + abs(y)": View(
        "$|x| + |y|$", (-3, 1), (-1.5, 1.5), tuple(np.arange(0, 5, 0.5).tolist()), "upper right"
    ),
    "abs(x + y) + abs(x - y)/10": View(
        r"$|x + y| + \frac{1}{10}|x - y|$",
        (-0.75, 3.25),
        (-2.1, 0.9),
        tuple(np.arange(0, 5, 0.4).tolist()),
        "lower left",
    ),
    "(x + y)^2 + (x - y)^2/10": View(
        r"$(x + y)^2 + \frac{1}{10}(x - y)^2$",
        (-0.75, 3.25),
        (-2.1, 0.9),
        tuple((np.arange(0, 4.5, 0.35) ** 2).tolist()),
        "lower left",
    ),
    "Beale": View("Beale", (-4.8, 4.8), (-3.6, 3.6), tuple(10 ** np.arange(-1, 6.1, 0.5)), "upper left"),
    "Rosenbrock": View("Rosenbrock", (-6, 6), (-5, 4), tuple(10 ** np.arange(-1, 6.1, 0.5)), "upper left"),
    "abs(x)/10 + abs(y)": View(
        r"$\frac{1}{10}|x| + |y|$   ($\beta_1 = \beta_2 = 0.3$)",
        (-1.35, 1.65),
        (-1.75, 0.5),
        tuple(np.arange(0, 2, 0.15).tolist()),
        "lower left",
    ),
}
PENS = {
    "AdaBelief": Pen("#D55E00", "o", 1.3),
    "Adam": Pen("#0072B2", "s", 2.8),
    "SGD": Pen("#009E73", "^", 4.6),
}
GRAYS = ListedColormap([str(level) for level in np.linspace(0.97, 0.80, 64)])


def paths(runs: Sequence[Sequence[Run]], file: Path, dpi: int = 160) -> None:
    """Where each run went, and below it how f fell; a list of runs for each problem, in METHODS' order."""
    longest = max(len(run.values) for of in runs for run in of)
    with _style():
        figure, _ = _canvas(11.6, 9.4, dpi)
        rows = figure.add_gridspec(
            2, 3, left=0.055, right=0.985, top=0.905, bottom=0.055, hspace=0.21, wspace=0.17
        )
        for k, (problem, of) in enumerate(zip(PROBLEMS, runs, strict=True)):
            cell = rows[divmod(k, 3)].subgridspec(2, 1, height_ratios=(2.75, 1), hspace=0.17)
            above, below = figure.add_subplot(cell[0]), figure.add_subplot(cell[1])
            _contours(above, problem)
            for method, run in zip(METHODS, of, strict=True):
                xs, ys = zip(*run.path, strict=True)
                _line(above, method.name, xs, ys)
                _head(above, method.name, run.path[-1])
                _line(below, method.name, range(1, len(xs)), run.values[1:], width=1.4)
            handles = [
                _handle(method.name, _label(method.name, run))
                for method, run in zip(METHODS, of, strict=True)
            ]
            if k == 0:
                handles += _marks()
            above.legend(handles=handles, loc=VIEWS[problem.name].corner)
            below.axhline(TOLERANCE, color="0.3", lw=0.8, ls=(0, (4, 3)))
            _log_log(below)
            below.set(xlim=(1, longest * 1.15), ylim=(TOLERANCE / 4, None))
            below.yaxis.set_major_locator(LogLocator(100))
            if k % 3 == 0:
                above.set_ylabel("$y$")
                below.set_ylabel("$f - f^*$")
            if k >= 3:
                below.set_xlabel("step")
        title = f"Steps until $f - f^* < {TOLERANCE:g}$ at equal learning rates (lr {LR:g})"
        figure.suptitle(title, fontsize=13, y=0.972)
        figure.savefig(file)


def rates(scans: Sequence[Scan], file: Path, dpi: int = 160) -> None:
    """How many steps each learning rate takes: the median over the starts."""
    with _style():
        figure, _ = _canvas(11.6, 6.9, dpi)
        axes = figure.subplots(2, 3, sharex=True, sharey=True)
        figure.subplots_adjust(left=0.06, right=0.985, top=0.87, bottom=0.075, wspace=0.07, hspace=0.2)
        for ax, problem, scan in zip(axes.flat, PROBLEMS, scans, strict=True):
            _log_log(ax)
            ax.set(xlim=(scan.lrs[0] / 2, scan.lrs[-1] * 2), ylim=(10, 2 * MAX_STEPS))
            ax.axvline(LR, color="0.3", lw=0.8, ls=(0, (4, 3)))
            handles = []
            for i, method in enumerate(METHODS):
                color, marker = PENS[method.name].color, PENS[method.name].marker
                steps = scan.first[i].median(-1).values
                ax.plot(scan.lrs, steps, ".-", color=color, lw=1.4, ms=3.5, zorder=4 - i / 10)
                tuned = best(scan.lrs, steps)
                label = f"{method.name}: not reached"
                if tuned.lr is not None:
                    label = f"{method.name}: {tuned.steps:,} steps at {tuned.lr:.2g}"
                    ax.plot(tuned.lr, tuned.steps, marker, color=color, ms=9, mec="white", zorder=6 - i / 10)
                handles.append(_handle(method.name, label))
            ax.legend(handles=handles, loc="best")
            ax.set_title(VIEWS[problem.name].title)
        for ax in axes[:, 0]:
            ax.set_ylabel("steps")
        for ax in axes[1]:
            ax.set_xlabel("learning rate")
        number = scans[0].first.shape[-1]
        title = f"Steps until $f - f^* < {TOLERANCE:g}$ by learning rate, medians of {number} starts"
        figure.suptitle(f"{title} (dashed: {LR:g})", fontsize=13)
        figure.savefig(file)


def film(runs: Sequence[Sequence[Run]], file: Path, frames: int = 84, dpi: int = 96) -> None:
    """The paths as a GIF, in steps that are evenly spaced in the logarithm."""
    longest = max(len(run.values) for of in runs for run in of) - 1
    ticks = np.unique(np.round(np.geomspace(1, longest, frames)).astype(int)).tolist()
    with _style():
        shots = list(_shots(runs, [0, *ticks], dpi))
    colors, counts = np.unique(shots[-1].reshape(-1, 3), axis=0, return_counts=True)
    counts[(colors.min(1) > 247) & (colors.min(1) < 255)] = 0  # or Pillow takes them for white
    palette = Image.new("P", (1, 1))
    palette.putpalette(colors[np.argsort(-counts)[:256]].tobytes())  # the common colors, exactly
    first, *rest = (Image.fromarray(s).quantize(palette=palette, dither=Image.Dither.NONE) for s in shots)
    times = [80] * len(rest) + [1800]
    first.save(file, save_all=True, append_images=rest, duration=times, loop=0, optimize=True)


def _shots(runs: Sequence[Sequence[Run]], ticks: Sequence[int], dpi: int) -> Iterator[NDArray[np.uint8]]:
    """A picture for each tick: the contours are drawn once, and what moves is drawn over them."""
    figure, canvas = _canvas(10.0, 6.7, dpi)
    axes = figure.subplots(2, 3)
    figure.subplots_adjust(left=0.045, right=0.985, top=0.875, bottom=0.1, wspace=0.16, hspace=0.22)
    handles = [_handle(method.name, method.name) for method in METHODS] + _marks()
    figure.legend(handles=handles, loc="lower center", ncols=5, frameon=False, fontsize=10.5)
    counter = figure.text(0.5, 0.945, "", ha="center", fontsize=13)
    lines, marks, heads = [], [], []
    for ax, problem, of in zip(axes.flat, PROBLEMS, runs, strict=True):
        marks += _contours(ax, problem)
        ax.locator_params(nbins=6)
        corner = VIEWS[problem.name].corner
        side, top = ("left" if "left" in corner else "right"), (0.19 if "lower" in corner else 0.92)
        for i, (method, run) in enumerate(zip(METHODS, of, strict=True)):
            lines.append((_line(ax, method.name, [], []), run))
            text = ax.text(0.03 if side == "left" else 0.97, top - 0.075 * i, "", transform=ax.transAxes)
            text.set(color=PENS[method.name].color, ha=side, size=8, weight="bold")
            text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
            heads.append((_head(ax, method.name, problem.start), text, _label(method.name, run), run))
    moving: list[Artist] = [counter, *marks, *(line for line, _ in lines)]
    moving += [artist for head, text, _, _ in heads for artist in (head, text)]
    for artist in moving:
        artist.set_animated(True)
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    for t in ticks:
        canvas.restore_region(background)
        counter.set_text(f"Equal learning rates ({LR:g}): step {t:,}")
        for line, run in lines:
            line.set_data(*zip(*run.path[: t + 1], strict=True))
        for head, text, label, run in heads:
            x, y = run.path[min(t, len(run.path) - 1)]
            head.set_data([x], [y])
            text.set_text(label if t >= len(run.path) - 1 else label.partition(":")[0])
        for artist in sorted(moving, key=Artist.get_zorder):
            figure.draw_artist(artist)
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _style() -> AbstractContextManager[None]:
    return mpl.rc_context(
        {
            "font.size": 9,
            "axes.titlesize": 10.5,
            "axes.linewidth": 0.6,
            "axes.edgecolor": "0.35",
            "xtick.color": "0.25",
            "ytick.color": "0.25",
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            "xtick.major.size": 2.5,
            "ytick.major.size": 2.5,
            "legend.fontsize": 8,
            "legend.framealpha": 0.92,
            "legend.edgecolor": "0.8",
        }
    )


def _canvas(width: float, height: float, dpi: int) -> tuple[Figure, Any]:
    """A figure and its canvas, whose methods have no types."""
    figure = Figure((width, height), dpi=dpi, facecolor="white")
    return figure, FigureCanvasAgg(figure)


def _contours(ax: Axes, problem: Problem) -> list[Line2D]:
    """The function, with marks for its minimum and the start, which are returned."""
    view = VIEWS[problem.name]
    xs = torch.linspace(*view.x, 401, dtype=torch.float64)
    ys = torch.linspace(*view.y, 401, dtype=torch.float64)
    x, y = torch.meshgrid(xs, ys, indexing="xy")
    ranks = np.arange(len(view.levels))  # shades evenly spaced, whatever the levels
    heights = np.interp(problem.f(x, y).numpy(), view.levels, ranks)
    ax.contourf(xs, ys, heights, ranks, cmap=GRAYS, extend="max")
    ax.contour(xs, ys, heights, ranks[1:], colors="0.62", linewidths=0.45)
    ax.set(xlim=view.x, ylim=view.y, title=view.title, aspect="equal")
    marks = _marks()
    for mark, (px, py) in zip(marks, (problem.start, problem.minimum), strict=True):
        mark.set_data([px], [py])
        ax.add_line(mark)
    return marks


def _marks() -> list[Line2D]:
    start = Line2D([], [], ls="", marker="o", ms=7, mfc="white", mec="black", mew=1.2, zorder=6)
    star = Line2D([], [], ls="", marker="*", ms=13, mfc="#F0E442", mec="black", mew=0.9, zorder=5)
    start.set_label("start")
    star.set_label("minimum")
    return [start, star]


def _line(
    ax: Axes, method: str, x: Sequence[float], y: Sequence[float], width: float | None = None
) -> Line2D:
    pen = PENS[method]
    (line,) = ax.plot(x, y, color=pen.color, lw=width or pen.width, zorder=4 - pen.width / 10)
    return line


def _head(ax: Axes, method: str, at: Point) -> Line2D:
    pen = PENS[method]
    (head,) = ax.plot(*at, pen.marker, color=pen.color, ms=8, mec="white", mew=1.0, zorder=7)
    return head


def _handle(method: str, label: str) -> Line2D:
    pen = PENS[method]
    return Line2D([], [], color=pen.color, marker=pen.marker, mec="white", ms=7, lw=1.5, label=label)


def _label(method: str, run: Run) -> str:
    rate = "" if run.lr == LR else f", lr {run.lr:.0e}".replace("e-0", "e-")
    return f"{method}{rate}: " + (f"{run.steps:,}" if run.steps is not None else "not reached")


def _log_log(ax: Axes) -> None:
    ax.set(xscale="log", yscale="log", axisbelow=True)
    ax.grid(color="0.91", lw=0.5)
    ax.spines[["top", "right"]].set_visible(False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
