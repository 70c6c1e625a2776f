"""Puts the two verdicts into words; each says what it is about, so that nobody takes one for the other.

The tests' level is spent over the looks as Lan and DeMets (1983) do:
`whichopt.service.evidence.verdict.stopping`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from whichopt.service.evidence.statistics.estimates import ALPHA
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.winners import ConfigGaps, ConfigVerdict, StudyVerdict
from whichopt.service.planning.looks import ChampionLook, Look
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.budget import Budget
from whichopt.service.views import OverExamples

FEW_TEST_EXAMPLES = 200
"""Test examples of a person's own dataset below which a statement says how many they are."""

_TO_DEPLOY = "Which config to deploy?"
_TO_TUNE = "Which optimizer to tune?"
_CROSSED = " by study and seed"
_CONFIGS = "This is about configs to deploy, not about optimizers in general."
_OPTIMIZERS = "This is about optimizers tuned with this budget, not about one config."


def config_statement(
    spec: ResolvedSpec,
    table: ConfirmTable,
    verdict: ConfigVerdict,
    gaps: ConfigGaps,
    look: Look,
    over: OverExamples | None = None,
) -> str:
    """Say which config to deploy; `over` is its lead over seeds and examples together, if that is known."""
    arms, label = table.arms, table.arms[verdict.best].label
    metric = spec.goal.metric
    ground = f"{_on(spec, over)}, over {_seeds(look)}"
    among = " that stayed finite" if any(table.diverged) else ""
    rivals = "finalist of the other optimizers" if table.first is None else "other optimizer's champion"
    sentences = [_TO_DEPLOY]
    if len(table.labels) == 1:
        sentences.append(f"{label} is the only optimizer of this job, so there is no other to beat.")
        sentences.append(_against_default(table, verdict.best, verdict.pick, metric, ground, look))
    elif verdict.verdict == "winner":
        sentences.append(
            f"{label} wins with this config: {ground}, its expected {metric} is better than that of every "
            f"{rivals}{among}{_by_margin(spec)}. It leads by at least "
            f"{verdict.lead:.3g} ({_test(look)})."
        )
    else:
        sentences.append(
            f"No clear winner: {ground}, {label} has the best mean {metric}{_of_whom(table)}"
            f"{_untold(verdict.equivalent[1:], spec, _test(look))}."
        )
        sentences += _equivalent(spec, verdict.equivalent, gaps.within)
    if table.first is not None and len(table.labels) > 1:
        sentences.append(
            f"Each optimizer is represented by its champion, the finalist that did best on "
            f"{len(table.first.seeds)} seeds before."
        )
    if verdict.verdict == "tie" and verdict.reason:
        whose = arms[verdict.pick].label if len(table.labels) > 1 else _which(table, verdict.pick)
        sentences.append(f"Tie-break: we picked {whose} because it {verdict.reason}.")
    sentences += _barred(table)
    return " ".join((*sentences, *_new_examples(over), *_held(spec), _CONFIGS))


def none_can_be_told(table: ConfirmTable) -> bool:
    """Tell if a finalist of every optimizer diverged, so that no mean over studies is complete."""
    return len(table.barred) == len(table.labels) and not table.shows_stand_ins


def _which(table: ConfirmTable, arm: int) -> str:
    """Name the config of an only label."""
    return f"its {'default' if table.arms[arm].is_default else 'tuned config'}"


def _against_default(table: ConfirmTable, best: int, pick: int, metric: str, ground: str, look: Look) -> str:
    """Say if the best config of the only label beats its default; Bonferroni over the choices of the best."""
    arm = table.arms[best]
    if arm.is_default:
        told = f"Its default has the best mean {metric} of all its finalists ({ground})"
        if pick == best:
            return f"{told}."
        return f"{told}, and its tuned config cannot be distinguished from it ({_test(look)})."
    default = table.default(arm.label)
    if table.diverged[default]:
        return "Its default diverged on a fresh seed, so it is not compared."
    if table.difference(default, best).above_zero(look.config_level(table.config_alpha)):
        return f"Its tuned config has a better expected {metric} than its default {ground} ({_test(look)})."
    return f"Its tuned config cannot be distinguished from its default {ground} ({_test(look)})."


class Stopped(NamedTuple):
    """The number of trials of an optimizer that count, and if any of them is more than its default."""

    trials: int
    searched: bool


def study_statement(
    spec: ResolvedSpec,
    table: ConfirmTable,
    verdict: StudyVerdict | None,
    look: Look,
    few: Mapping[str, int],
    stopped: Stopped | None = None,
) -> str:
    """Say which optimizer to tune.

    `few` has the labels with fewer trials than the others, because their space has no more configs. `stopped`
    is the part that counts of a search that max_seconds stopped.
    """
    budget, metric = spec.budget, spec.goal.metric
    if len(table.labels) == 1:
        return f"{_TO_TUNE} No verdict on optimizers: the job has only one."
    if verdict is None:
        return (
            f"{_TO_TUNE} No verdict on optimizers: with one study each, a lucky search cannot be "
            "distinguished from a better optimizer. Set replicates to 2 or more."
        )
    if none_can_be_told(table):
        return f"{_TO_TUNE} None can win: every optimizer has a finalist that diverged on a fresh seed."
    ground = f"tuned {_effort(budget, stopped)}{_but(few)}, {_on(spec)}, over {_study_seeds(look)}"
    if verdict.verdict == "winner":
        among = " whose finalists stayed finite" if table.barred else ""
        sentences = [
            f"{verdict.best} is the better optimizer here: {ground}, its studies find configs with a better "
            f"expected {metric} than those of every other optimizer{among}{_by_margin(spec)}. It leads by at "
            f"least {verdict.lead:.3g} ({_study_test(look)})."
        ]
    else:
        sentences = [
            f"No clear winner among the optimizers: {ground}, {verdict.best} has the best mean {metric} over "
            f"its studies{_of_whom(table)}"
            f"{_untold(verdict.equivalent[1:], spec, _study_test(look))}.",
            *_equivalent(spec, verdict.equivalent, verdict.within),
        ]
    return " ".join((_TO_TUNE, *sentences, *_barred(table), _OPTIMIZERS))


