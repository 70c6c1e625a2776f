"""The probability of being best, for either question, of a table of confirm results."""

from __future__ import annotations

from whichopt.service.evidence.statistics.estimates import DRAWS, probability_best, study_probability_best
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.winners import study_losses


def config_probabilities(table: ConfirmTable, *, seed: int, draws: int = DRAWS) -> dict[str, float]:
    """For each label, the probability that one of its finalists has the best expected value of all.

    Of those that can be deployed; a label with none has probability 0.
    """
    finite = table.finite
    probability = probability_best(
        [table.losses[i] for i in finite],
        [table.arms[i].label for i in finite],
        seed=seed,
        draws=draws,
    )
    return {label: probability.get(label, 0.0) for label in table.labels}


def study_probabilities(table: ConfirmTable, replicates: int, *, seed: int) -> dict[str, float] | None:
    """For each label, the probability that it is the best optimizer here when tuned with this budget.

    Of those that can win; None if there is no verdict on optimizers.
    """
    labels = table.labels
    if replicates < 2 or len(labels) < 2:
        return None
    losses = study_losses(table, replicates)
    able = [label for label in labels if label not in table.barred] or list(labels)
    probability = study_probability_best(
        [losses[label] for label in able], able, seed=seed, paired=table.rules < 2
    )
    return {label: probability.get(label, 0.0) for label in labels}
