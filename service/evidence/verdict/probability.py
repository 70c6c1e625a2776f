"""The probability of being best, for either question, of a table of confirm results."""

from __future__ import annotations

from whichopt.service.evidence.statistics.estimates import DRAWS, probability_best, study_probability_best
from whichopt.service.evidence.verdict.confirm_table import Confirmed
from whichopt.service.evidence.verdict.winners import study_losses


def config_probabilities(confirmed: Confirmed, *, seed: int, draws: int = DRAWS) -> dict[str, float]:
    """For each label, the probability that one of its finalists has the best expected value of all.

    Of those that can be deployed; a label with none has probability 0.
    """
    finite = confirmed.finite
    found = probability_best(
        [confirmed.losses[i] for i in finite],
        [confirmed.arms[i].label for i in finite],
        seed=seed,
        draws=draws,
    )
    return {label: found.get(label, 0.0) for label in confirmed.labels}


def study_probabilities(confirmed: Confirmed, replicates: int, *, seed: int) -> dict[str, float] | None:
    """For each label, the probability that it is the best optimizer here when tuned with this budget.

    Of those that can win; None if there is no verdict on optimizers.
    """
    labels = confirmed.labels
    if replicates < 2 or len(labels) < 2:
        return None
    losses = study_losses(confirmed, replicates)
    able = [label for label in labels if label not in confirmed.barred] or list(labels)
    found = study_probability_best([losses[label] for label in able], able, seed=seed)
    return {label: found.get(label, 0.0) for label in labels}
