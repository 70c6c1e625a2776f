"""The two verdicts in plain words, each saying what it is about, so that nobody takes one for the other.

The tests' level is spent over the looks as Lan and DeMets (1983) do:
`whichopt.service.evidence.verdict.stopping`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from whichopt.service.evidence.statistics.estimates import ALPHA, paired_difference
from whichopt.service.evidence.verdict.confirm_table import Confirmed
from whichopt.service.evidence.verdict.winners import ConfigGaps, ConfigVerdict, StudyVerdict
from whichopt.service.planning.looks import Look
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.budget import Budget

_TO_DEPLOY = "Which config to deploy?"
_TO_TUNE = "Which optimizer to tune?"
_CONFIGS = "This is about configs to deploy, not about optimizers in general."
_OPTIMIZERS = "This is about optimizers tuned with this budget, not about one config."


def config_statement(
    spec: ResolvedSpec, confirmed: Confirmed, verdict: ConfigVerdict, gaps: ConfigGaps, look: Look
) -> str:
    arms, label = confirmed.arms, confirmed.arms[verdict.best].label
    metric = spec.goal.metric
    ground = f"on this test split, over {_seeds(look)}"
    kept = " that stayed finite" if any(confirmed.diverged) else ""
    said = [_TO_DEPLOY]
    if len(confirmed.labels) == 1:
        said.append(f"Only {label} was asked for, so there is no other optimizer to beat.")
        said.append(_against_default(confirmed, verdict.best, metric, ground, look))
    elif verdict.verdict == "winner":
        said.append(
            f"{label} wins with this config: {ground}, its expected {metric} is better than that of every "
            f"finalist of the other optimizers{kept}{_by_margin(spec)}, by at least {verdict.lead:.3g} "
            f"({_test(look)})."
        )
    else:
        said.append(
            f"No clear winner: {ground}, {label} has{_of_whom(confirmed)} the best mean {metric}"
            f"{_untold(verdict.equivalent[1:], spec, _test(look))}."
        )
        said += _equivalent(spec, verdict.equivalent, gaps.within)
    if verdict.verdict == "tie" and verdict.reason:
        said.append(f"{arms[verdict.pick].label} is picked by {verdict.reason}.")
    said += _barred(confirmed)
    return " ".join((*said, _CONFIGS))


def none_can_be_told(confirmed: Confirmed) -> bool:
    """Whether a finalist of every optimizer diverged, so that no mean over studies is one of values."""
    return len(confirmed.barred) == len(confirmed.labels) and not confirmed.shows_stand_ins


def _against_default(confirmed: Confirmed, best: int, metric: str, ground: str, look: Look) -> str:
    """With one label: whether its best config beats its default. Bonferroni over the choices of the best."""
    arm = confirmed.arms[best]
    if arm.is_default:
        return f"Its default has the best mean {metric} of its finalists ({ground})."
    default = confirmed.default(arm.label)
    if confirmed.diverged[default]:
        return "Its default diverged on a fresh seed and is not compared."
    lead = paired_difference(confirmed.losses[default], confirmed.losses[best])
    if lead.above_zero(look.config_level(ALPHA / len(confirmed.arms))):
        return f"Its tuned config has a better expected {metric} than its default {ground} ({_test(look)})."
    return f"Its tuned config cannot be told from its default {ground} ({_test(look)})."


class Stopped(NamedTuple):
    """The trials of an optimizer that count, and whether any is of a config that was searched for."""

    trials: int
    searched: bool


def study_statement(
    spec: ResolvedSpec,
    confirmed: Confirmed,
    verdict: StudyVerdict | None,
    look: Look,
    few: Mapping[str, int],
    stopped: Stopped | None = None,
) -> str:
    """Say which optimizer to tune.

    `few` are the labels with fewer trials than the others, as their space has only so many configs. `stopped`
    is what counts of a search that max_seconds stopped.
    """
    budget, metric = spec.budget, spec.goal.metric
    if len(confirmed.labels) == 1:
        return f"{_TO_TUNE} No verdict on optimizers: only one was asked for."
    if verdict is None:
        return (
            f"{_TO_TUNE} No verdict on optimizers: with one study each, the luck of a search cannot be "
            "told from the merit of its optimizer. It takes replicates of 2 or more."
        )
    if none_can_be_told(confirmed):
        return f"{_TO_TUNE} None can win: a finalist of every optimizer diverged on a fresh seed."
    ground = f"tuned {_effort(budget, stopped)}{_but(few)}, on this test split, over {_seeds(look)}"
    if verdict.verdict == "winner":
        kept = " whose finalists stayed finite" if confirmed.barred else ""
        said = [
            f"{verdict.best} is the better optimizer here: {ground}, the configs that its studies find have "
            f"a better expected {metric} than those of every other optimizer{kept}{_by_margin(spec)}, by at "
            f"least {verdict.lead:.3g} ({_test(look)}, by study and seed)."
        ]
    else:
        said = [
            f"No clear winner among the optimizers: {ground}, {verdict.best} has{_of_whom(confirmed)} the "
            f"best mean {metric} over its studies"
            f"{_untold(verdict.equivalent[1:], spec, f'{_test(look)}, by study and seed')}.",
            *_equivalent(spec, verdict.equivalent, verdict.within),
        ]
    return " ".join((_TO_TUNE, *said, *_barred(confirmed), _OPTIMIZERS))


def _effort(budget: Budget, stopped: Stopped | None) -> str:
    if stopped is None:
        return budget.effort
    what = f"with {stopped.trials} of {budget.trials} trials each"
    return f"{what}{'' if stopped.searched else ', their defaults alone'} (max_seconds stopped the search)"


def _but(few: Mapping[str, int]) -> str:
    said = [f"{label} by the {n} config{'s' if n > 1 else ''} of its space" for label, n in few.items()]
    return f" ({_listed(said)})" if said else ""


def _of_whom(confirmed: Confirmed) -> str:
    some = 0 < len(confirmed.barred) < len(confirmed.labels)
    return ", of those that can win," if some else ""


def _by_margin(spec: ResolvedSpec) -> str:
    return "" if spec.margin is None else f" by more than the margin ({spec.margin})"


def _untold(labels: Sequence[str], spec: ResolvedSpec, test: str) -> str:
    if not labels:
        return ""
    if spec.margin is None:
        return f", and {_listed(labels)} cannot be told from it ({test})"
    return f", and {_listed(labels)} cannot be shown to be worse{_by_margin(spec)} ({test})"


def _equivalent(spec: ResolvedSpec, equivalent: Sequence[str], within: Sequence[str]) -> list[str]:
    """In a tie, what is shown of the margin."""
    shown = [label for label in equivalent if label in within]
    if spec.margin is None or len(equivalent) < 2:
        return []
    if not shown:
        return [f"None is shown to be within the margin ({spec.margin}) of the best."]
    return [f"Shown to be within the margin ({spec.margin}) of the best: {_listed(shown)}."]


def _barred(confirmed: Confirmed) -> list[str]:
    barred = [label for label in confirmed.labels if label in confirmed.barred]
    if not barred:
        return []
    return [f"{_listed(barred)} cannot win: a finalist diverged on a fresh seed."]


def _test(look: Look) -> str:
    level = f"paired t-tests, family-wise level {ALPHA:g}"
    if len(look.planned) == 1 or look.seeds < look.planned[0]:
        return level
    return f"{level}, spent over {len(look.planned)} planned looks of which this is number {look.index + 1}"


def _seeds(look: Look) -> str:
    most = f" of at most {look.planned[-1]}" if look.further else ""
    return f"{look.seeds} fresh seed{'s' if look.seeds != 1 else ''}{most}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
