"""What minutes buy for a person's own function, by its rehearsal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.guests import guest_spec, rehearsed
from whichopt.service.errors import BudgetTooShort
from whichopt.service.planning.guest_minutes import (
    bought,
    budget_lines,
    least,
    plan_guest_minutes,
    trial_seconds,
)
from whichopt.service.spec import ResolvedSpec

MINUTES: dict[str, Any] = {"minutes": 60, "replicates": 3, "epochs": 10, "confirm_seeds": 10}


def timed(*, epoch: float = 2.0, fixed: float = 1.0, slower: float = 1.0, **budget: Any) -> ResolvedSpec:
    spec = guest_spec(budget={**MINUTES, **budget})
    assert spec.guest is not None
    seconds = {label: epoch * (slower if label == "sgd" else 1.0) for label in spec.labels}
    known = rehearsed(spec, epoch_seconds=seconds, fixed_seconds=dict.fromkeys(spec.labels, fixed))
    return spec.model_copy(update={"workload": spec.guest.with_rehearsal(known)})


def used(spec: ResolvedSpec) -> float:
    """The training minutes of a plan, if nothing is pruned but as its share says."""
    plan = spec.budget.settled
    assert plan is not None
    search = plan.search_seconds * len(spec.labels)
    confirm = spec.budget.confirm_seeds * (spec.budget.replicates + 1) * sum(plan.trial_seconds.values())
    return (search + confirm) / (60 * plan.processes)


def test_a_trial_is_its_epochs_and_what_lies_beside_them() -> None:
    spec = timed(epoch=2, fixed=3, slower=2)
    assert spec.guest is not None
    assert spec.guest.rehearsed is not None
    assert trial_seconds(spec, spec.guest.rehearsed) == {"adamw": 23.0, "sgd": 43.0}


@pytest.mark.parametrize("processes", [1, 4])
def test_minutes_become_trials_of_equal_seconds(processes: int) -> None:
    spec = plan_guest_minutes(timed(slower=2), processes=processes)
    plan = spec.budget.settled
    assert plan is not None
    assert plan.processes == processes
    assert plan.trials["adamw"] > 1.5 * plan.trials["sgd"]
    assert all(count % 3 == 0 for count in plan.trials.values())
    assert 0.75 * 60 < used(spec) < 1.25 * 60
    assert plan.step_ms["adamw"] == 2000, "an epoch is what its length is counted in"


def test_more_time_and_more_processes_buy_more() -> None:
    spec = timed()
    few, more, parallel = (
        bought(spec, minutes, processes=processes) for minutes, processes in ((60, 1), (240, 1), (60, 4))
    )
    assert few is not None
    assert more is not None
    assert parallel is not None
    assert few.trials["adamw"] < more.trials["adamw"] == parallel.trials["adamw"]
    assert few.confirm_seeds <= more.confirm_seeds


def test_time_that_is_too_short_for_the_studies_buys_fewer_of_them_or_nothing() -> None:
    spec = timed(epoch=30)
    with pytest.raises(BudgetTooShort):
        plan_guest_minutes(timed(epoch=30, minutes=20), processes=1)
    found = [bought(spec, minutes, processes=1) for minutes in (5, 85, 480)]
    assert [None if one is None else one.replicates for one in found] == [None, 1, 3]
    assert found[1] is not None
    assert found[1].verdicts == "on configs alone"


def test_the_least_can_be_planned_and_less_cannot() -> None:
    spec = timed(epoch=30)
    for replicates in (1, 2, 3):
        one = least(spec, replicates=replicates, processes=2)
        assert one.confirm_seeds == 3
        assert bought(spec, one.minutes * 1.01, processes=2) is not None
    cheapest = least(spec, replicates=1, processes=2)
    assert bought(spec, cheapest.minutes * 0.6, processes=2) is None


def test_the_lines_say_what_time_would_buy() -> None:
    lines = budget_lines(timed(epoch=6), processes=2)
    assert "A trial of 10 epochs takes up to 61 s" in lines[0]
    assert [line.split(":")[0].strip() for line in lines[1:4]] == ["minutes=10", "minutes=60", "minutes=240"]
    assert "on configs alone" in lines[4]
    assert "on configs and on optimizers" in lines[5]
    assert not any("example" in line for line in lines)


def test_a_function_that_was_not_rehearsed_has_no_price() -> None:
    spec = timed()
    assert spec.guest is not None
    unknown = spec.model_copy(update={"workload": spec.guest.model_copy(update={"rehearsed": None})})
    with pytest.raises(ValueError, match="was rehearsed"):
        plan_guest_minutes(unknown, processes=1)
