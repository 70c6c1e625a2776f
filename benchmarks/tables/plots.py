"""The picture of `benchmarks.tables`: how far picks are from the best, and what the verdicts said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from benchmarks.shared.drawing import OUR_COLOR, THEIR_COLOR, THIRD_COLOR, panels, plain, save
from benchmarks.tables.jobs import Outcome
from benchmarks.tables.judge import ITSELF, PICKS, SPLIT, of_kind, verdicts
from benchmarks.tables.published import PublishedTable

COLORS = (OUR_COLOR, THIRD_COLOR, THEIR_COLOR, "0.6")
"""By policy, ours first."""

FALSE_COLOR = "#CC79A7"


def picture(outcomes: Sequence[Outcome], tables: Sequence[PublishedTable], file: Path) -> None:
    """Draw each policy's mean regret by table, and the shares of jobs with right and with false winners."""
    figure, (left, *others) = panels(3, 5.0)
    places = list(range(len(tables)))[::-1]
    competing = of_kind(outcomes, SPLIT)
    for (policy, pick), color in zip(PICKS.items(), COLORS, strict=True):
        means = [
            fmean(table.regret(pick(one)) for one in competing if one.table == table.name) for table in tables
        ]
        left.plot(means, places, "o", ms=6, color=color, label=policy, alpha=0.85)
    left.set_xscale("log")
    left.set_yticks(places, [table.name for table in tables])
    left.set(xlabel="mean regret: 0 is the best config, 1 the median one", title="What is picked")
    left.legend(fontsize=8, frameon=False)
    for axes, kind, title in zip(
        others, (SPLIT, ITSELF), ("Parts compete", "A part against itself"), strict=True
    ):
        found = [
            verdicts(outcomes, [one for one in of_kind(outcomes, kind) if one.table == table.name])
            for table in tables
        ]
        for shift, right, false, name in (
            (0.2, [v.config_right for v in found], [v.config_false for v in found], "config"),
            (-0.2, [v.optimizer_right for v in found], [v.optimizer_false for v in found], "optimizer"),
        ):
            at = [place + shift for place in places]
            shares = [100 * rate.share for rate in right]
            color = OUR_COLOR if name == "config" else THEIR_COLOR
            axes.barh(at, shares, height=0.36, color=color, label=f"{name}: right")
            axes.barh(
                at,
                [100 * rate.share for rate in false],
                left=shares,
                height=0.36,
                color=FALSE_COLOR,
                label="false" if name == "config" else None,
            )
        axes.set_yticks(places, [])
        axes.set(xlim=(0, 100), xlabel="jobs in which a winner was named, %", title=title)
    others[0].legend(fontsize=8, frameon=False)
    plain((left, *others), grid="x")
    save(figure, file)