def _effort(budget: Budget, stopped: Stopped | None) -> str:
    if stopped is None:
        return budget.effort
    what = f"with {stopped.trials} of {budget.trials} trials each"
    when = "" if stopped.searched else " after the defaults"
    return f"{what} (max_seconds stopped the search{when})"


def _but(few: Mapping[str, int]) -> str:
    spaces = [
        f"{label} with {f'all {n} configs' if n > 1 else 'the only config'} of its space"
        for label, n in few.items()
    ]
    return f" ({_listed(spaces)})" if spaces else ""


def _of_whom(table: ConfirmTable) -> str:
    some = 0 < len(table.barred) < len(table.labels)
    return " among those that can win" if some else ""


def _by_margin(spec: ResolvedSpec) -> str:
    return "" if spec.margin is None else f" by more than the margin of {spec.margin}"


def _untold(labels: Sequence[str], spec: ResolvedSpec, test: str) -> str:
    if not labels:
        return ""
    if spec.margin is None:
        return f", and {_listed(labels)} cannot be distinguished from it ({test})"
    return f", and {_listed(labels)} cannot be shown to be worse{_by_margin(spec)} ({test})"


def _equivalent(spec: ResolvedSpec, equivalent: Sequence[str], within: Sequence[str]) -> list[str]:
    """Say which labels of a tie are shown to be within the margin of the best."""
    shown = [label for label in equivalent if label in within]
    if spec.margin is None or len(equivalent) < 2:
        return []
    if not shown:
        return [f"None of them is shown to be within the margin ({spec.margin}) of the best."]
    return [f"Shown to be within the margin ({spec.margin}) of the best: {_listed(shown)}."]


def _barred(table: ConfirmTable) -> list[str]:
    barred = [label for label in table.labels if label in table.barred]
    if not barred:
        return []
    whose = "one of its finalists" if len(barred) == 1 else "each has a finalist that"
    return [f"{_listed(barred)} cannot win: {whose} diverged on a fresh seed."]


def _test(look: Look, paired: str = "") -> str:
    level = f"paired t-tests{paired}, family-wise level {ALPHA:g}"
    if isinstance(look, ChampionLook):
        looks, number = len(look.planned) - 1, look.index  # the first stage chooses, and tests nothing
        alone = looks == 1 or not look.champions
    else:
        looks, number = len(look.planned), look.index + 1
        alone = looks == 1 or look.seeds < look.planned[0]
    return level if alone else f"{level}, spent over {looks} planned looks; this is look {number}"


def _study_test(look: Look) -> str:
    if isinstance(look, ChampionLook):
        return f"Welch's t-tests over studies and seeds, family-wise level {ALPHA:g}"
    return _test(look, _CROSSED)


def _study_seeds(look: Look) -> str:
    """Optimizers are compared by the first stage, if there are champions."""
    return _counted(min(look.seeds, look.first)) if isinstance(look, ChampionLook) else _seeds(look)


def _on(spec: ResolvedSpec, over: OverExamples | None = None) -> str:
    """Name the test split, or say how many examples it has if the verdict is about these alone.

    If a lead over examples is known, it tells that. Otherwise a person's own data are held to be too few
    below `FEW_TEST_EXAMPLES`.
    """
    if spec.workload.judged_split == "validation":
        return "on the validation split"
    if over is not None and over.holds is not None:
        few, test = not over.holds, over.examples
    else:
        test = spec.sizes.test
        few = spec.workload.upload is not None and test < FEW_TEST_EXAMPLES
    if not few:
        return "on this test split"
    return f"on these {test:,} test examples" if test > 1 else "on this one test example"


def _new_examples(over: OverExamples | None) -> list[str]:
    """Say if the lead that is claimed would hold on other examples."""
    if over is None or over.holds is None:
        return []
    between = f"over seeds and examples together it is {over.low:.3g} to {over.high:.3g}"
    if over.holds:
        return [f"The lead would hold on new examples like these: {between}."]
    return [f"It is not shown that the lead would hold on new examples like these: {between}."]


def _held(spec: ResolvedSpec) -> list[str]:
    """Say who held the test part of a person's own function back, as the verdict rests on it."""
    if spec.guest is None or spec.guest.rehearsed is None:
        return []
    known = spec.guest.rehearsed
    match known.judged_on:
        case "split":
            rows = "" if known.parts is None else f" {known.parts[2]:,} rows"
            return [f"`run.split` held the test part{':' * bool(rows)}{rows} back."]
        case "test":
            return ["The function itself held its test part back."]
        case "validation":
            return [
                "This rests on the validation split, by which the configs were chosen as well, since nobody "
                "held a test part back."
            ]


def _seeds(look: Look) -> str:
    first = look.first if isinstance(look, ChampionLook) and look.champions else 0
    if look.further:
        return f"{look.seeds - first} of at most {look.planned[-1] - first} fresh seeds"
    return _counted(look.seeds - first)


def _counted(seeds: int) -> str:
    return f"{seeds} fresh seed{'s' if seeds != 1 else ''}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
