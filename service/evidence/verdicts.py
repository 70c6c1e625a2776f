"""The two verdicts, never mixed: which config to deploy (the unit is a seed), and which optimizer is better
here when tuned with this budget (the unit is a study).

Both ask for a winner in the same way. Of n candidates (configs or optimizers) take the one with the best
mean, b, and test each rival j by a one-sided paired t-test of "j is at least as good as b" at level
alpha / n; b wins if every test rejects.

*A false winner is rarer than alpha.* Let b be any candidate that is not better than all its rivals (under
exact ties, that is every candidate). Then one of the hypotheses that b must reject is true, so b is declared
with probability at most alpha / n, however many rivals it has: an intersection-union test (Berger 1982,
Technometrics 24: 295-300). Which b is put to the test is chosen by the data, so the n choices are added up
(Bonferroni). alpha / (n - 1) would do for "nobody is better" (Hsu 1984, Annals of Statistics 12: 1136-1144),
but calls a winner between two *identical* optimizers in 2 alpha of all jobs.

*The set of equivalents holds the best.* A candidate that nobody surpasses is dropped only if some other b
rejects a true hypothesis, at most n - 1 of them at alpha / n each: a subset selection (Gupta 1965,
Technometrics 7: 225-245).

*The lead is a confidence bound.* The least of the n tests' lower bounds exceeds b's true lead over the best
rival with probability at most alpha / n, by the same argument; so it holds for the b that was selected.

The intervals of single differences claim more: they hold for every pair that could have been shown, since
the data choose both ends. So they are Bonferroni intervals over all pairs (Miller 1981, Simultaneous
Statistical Inference), wider than what a winner needs; one may reach beyond zero beside a winner.

Runs that diverged have no distribution to test. A finalist with such a run cannot be deployed and need not
be beaten; a label whose study chose one cannot win (though a config still has to beat the label's other
finalists). Both verdicts are conditional on which finalists stayed finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.catalog import optimizers
from service.evidence.confirmed import Confirmed
from service.evidence.stats import ALPHA, Estimate, crossed_difference, mean, paired_difference

Verdict = Literal["winner", "tie"]


@dataclass(frozen=True)
class ConfigVerdict:
    """`best` is the arm with the best mean among those that may win, `pick` the arm that is recommended:
    the same, where there is a winner. `lead` bounds the winner's lead over the best rival from below.
    `equivalent` are the labels with an arm that `best` does not beat, its own first."""

    verdict: Verdict
    best: int
    pick: int
    reason: str | None
    equivalent: tuple[str, ...]
    lead: float | None


@dataclass(frozen=True)
class StudyVerdict:
    """As ConfigVerdict, of labels; `differences` are the other labels' study means minus the best one's."""

    verdict: Verdict
    best: str
    equivalent: tuple[str, ...]
    differences: tuple[tuple[str, Estimate], ...]
    lead: float | None


def config_verdict(confirmed: Confirmed) -> ConfigVerdict:
    """Which finalist to deploy: arms are candidates, and the arms of other labels are a candidate's rivals.

    With one label there are no rivals, and so no winner. Where every label is barred nobody wins either.
    """
    arms, means = confirmed.arms, confirmed.means
    unbarred = [i for i in confirmed.finite if arms[i].label not in confirmed.barred]
    best = min(unbarred or confirmed.finite, key=lambda i: means[i])
    rivals = [i for i in confirmed.finite if arms[i].label != arms[best].label]
    tail = ALPHA / len(arms)
    leads = {i: paired_difference(confirmed.losses[i], confirmed.losses[best]) for i in rivals}
    unbeaten = {i for i, lead in leads.items() if not lead.above_zero(tail)}
    others = {arms[i].label for i in unbeaten}
    equivalent = (arms[best].label, *(label for label in ranked(confirmed) if label in others))
    if rivals and not unbeaten and unbarred:
        lead = min(lead.low(tail) for lead in leads.values())
        return ConfigVerdict("winner", best, best, None, equivalent, lead)
    # A label can owe its place among the equivalents to an erratic arm while its best one is beaten.
    candidates = [confirmed.best(label) for label in equivalent]
    pick, reason = _pick(confirmed, [i for i in candidates if i == best or i in unbeaten], bool(unbarred))
    return ConfigVerdict("tie", best, pick, reason, equivalent, None)


def ranked(confirmed: Confirmed) -> list[str]:
    """The labels by the mean of their best arm; those that cannot win come last."""
    return sorted(
        confirmed.labels,
        key=lambda label: (label in confirmed.barred, confirmed.means[confirmed.best(label)]),
    )


def _pick(confirmed: Confirmed, candidates: list[int], unbarred: bool) -> tuple[int, str | None]:
    """Breaks a tie: fewest bytes of state, then the best default, then the order of the catalog; says
    which of them decided. Nothing here depends on timing."""
    names = [entry.name for entry in optimizers.OPTIMIZERS]
    left = [i for i in candidates if not unbarred or confirmed.arms[i].label not in confirmed.barred]
    decided = []
    for rule, rank in (
        (
            "the fewest bytes of state",
            lambda i: optimizers.optimizer(confirmed.arms[i].optimizer).state_bytes,
        ),
        ("the best default", lambda i: confirmed.means[confirmed.default(confirmed.arms[i].label)]),
        ("the order of the catalog", lambda i: names.index(confirmed.arms[i].optimizer)),
        ("the order of the job's optimizers", lambda i: i),
    ):
        least = min(rank(i) for i in left)
        kept = [i for i in left if rank(i) == least]
        if len(kept) < len(left):
            decided.append(rule)
        left = kept
    return left[0], ", then ".join(decided) or None


def study_verdict(confirmed: Confirmed, replicates: int) -> StudyVerdict | None:
    """Which optimizer is better when tuned with this budget: labels are candidates.

    A label's value in a study is the mean over the fresh seeds of the arm that the study chose; the tests
    are paired by replicate and by seed, and count the luck of both (`crossed_difference`). None with one
    replicate, which leaves the luck of the search in the optimizer's merit, and with one label.
    """
    labels = confirmed.labels
    if replicates < 2 or len(labels) < 2:
        return None
    losses = {
        label: [confirmed.losses[confirmed.study(label, r)] for r in range(replicates)] for label in labels
    }
    means = {label: mean([mean(row) for row in losses[label]]) for label in labels}
    unbarred = [label for label in labels if label not in confirmed.barred]
    best = min(unbarred or labels, key=lambda label: means[label])
    differences = tuple(
        (label, crossed_difference(losses[label], losses[best]))
        for label in sorted(labels, key=lambda label: (label in confirmed.barred, means[label]))
        if label != best
    )
    rivals = [(label, lead) for label, lead in differences if not unbarred or label in unbarred]
    tail = ALPHA / len(labels)
    unbeaten = [label for label, lead in rivals if not lead.above_zero(tail)]
    equivalent = (best, *unbeaten)
    if rivals and not unbeaten and unbarred:
        least = min(lead.low(tail) for _, lead in rivals)
        return StudyVerdict("winner", best, equivalent, differences, least)
    return StudyVerdict("tie", best, equivalent, differences, None)
