"""The part of a snippet that mislabels training examples, as the dataset's option `label_noise` asks."""

from __future__ import annotations

from collections.abc import Sequence

from whichopt.service.catalog.label_noise import NOISE_SEED
from whichopt.service.spec import ResolvedWorkload


def of_stand_ins(workload: ResolvedWorkload, examples: int) -> Sequence[str]:
    """Return the lines that change `targets` of so many made-up examples; none without the option."""
    share, classes = workload.label_noise, workload.shape.outputs
    wrong = round(share * examples)
    if not share:
        return ()
    return (
        f"wrong = torch.randperm({examples})[:{wrong}]  # label_noise={share!r}: these get another class",
        f"targets[wrong] = (targets[wrong] + torch.randint(1, {classes}, ({wrong},))) % {classes}",
    )


def of_own_rows(workload: ResolvedWorkload) -> Sequence[str]:
    """Return the lines that change `labels` of the rows in `train`, as the job does; none without it."""
    share, classes = workload.label_noise, workload.shape.outputs
    if not share:
        return ()
    return (
        f"random = np.random.default_rng({NOISE_SEED})",
        f"draw, step = random.random(len(labels)), random.integers(1, {classes}, len(labels))",
        f"wrong = train[np.argsort(draw[train])[: round({share!r} * len(train))]]",
        "labels = labels.copy()",
        f"labels[wrong] = (labels[wrong] + step[wrong]) % {classes}  # label_noise: these get another class",
    )
