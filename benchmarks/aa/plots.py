"""The picture of `benchmarks.aa`: how often each rule names a winner where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.aa.rows import MethodRates
from benchmarks.shared.drawing import OUR_COLOR, THEIR_COLOR, plain, save

ALLOWED = 0.05


def picture(rows: Sequence[MethodRates], methods: Sequence[str], worse: str, file: Path) -> None:
    """A panel for each of `rows`, a bar for each method with its bounds over pools (or over jobs)."""
    names = [*methods, worse]
    figure = Figure((3.4 * len(rows) + 2.5, 0.36 * len(names) + 1.5), dpi=150, facecolor="white")
    figure.set_layout_engine("constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(rows), squeeze=False, sharey=True)[0]
    for ax, row in zip(panels, rows, strict=True):
        rates = [row.rate(name) for name in names[::-1]]
        lows = [rate.low if rate.pool_low is None else rate.pool_low for rate in rates]
        highs = [rate.high if rate.pool_high is None else rate.pool_high for rate in rates]
        shares = [rate.rate for rate in rates]
        reach = [
            [max(0.0, share - low) for share, low in zip(shares, lows, strict=True)],
            [max(0.0, high - share) for share, high in zip(shares, highs, strict=True)],
        ]
        colors = [OUR_COLOR if rate.method.startswith("whichopt") else THEIR_COLOR for rate in rates]
        ax.barh([rate.method for rate in rates], shares, color=colors, height=0.6)
        ax.errorbar(shares, range(len(rates)), xerr=reach, fmt="none", ecolor="0.25", lw=1, capsize=2)
        for at, (share, high) in enumerate(zip(shares, highs, strict=True)):
            ax.text(high + 0.02, at, f"{share:.1%}", va="center", fontsize=8)
        ax.axvline(ALLOWED, color="0.3", lw=0.9, ls="--")
        ax.set(xlim=(0, 1.22), xlabel="jobs in which a winner is named")
        ax.set_title(f"{row.pool}, {row.names} names", fontsize=10)
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
    plain(panels, grid="x")
    figure.suptitle(
        f"One optimizer under several names ({rows[0].replicates} studies each): every winner is false; "
        "dashed: 5%",
        fontsize=10,
    )
    save(figure, file)
