"""The picture of `benchmarks.regret`: how far each policy's picks are behind the best, and the mean ranks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.regret.runs import Run
from benchmarks.regret.standings import PolicyRank
from benchmarks.shared.drawing import OUR_COLOR, THEIR_COLOR, THIRD_COLOR, plain, save

COLORS = (OUR_COLOR, THEIR_COLOR, THIRD_COLOR, "#CC79A7")
"""By policy, ours first."""


def picture(runs: Sequence[Run], by_policy: Sequence[PolicyRank], file: Path) -> None:
    """Left: each repetition's loss beyond that of its best policy, in percent of it. Right: the ranks."""
    colors = dict(zip([one.policy for one in by_policy], COLORS, strict=True))
    problems = list(dict.fromkeys(run.problem for run in runs))
    figure = Figure((11, 4.2), dpi=150, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(2.4, 1))
    for place, policy in enumerate(colors):
        xs, ys = [], []
        for run in runs:
            if run.policy == policy:
                same = [r.loss for r in runs if (r.problem, r.repeat) == (run.problem, run.repeat)]
                best = min(loss for loss, r in zip(same, _same(runs, run), strict=True) if r.policy in colors)
                xs.append(problems.index(run.problem) + 0.18 * (place - 1.5))
                ys.append(100 * (run.loss - best) / abs(best))
        left.plot(xs, ys, "o", ms=5, alpha=0.75, color=colors[policy], label=policy)
    left.set_yscale("symlog", linthresh=1)
    left.set_ylim(bottom=-0.15)
    left.set_xticks(range(len(problems)), problems)
    left.set(ylabel="percent behind the best of the four", title="Value on unseen examples, at equal seconds")
    figure.legend(loc="outside lower center", ncols=len(colors), fontsize=8, frameon=False)
    for place, one in enumerate(by_policy[::-1]):
        right.plot([one.low, one.high], [place, place], color=colors[one.policy], lw=2)
        right.plot(one.rank, place, "o", ms=8, color=colors[one.policy])
        right.text(one.rank, place + 0.16, f"{one.rank:.2f}", ha="center", fontsize=9)
    right.set_yticks(range(len(by_policy)), [one.policy for one in by_policy[::-1]])
    right.set(
        xlim=(0.9, len(by_policy) + 0.1), ylim=(-0.5, len(by_policy) - 0.4), title="Mean rank, 95% bootstrap"
    )
    plain((left, right))
    save(figure, file)


def _same(runs: Sequence[Run], like: Run) -> list[Run]:
    return [run for run in runs if (run.problem, run.repeat) == (like.problem, like.repeat)]
