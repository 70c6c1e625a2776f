"""The two verdicts in plain words, each saying what it is about, so that nobody takes one for the other."""

from __future__ import annotations

from collections.abc import Sequence

from service.evidence.confirmed import Confirmed
from service.evidence.stats import ALPHA, paired_difference
from service.evidence.verdicts import ConfigVerdict, StudyVerdict
from service.spec import ResolvedSpec

_CONFIGS = "This is about configs to deploy, not about optimizers in general."
_OPTIMIZERS = "This is about optimizers tuned with this budget, not about one config."


def config_statement(confirmed: Confirmed, verdict: ConfigVerdict, metric: str) -> str:
    arms, label = confirmed.arms, confirmed.arms[verdict.best].label
    ground = f"on this test split, over {_seeds(confirmed)}"
    kept = " that stayed finite" if any(confirmed.diverged) else ""
    said = []
    if len(confirmed.labels) == 1:
        said.append(f"Only {label} was asked for, so there is no other optimizer to beat.")
        said.append(_against_default(confirmed, verdict.best, metric, ground))
    elif verdict.verdict == "winner":
        said.append(
            f"{label} wins with this config: {ground}, its expected {metric} is better than that of every "
            f"finalist of the other optimizers{kept}, by at least {verdict.lead:.3g} ({_test()})."
        )
    else:
        said.append(
            f"No clear winner: {ground}, {label} has{_of_whom(confirmed)} the best mean {metric}"
            f"{_untold(verdict.equivalent[1:], _test())}."
        )
    if verdict.verdict == "tie" and verdict.reason:
        said.append(f"{arms[verdict.pick].label} is picked by {verdict.reason}.")
    said += _barred(confirmed)
    return " ".join((*said, _CONFIGS))


def _against_default(confirmed: Confirmed, best: int, metric: str, ground: str) -> str:
    """With one label: whether its best config beats its default. Bonferroni over the choices of the best."""
    arm = confirmed.arms[best]
    if arm.is_default:
        return f"Its default has the best mean {metric} of its finalists ({ground})."
    default = confirmed.default(arm.label)
    if confirmed.diverged[default]:
        return "Its default diverged on a fresh seed and is not compared."
    lead = paired_difference(confirmed.losses[default], confirmed.losses[best])
    if lead.above_zero(ALPHA / len(confirmed.arms)):
        return f"Its tuned config has a better expected {metric} than its default {ground} ({_test()})."
    return f"Its tuned config cannot be told from its default {ground} ({_test()})."


def study_statement(
    spec: ResolvedSpec, confirmed: Confirmed, verdict: StudyVerdict | None, metric: str
) -> str:
    budget = spec.budget
    if len(confirmed.labels) == 1:
        return "No verdict on optimizers: only one was asked for."
    if verdict is None:
        return (
            "No verdict on optimizers: with one study each, the luck of a search cannot be told from the "
            "merit of its optimizer. It takes replicates of 2 or more."
        )
    ground = f"tuned {budget.effort}, on this test split, over {_seeds(confirmed)}"
    if verdict.verdict == "winner":
        kept = " whose finalists stayed finite" if confirmed.barred else ""
        said = (
            f"{verdict.best} is the better optimizer here: {ground}, the configs that its studies find have "
            f"a better expected {metric} than those of every other optimizer{kept}, by at least "
            f"{verdict.lead:.3g} ({_test()}, by study and seed)."
        )
    else:
        said = (
            f"No clear winner among the optimizers: {ground}, {verdict.best} has{_of_whom(confirmed)} the "
            f"best mean {metric} over its studies"
            f"{_untold(verdict.equivalent[1:], f'{_test()}, by study and seed')}."
        )
    return " ".join((said, *_barred(confirmed), _OPTIMIZERS))


def _of_whom(confirmed: Confirmed) -> str:
    some = 0 < len(confirmed.barred) < len(confirmed.labels)
    return ", of those that can win," if some else ""


def _untold(labels: Sequence[str], test: str) -> str:
    return f", and {_listed(labels)} cannot be told from it ({test})" if labels else ""


def _barred(confirmed: Confirmed) -> list[str]:
    barred = [label for label in confirmed.labels if label in confirmed.barred]
    if not barred:
        return []
    return [f"{_listed(barred)} cannot win: a finalist diverged on a fresh seed."]


def _test() -> str:
    return f"paired t-tests, family-wise level {ALPHA:g}"


def _seeds(confirmed: Confirmed) -> str:
    count = len(confirmed.seeds)
    return f"{count} fresh seed{'s' if count != 1 else ''}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
