"""The two verdicts, never mixed: which config to deploy (the unit is a seed), and which optimizer is better
here when tuned with this budget (the unit is a study).

Both ask for a winner in the same way: take the candidate with the best mean, b, and test each rival j by a
one-sided t-test of "j is at least as good as b"; b wins if every test rejects. That all must reject makes
the error of one b at most the level of a test, however many rivals it has: an intersection-union test (Berger
1982, Technometrics 24: 295-300). But which b is put to the test is chosen by the data.

*Rules 2: level alpha / 2, whatever the number of candidates.* That "b beats all its rivals" is said of two
different b exclude each other, and for a b that is not the best the hardest test is the one against its
closest rival. So a false winner is about as rare as if these two were alone, when one of two one-sided tests
at alpha / 2 errs. For equal variances this is a theorem of Gutmann and Maymin (1987, Annals of Statistics
15: 456-461), and for any covariance one of Sood (2025, arXiv 2503.01065); both take the covariance as known.
`benchmarks.calibration` checks it with variances that are estimated from few runs. It needs one candidate a
label, so confirm chooses a champion each by its first stage, and judges it by the seeds that follow alone:
the choice needs no correction then. A job that ends before has m candidates a label, and tests at
alpha / (2 m). The error of a difference of champions is at least the one pooled over all finalists of the two
labels in the first stage (`ConfirmTable.pooled_spreads`). Optimizers are compared by the first stage, which
every study's choice has run, unpaired over studies (`estimates.welch_difference`).

*Rules 1: level alpha / n for n candidates.* The n choices of b are added up (Bonferroni). alpha / (n - 1)
would do for "nobody is better" (Hsu 1984, Annals of Statistics 12: 1136-1144), but calls a winner between two
*identical* optimizers in 2 alpha of all jobs.

*The set of equivalents holds the best* by rules 1. A candidate that nobody surpasses is dropped only if some
other b rejects a true hypothesis, at most n - 1 of them at alpha / n each: a subset selection (Gupta 1965,
Technometrics 7: 225-245). By rules 2 it is the set of those that the winner does not beat.

*The lead is a confidence bound.* The least of the tests' lower bounds exceeds b's true lead over the best
rival as rarely as a winner is false, by the same arguments with every rival shifted by the bound.

The intervals of single differences claim more: each holds for the difference to the best one, whichever that
is, and from both sides (`intervals.gaps_to_best`). So one may reach beyond zero beside a winner.

If the runs are skewed, the tests of the config verdict allow for it by rules 1 (`skewness`); by rules 2 the
pooled error does.

If the results are looked at in stages, each level above is the part that the look may spend (`looks`).

Runs that diverged have no distribution to test. A finalist with such a run cannot be deployed and need not
be beaten; a label whose study chose one cannot win (though a config still has to beat the label's other
finalists). Both verdicts are conditional on which finalists stayed finite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from whichopt.service.evidence.statistics.estimates import (
    ALPHA,
    Estimate,
    Spend,
    crossed_difference,
    mean,
    unspent,
    welch_difference,
)
from whichopt.service.evidence.statistics.intervals import Bounds, Gaps, gaps_to_best
from whichopt.service.evidence.statistics.pairwise import (
    PairwiseDifferences,
    all_crossed,
    all_paired,
    all_welch,
)
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.margin import worsened, worsened_rows
from whichopt.service.evidence.verdict.skewness import NOT_SKEWED, skewness_of
from whichopt.service.spec import Margin

Verdict = Literal["winner", "tie"]

Row = Sequence[float]
"""Losses on the fresh seeds."""

Compare = Callable[[int, int], Estimate]
"""The estimate of the difference of two candidates."""


@dataclass(frozen=True)
class ConfigVerdict:
    """`best` is the arm with the best mean among those that may win, `pick` the arm that is recommended:
    the same, if there is a winner. `lead` bounds the winner's lead over the best rival from below.
    `equivalent` are the labels with an arm that `best` does not beat, its own first."""

    verdict: Verdict
    best: int
    pick: int
    reason: str | None
    equivalent: tuple[str, ...]
    lead: float | None


@dataclass(frozen=True)
class ConfigGaps:
    """The bounds of how much worse each arm is than the best; `within` are the labels whose best arm is shown
    to be within the margin of it (none without a margin)."""

    bounds: tuple[Bounds, ...]
    within: tuple[str, ...]


class StudyDifference(NamedTuple):
    """A label's mean over its studies minus the best label's, and how much worse it is than the best one."""

    label: str
    estimate: Estimate
    gap: Bounds


@dataclass(frozen=True)
class StudyVerdict:
    """The same as ConfigVerdict, for labels."""

    verdict: Verdict
    best: str
    equivalent: tuple[str, ...]
    differences: tuple[StudyDifference, ...]
    lead: float | None
    within: tuple[str, ...]


def config_verdict(
    table: ConfirmTable, *, alpha: Spend = unspent, margin: Margin | None = None
) -> ConfigVerdict:
    """Decide which finalist to deploy; a candidate's rivals are the arms of the other labels.

    With one label there are no rivals, and so no winner. If every label is barred, nobody wins either.

    Args:
        alpha: The level of a test at this look.
        margin: A rival is beaten if it is worse by more than this.
    """
    arms, means, losses = table.arms, table.means, table.losses
    unbarred = [i for i in table.finite if arms[i].label not in table.barred]
    best = min(unbarred or table.finite, key=lambda i: means[i])
    rivals = [i for i in table.finite if arms[i].label != arms[best].label]
    tail = alpha(table.config_alpha)
    bar = worsened(losses[best], margin)
    skewness = skewness_of(table) if table.rules < 2 else NOT_SKEWED
    unbeaten = {
        i
        for i in rivals
        if not table.difference(i, best, bar).above_zero(tail, skewness.of_difference(i, best))
    }
    others = {arms[i].label for i in unbeaten}
    equivalent = (arms[best].label, *(label for label in ranked(table) if label in others))
    if rivals and not unbeaten and unbarred:
        lead = min(table.difference(i, best).low(tail, skewness.of_difference(i, best)) for i in rivals)
        return ConfigVerdict("winner", best, best, None, equivalent, lead)
    # A label can owe its place among the equivalents to an erratic arm while its best one is beaten.
    equals = [i for i in map(table.best, equivalent) if i == best or i in unbeaten]
    pick, reason = _pick(table, _near(table, best, bar, equals), bool(unbarred))
    challenger = None if table.today is None else table.challenger
    if challenger is not None and arms[challenger].label in equivalent:
        # What is said of today's config and what is recommended are then about the same one. (But an only
        # optimizer's tuned config may be shown to be worse than its default.)
        alone = len(table.labels) == 1
        if not (alone and table.difference(challenger, best).above_zero(tail)):
            pick = challenger
            reason = None if alone and pick == best else "is what was held against today's config"
    return ConfigVerdict("tie", best, pick, reason, equivalent, None)


def config_gaps(table: ConfirmTable, *, alpha: Spend = unspent, margin: Margin | None = None) -> ConfigGaps:
    """Bound how much worse each arm is than the best that may win (or the best finite one, if none may)."""
    arms, losses = table.arms, table.losses
    unbarred = [i for i in table.finite if arms[i].label not in table.barred]
    candidates = sorted(unbarred or table.finite, key=lambda i: table.means[i])
    gaps = gaps_to_best(_differences(table), candidates, alpha)
    chosen = {label: table.best(label) for label in table.labels}
    within = _within(
        {label: i for label, i in chosen.items() if i in candidates},
        gaps,
        lambda i, k: table.difference(i, k, worsened(losses[k], margin)),
        margin,
    )
    return ConfigGaps(gaps.bounds, within)


def _differences(table: ConfirmTable) -> PairwiseDifferences:
    """The differences of every two arms, with errors that are at least the pooled ones."""
    found = all_paired(table.losses)
    if table.rules < 2:
        return found
    arms = range(len(table.arms))
    import numpy as np

    least = np.asarray([[table.least_error(i, k) for k in arms] for i in arms])
    return found._replace(errors=np.maximum(found.errors, least))


def _within(
    chosen: Mapping[str, int], gaps: Gaps, compare: Compare, margin: Margin | None
) -> tuple[str, ...]:
    """The labels whose chosen candidate is within the margin of whichever is the best one: `compare` has its
    difference to another beyond the margin. The intervals of `gaps` say so; they cost no further level."""
    if margin is None:
        return ()
    return tuple(
        label
        for label, i in chosen.items()
        if all(i == k or compare(i, k).high(gaps.tail) <= 0 for k in gaps.possible)
    )


def ranked(table: ConfirmTable) -> list[str]:
    """The labels by the mean of their best arm; those that cannot win come last."""
    return sorted(
        table.labels,
        key=lambda label: (label in table.barred, table.means[table.best(label)]),
    )


def _near(table: ConfirmTable, best: int, bar: Row, candidates: list[int]) -> list[int]:
    """Return the candidates whose mean is within one standard error of the best mean, worsened by the margin.

    This is the rule of Breiman, Friedman, Olshen and Stone (1984, Classification and Regression Trees,
    section 3.4.3). With few runs, candidates that are probably worse often cannot be distinguished from the
    best; they are not to be picked for their size.
    """
    differences = {i: table.difference(i, best, bar) for i in candidates}
    return [i for i, difference in differences.items() if i == best or difference.mean <= difference.error]


def _pick(table: ConfirmTable, candidates: list[int], unbarred: bool) -> tuple[int, str | None]:
    """Break a tie of those candidates, and say which rule decided. Nothing here depends on timing.

    The rules are: fewest bytes of state, then the best default, then the order of the catalog. In a job with
    a config of today, another one comes first (`config_verdict`).
    """
    ties = [table.ties[arm.label] for arm in table.arms]
    left = [i for i in candidates if not unbarred or table.arms[i].label not in table.barred]
    decided = []
    for rule, rank in (
        ("has the fewest bytes of state", lambda i: ties[i].state_bytes),
        ("has the best default", lambda i: table.default_mean(table.arms[i].label)),
        ("comes first in the catalog", lambda i: ties[i].place),
        ("comes first in the job", lambda i: i),
    ):
        least = min(rank(i) for i in left)
        leaders = [i for i in left if rank(i) == least]
        if len(leaders) < len(left):
            decided.append(rule)
        left = leaders
    return left[0], " and, of those left, ".join(decided) or None


def study_losses(table: ConfirmTable, replicates: int) -> dict[str, list[tuple[float, ...]]]:
    """By label: one row a study, the losses of the arm that it chose on the fresh seeds of every finalist."""
    every = table.finalists
    return {label: [every.losses[every.study(label, r)] for r in range(replicates)] for label in every.labels}


def study_verdict(
    table: ConfirmTable, replicates: int, *, alpha: Spend = unspent, margin: Margin | None = None
) -> StudyVerdict | None:
    """Decide which optimizer is better when tuned with this budget; labels are candidates.

    A label's value in a study is the mean over the fresh seeds of the arm that the study chose; the tests
    count the luck of studies and of seeds. They are paired by seed, and by rules 1 by replicate as well
    (`crossed_difference`). None with one replicate, which leaves the luck of the search in the optimizer's
    merit, and with one label.

    Args:
        alpha: The level of a test at this look.
        margin: A rival is beaten if it is worse by more than this.
    """
    labels = table.labels
    if replicates < 2 or len(labels) < 2:
        return None
    losses = study_losses(table, replicates)
    means = {label: mean([mean(row) for row in losses[label]]) for label in labels}
    unbarred = [label for label in labels if label not in table.barred]
    order = sorted(labels, key=lambda label: (label in table.barred, means[label]))
    best = order[0]
    candidates = [labels.index(label) for label in order if label in unbarred or not unbarred]
    difference, all_differences, level = (
        (crossed_difference, all_crossed, ALPHA / len(labels))
        if table.rules < 2
        else (welch_difference, all_welch, ALPHA / 2)
    )

    def beyond(i: int, k: int) -> Estimate:
        return difference(losses[labels[i]], worsened_rows(losses[labels[k]], margin))

    gaps = gaps_to_best(all_differences([losses[label] for label in labels]), candidates, alpha)
    differences = tuple(
        StudyDifference(label, difference(losses[label], losses[best]), gaps.bounds[labels.index(label)])
        for label in order
        if label != best
    )
    rivals = [label for label in order[1:] if label in unbarred or not unbarred]
    tail = alpha(level)
    unbeaten = [
        label for label in rivals if not beyond(labels.index(label), labels.index(best)).above_zero(tail)
    ]
    within = _within({labels[i]: i for i in candidates}, gaps, beyond, margin)
    if rivals and not unbeaten and unbarred:
        least = min(row.estimate.low(tail) for row in differences if row.label in rivals)
        return StudyVerdict("winner", best, (best,), differences, least, within)
    return StudyVerdict("tie", best, (best, *unbeaten), differences, None, within)
