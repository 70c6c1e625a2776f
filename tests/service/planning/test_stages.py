"""How confirm is planned: every finalist first, then champions, in stages while the outcome is open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from tests.builders.studies import flat, run, spec_of, train
from whichopt.service.planning.looks import planned_looks
from whichopt.service.planning.rounds import ended_early
from whichopt.service.seeds import derive
from whichopt.service.states import Phase
from whichopt.service.trials import Trial, TrialPlan, TrialResult


def apart(by: float) -> Callable[[TrialPlan], TrialResult]:
    """Training runs in which the optimizers' test values lie `by` apart, beside the luck of each run."""

    def train_apart(plan: TrialPlan) -> TrialResult:
        found = train(plan)
        if plan.phase is Phase.SEARCH or found.value is None:
            return found
        luck = derive(0, plan.label, plan.number, str(plan.config)) / 2**31
        order = ["sgd", "adabelief", "lamb"].index(plan.label)  # a tie would pick sgd
        return found.model_copy(update={"value": 1 + by * order + 0.1 * luck})

    return train_apart


def stages(rounds: Sequence[Sequence[Sequence[TrialPlan]]]) -> list[set[int]]:
    """The fresh seeds of each round of confirm; every finalist is run once with each of the first, and every
    champion with each of the others."""
    found: list[set[int]] = []
    for cohorts in rounds:
        plans = [plan for plan in flat(cohorts) if plan.phase is Phase.CONFIRM]
        if plans:
            runs = Counter((plan.label, str(plan.config), plan.number) for plan in plans)
            assert set(runs.values()) == {1}
            numbers = Counter(plan.number for plan in plans)
            assert len(set(numbers.values())) == 1, "all finalists"
            assert not found or set(numbers.values()) == {len({plan.label for plan in plans})}, "champions"
            found.append(set(numbers))
    return found


def test_seeds_are_added_in_stages_and_none_twice_while_the_outcome_is_open() -> None:
    spec = spec_of(trials=6, confirm_seeds=10)
    rounds = run(spec, train=apart(0.05))
    found = stages(rounds)
    arms_of = [{(plan.label, str(plan.config)) for plan in flat(cohorts)} for cohorts in rounds[-4:]]
    ends = planned_looks(spec, len(arms_of[0]))
    assert found == [set(range(start, end)) for start, end in pairwise((0, *ends))]
    assert arms_of[0] > arms_of[1] == arms_of[2] == arms_of[3], "as chosen by the first stage"


def test_a_clear_winner_needs_no_further_stage() -> None:
    spec = spec_of(trials=6, confirm_seeds=10)
    assert len(stages(run(spec, train=apart(5.0)))) == 2, "the first stage, and one look at the champions"


def test_an_accepted_risk_ends_confirm_before_a_winner_is_shown() -> None:
    without, spec = (spec_of(trials=6, confirm_seeds=10, **risk) for risk in ({}, {"risk": 0.1}))
    few, many = (len(stages(run(one, train=apart(0.05)))) for one in (spec, without))
    assert 2 <= few < many


@pytest.mark.parametrize("after", [1, 2])
def test_no_stage_is_begun_once_the_time_is_over(after: int) -> None:
    spec = spec_of(trials=6, confirm_seeds=10)
    whole = run(spec, train=apart(0.05))
    searching = len(whole) - len(stages(whole))
    rounds = run(spec, stop_after=searching + after, train=apart(0.05))
    assert len(stages(rounds)) == after
    plans = flat([cohort for cohorts in rounds for cohort in cohorts])
    trials = [
        Trial(plan=plan, state=found.state, result=found) for plan in plans for found in [apart(0.05)(plan)]
    ]
    assert ended_early(spec, trials)
