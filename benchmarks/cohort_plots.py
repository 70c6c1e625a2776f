"""Figures of `benchmarks.cohort` and `benchmarks.cohort_size`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

OURS, THEIRS, BOUND = "#D55E00", "#0072B2", "0.75"
COLORS = (OURS, THEIRS, "#009E73")
Curve = Sequence[tuple[float, float]]


def bars(seconds: Mapping[str, Mapping[str, float]], titles: Mapping[str, str], file: Path) -> None:
    """`seconds` by workload and row, on a log scale; beside each bar, how many times as fast as (a)."""
    figure, axes = _panels(len(seconds), height=0.45 * len(titles) + 1.3)
    for ax, (workload, rows) in zip(axes, seconds.items(), strict=True):
        names = list(rows)[::-1]
        colors = [{"d": OURS, "e": BOUND}.get(name, THEIRS) for name in names]
        drawn = ax.barh([f"{name}  {titles[name]}" for name in names], [rows[n] for n in names], color=colors)
        words = [
            f"{rows[name]:.3g} s" + (f" ({rows['a'] / rows[name]:.3g}x)" if "a" in rows else "")
            for name in names
        ]
        ax.bar_label(drawn, words, padding=3, fontsize=8)
        ax.set(xscale="log", title=workload, xlabel="seconds for the same trials")
        ax.set_xlim(min(rows.values()) / 2, max(rows.values()) * 12)
    for ax in axes[1:]:
        ax.set_yticklabels([])
    _save(figure, file)


@dataclass(frozen=True)
class Panel:
    """Curves by name. A cost is drawn log against log, beside a dashed line that is in proportion."""

    title: str
    x: str
    y: str
    curves: Mapping[str, Curve]
    cost: bool = True


def curves(panels: Sequence[Panel], file: Path) -> None:
    figure, axes = _panels(len(panels), height=3.4)
    for ax, panel in zip(axes, panels, strict=True):
        for color, (name, points) in zip(COLORS, panel.curves.items(), strict=False):
            xs, ys = zip(*points, strict=True)
            ax.plot(xs, ys, "o-", color=color, ms=4, lw=1.4, label=name)
            if panel.cost:
                ax.plot([xs[0], xs[-1]], [ys[-1] * xs[0] / xs[-1], ys[-1]], color="0.5", lw=0.8, ls="--")
        ax.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
        if panel.cost:
            ax.set(xscale="log", yscale="log")
        else:
            sizes = sorted({x for points in panel.curves.values() for x, _ in points})
            ax.set_xscale("log", base=2)
            ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
            ax.axhline(1, color="0.5", lw=0.8, ls="--")
            ax.set_ylim(bottom=0)
        ax.legend(fontsize=8)
    _save(figure, file)


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure((4.6 * count + 1.5, height), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, count, squeeze=False)[0])
    for ax in axes:
        ax.grid(color="0.91", lw=0.5)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
