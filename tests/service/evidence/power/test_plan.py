"""The plan of a job: what its figures are, and what they rest on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.guests import guest_spec
from whichopt.service.evidence.power.plan import plan_of
from whichopt.service.past import PastJob, PastJobs, PastSpread
from whichopt.service.planning.looks import planned_looks
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve

NOTHING = PastJobs((), None)


def spec_of(*optimizers: str, **rest: Any) -> ResolvedSpec:
    body = {"workload": {"dataset": "wine", "model": "linear"}, "optimizers": list(optimizers), **rest}
    return resolve(JobSpec.model_validate(body))


BUDGET = {"trials": 12, "replicates": 3, "epochs": 10, "confirm_seeds": 6}


def test_time_comes_from_past_jobs() -> None:
    """Ten microseconds an example of sgd, and twenty of adamw; one job was twice as fast as the mean."""
    spec = spec_of("sgd", "adamw", budget=BUDGET, pruning={"worst": 0.0})
    length = 10 * spec.sizes.train
    slow = PastJob("a", {"sgd": 1.0, "adamw": 2.0}, {"sgd": 100_000, "adamw": 100_000}, clock=0.5)
    plan = plan_of(spec, PastJobs((slow,), None), processes=4)
    assert plan.cost is not None
    assert plan.cost.search == 24
    assert plan.cost.confirm == 48
    assert plan.cost.confirm_least < 48
    assert plan.cost.examples == 72 * length
    assert plan.seconds == pytest.approx((12 * 10e-6 + 12 * 20e-6 + 48 * 15e-6) * length * 0.5)
    assert plan.seconds_low is not None
    assert plan.seconds_high is not None
    assert plan.seconds is not None
    assert plan.seconds_low < plan.seconds <= plan.seconds_high
    assert "job a" in plan.basis[0]
    fast = PastJob("b", {"sgd": 0.5}, {"sgd": 100_000}, clock=0.5)
    both = plan_of(spec, PastJobs((slow, fast), None), processes=4)
    assert both.seconds_low is not None
    assert both.seconds_low < plan.seconds_low
    assert "2 jobs" in both.basis[0]


def test_an_optimizer_that_was_never_there_takes_what_the_others_do() -> None:
    past = PastJobs((PastJob("a", {"sgd": 1.0}, {"sgd": 100_000}, clock=1.0),), None)
    plan = plan_of(spec_of("sgd", "lamb", budget=BUDGET), past, processes=1)
    assert plan.seconds == plan_of(spec_of("sgd", "adam", budget=BUDGET), past, processes=1).seconds
    assert plan.basis[0].endswith("on average: lamb.")


def test_a_probe_tells_the_time_if_nothing_was_trained() -> None:
    past = PastJobs((PastJob("a", {"sgd": 0.001}, {"sgd": 64}, None, is_probe=True),), None)
    one, two = (plan_of(spec_of("sgd", "adam", budget=BUDGET), past, processes=n) for n in (1, 2))
    assert one.seconds is not None
    assert two.seconds == pytest.approx(one.seconds / 2)
    assert "a few steps" in one.basis[0]


def test_without_a_past_there_is_no_time_and_a_reason() -> None:
    plan = plan_of(spec_of("sgd", "adam", budget=BUDGET), NOTHING, processes=2)
    assert (plan.seconds, plan.seconds_low, plan.seconds_high, plan.deviation) == (None,) * 4
    assert plan.basis[0].startswith("Nothing tells how long it takes")
    assert plan.cost is not None
    assert [row.value for row in plan.power.config] == [None] * 4
    assert [row.value for row in plan.budget_for] == [None] * 4


def test_leads_are_in_the_metrics_units_once_a_job_tells_how_values_vary() -> None:
    past = PastJobs((), PastSpread("a", 0.02, 8))
    plan = plan_of(spec_of("sgd", "adam", budget=BUDGET, margin={"absolute": 0.01}), past, processes=1)
    assert [row.value for row in plan.power.config] == [0.02 * row.lead for row in plan.power.config]
    assert plan.deviation == 0.02
    assert any("0.02 nll" in line and "beyond the margin of 0.01" in line for line in plan.basis)


def test_minutes_are_the_time_and_their_trials_follow_from_the_past() -> None:
    spec = spec_of("sgd", "adam", budget={"minutes": 5, "epochs": 10})
    unknown = plan_of(spec, NOTHING, processes=1)
    assert (unknown.seconds, unknown.cost) == (300, None)
    assert unknown.power.config[2].chance > 0.5
    past = PastJobs((PastJob("a", {"sgd": 1.0, "adam": 1.0}, {"sgd": 1e5, "adam": 1e5}, clock=1.0),), None)
    known = plan_of(spec, past, processes=1)
    assert known.cost is not None
    assert known.cost.search > 100
    slow = PastJobs((PastJob("a", {"sgd": 1e4}, {"sgd": 1e3}, clock=1.0),), None)
    assert any(
        "the job would fail: budget.minutes" in line for line in plan_of(spec, slow, processes=1).basis
    )


def test_a_function_tells_its_time_only_by_a_past_job() -> None:
    spec = guest_spec(budget={"trials": 6, "replicates": 2, "epochs": 5, "confirm_seeds": 6})
    unknown = plan_of(spec, NOTHING, processes=1)
    assert unknown.seconds is None
    assert "this function was not trained here yet" in unknown.basis[0]
    assert unknown.unit == "epochs"
    names = {chosen.name: 10.0 for chosen in spec.optimizers}
    past = PastJobs((PastJob("a", dict.fromkeys(names, 20.0), names, clock=1.0),), None)
    known = plan_of(spec, past, processes=1)
    assert known.cost is not None
    assert known.cost.examples == 5 * known.cost.trials
    assert known.seconds_high is not None
    assert known.seconds_high == pytest.approx(2.0 * known.cost.examples)


def test_what_has_no_verdict_has_no_chances() -> None:
    alone = plan_of(spec_of("sgd", budget=BUDGET), NOTHING, processes=1)
    assert (alone.power.config, alone.power.optimizer, alone.budget_for) == ([], [], [])
    assert any("nobody to beat" in line for line in alone.basis)
    one_study = plan_of(spec_of("sgd", "adam", budget={**BUDGET, "replicates": 1}), NOTHING, processes=1)
    assert one_study.power.config
    assert one_study.power.optimizer == []
    assert any("one study" in line for line in one_study.basis)


def test_a_plan_is_a_pure_function_of_the_spec_and_the_past() -> None:
    spec = spec_of("sgd", "adam", "lamb", budget=BUDGET)
    assert plan_of(spec, NOTHING, processes=1) == plan_of(spec, NOTHING, processes=1)


@pytest.mark.parametrize("seeds", [3, 6], ids=["one look", "several looks"])
def test_todays_config_adds_a_run_for_each_fresh_seed(seeds: int) -> None:
    """The least is that of a job which stops at the champions' first look, so today's has fewer runs then."""
    budget = {**BUDGET, "confirm_seeds": seeds}
    spec = spec_of("sgd", budget=budget, today={"name": "adamw"})
    asked = plan_of(spec, NOTHING, processes=1)
    without = plan_of(spec_of("sgd", budget=budget), NOTHING, processes=1)
    looks = planned_looks(spec)
    assert asked.cost is not None
    assert without.cost is not None
    assert asked.cost.confirm - without.cost.confirm == looks[-1]
    assert asked.cost.confirm_least - without.cost.confirm_least == looks[:2][-1]
    assert asked.basis[-1].startswith("Today's config has a run for each fresh seed")
