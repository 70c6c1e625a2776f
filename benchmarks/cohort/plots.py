"""The figure of `benchmarks.cohort`: the seconds of each row as bars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.shared.drawing import OUR_COLOR, THEIR_COLOR, panels, save

BOUND_COLOR = "0.75"


def bars(seconds: Mapping[str, Mapping[str, float]], titles: Mapping[str, str], file: Path) -> None:
    """`seconds` by workload and row, on a log scale; beside each bar, how many times as fast as (a)."""
    figure, axes = panels(len(seconds), height=0.45 * len(titles) + 1.3)
    for ax, (workload, rows) in zip(axes, seconds.items(), strict=True):
        names = list(rows)[::-1]
        colors = [{"d": OUR_COLOR, "e": BOUND_COLOR}.get(name, THEIR_COLOR) for name in names]
        patches = ax.barh(
            [f"{name}  {titles[name]}" for name in names], [rows[n] for n in names], color=colors
        )
        words = [
            f"{rows[name]:.3g} s" + (f" ({rows['a'] / rows[name]:.3g}x)" if "a" in rows else "")
            for name in names
        ]
        ax.bar_label(patches, words, padding=3, fontsize=8)
        ax.set(xscale="log", title=workload, xlabel="seconds for the same trials")
        ax.set_xlim(min(rows.values()) / 2, max(rows.values()) * 12)
    for ax in axes[1:]:
        ax.set_yticklabels([])
    save(figure, file)
