"""The figures of `benchmarks.cohort_size`: curves over the size of a cohort, the trials and the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.shared.drawing import OUR_COLOR, THEIR_COLOR, THIRD_COLOR, panels, save

COLORS = (OUR_COLOR, THEIR_COLOR, THIRD_COLOR)
Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Curves by name. A cost is drawn log against log, beside a dashed line that is in proportion."""

    title: str
    x: str
    y: str
    curves: Mapping[str, Curve]
    cost: bool = True


def curves(shown: Sequence[Panel], file: Path) -> None:
    figure, axes = panels(len(shown), height=3.4)
    for ax, panel in zip(axes, shown, strict=True):
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
    save(figure, file)
