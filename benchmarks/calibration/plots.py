"""The picture of the calibration: false winners, stated probabilities, and power with the seeds it takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.calibration.chance import Chances
from benchmarks.calibration.run import Tally

EVENTS = {
    "any look config false": ("config, at any look", "o"),
    "any look optimizer false": ("optimizer, at any look", "s"),
    "plain config false": ("plain t-tests", "x"),
}


def plot(tallies: Sequence[Tally], stated: dict[str, Chances], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(16, 7), layout="constrained", width_ratios=(1.5, 1, 1))
    left, middle, right = axes
    names = [tally.world.name for tally in tallies]
    places = list(range(len(names)))[::-1]
    for event, (label, marker) in EVENTS.items():
        left.plot([100 * t.share(event) for t in tallies], places, marker, label=label, alpha=0.8)
    left.axvline(5, color="black", linewidth=0.8, linestyle="--")
    left.set_yticks(places, names, fontsize=7)
    left.set_xlabel("jobs with a false winner, %")
    left.legend(fontsize=8)
    middle.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    for question, chances in stated.items():
        points = chances.bins
        middle.plot([p for p, _, _ in points], [c for _, c, _ in points], "o-", label=question)
    middle.set_xlabel("stated probability of being best")
    middle.set_ylabel("how often it was")
    middle.legend()
    leads = [t for t in tallies if t.world.name == f"lead {t.world.lead:g} sd, strong pairing"]
    for event, label in (
        ("fixed config true", "config, all seeds"),
        ("staged config true", "config, staged"),
        ("fixed optimizer true", "optimizer, all seeds"),
        ("staged optimizer true", "optimizer, staged"),
        ("plain config true", "plain t-tests"),
    ):
        right.plot([t.world.lead for t in leads], [t.share(event) for t in leads], "o-", label=label)
    right.plot(
        [t.world.lead for t in leads],
        [t.run_share for t in leads],
        "k:",
        label="share of seeds used, staged",
    )
    right.set_xlabel("lead of the best, in standard deviations of a run")
    right.set_ylabel("jobs with the right winner")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
