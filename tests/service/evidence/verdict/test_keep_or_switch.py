"""Keep what is run today, or switch: the answers, their words, and what they leave alone."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.builders.present import present
from tests.builders.trials import Confirm, confirm, flat, mirrored, spec_of
from whichopt.service.evidence.report.consistency import inconsistencies
from whichopt.service.evidence.verdict.confirm_table import look_at, read_confirm_table
from whichopt.service.evidence.verdict.keep_or_switch import todays_tail
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.evidence.verdict.stopping import reason_to_stop
from whichopt.service.evidence.verdict.todays_runs import own_trials
from whichopt.service.planning.finalists import Finalist
from whichopt.service.planning.looks import most_runs, planned_looks
from whichopt.service.planning.rounds import next_round
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Origin, Phase
from whichopt.service.trials import Trial
from whichopt.service.views import TodayAnswer
from whichopt.workers.sampler import suggest

MEANS = {"adam": 0.5, "sgd": 0.9}
TODAY = {"name": "adamw", "config": {"lr": 3e-4}}


def noise(arm: Finalist, seed: int) -> float:
    """Small, and different for every arm, study and seed."""
    return 0.01 * math.sin(1 + 7 * seed + 3 * len(arm.label) + 11 * (arm.replicate or 0) + arm.is_default)


def values(today: float, **means: float) -> Confirm:
    of = {**MEANS, **means, "today": today}
    return lambda arm, seed: of[arm.label] + 0.2 * arm.is_default + noise(arm, seed)


def job(
    value: Confirm, *, today: Any = TODAY, seeds: int = 10, **parts: Any
) -> tuple[ResolvedSpec, list[Trial]]:
    spec = spec_of("adam", "sgd", seeds=seeds, rules=2, today=today, **parts)
    return spec, confirm(spec, flat(spec), value)


def answer(value: Confirm, **parts: Any) -> TodayAnswer:
    spec, trials = job(value, **parts)
    return present(recommend("here", spec, trials).today)


# -- the answers ---------------------------------------------------------------------------------------


def test_switch_if_the_winner_is_shown_to_be_better() -> None:
    spec, trials = job(values(today=0.7))
    found = recommend("here", spec, trials)
    told = present(found.today)
    gain = present(told.gain)
    assert (told.answer, told.challenger, told.optimizer) == ("switch", "adam", "adamw")
    assert 0 < present(gain.low) < gain.mean < present(gain.high)
    assert gain.mean == pytest.approx(0.2, abs=0.01)
    assert gain.percent == pytest.approx(100 * 0.2 / 0.7, abs=2)
    assert told.seeds == planned_looks(spec, 8)[-1] - 4
    assert found.statement.startswith(told.sentence)
    assert told.sentence.startswith("Switch from today's adamw to adam")
    assert "95% interval" in told.sentence
    assert f"{told.runs} runs" in told.sentence
    assert told.config == {"lr": 3e-4, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01}


def test_keep_if_todays_is_shown_to_be_better() -> None:
    told = answer(values(today=0.3))
    gain = present(told.gain)
    assert told.answer == "keep"
    assert present(gain.high) < 0
    assert told.sentence.startswith("Keep today's adamw")
    lost = f"a switch would lose {-gain.mean:.3g} or {-present(gain.percent):.3g}%"
    assert f"{lost} (95% interval {-present(gain.high):.3g} to {-present(gain.low):.3g}," in told.sentence


def test_not_distinguishable_if_the_interval_holds_zero() -> None:
    told = answer(values(today=0.5))
    gain = present(told.gain)
    assert told.answer == "not distinguishable"
    assert present(gain.low) < 0 < present(gain.high)
    assert told.sentence.startswith("Not distinguishable: over")


def test_a_gain_below_the_margin_is_a_reason_to_keep() -> None:
    told = answer(values(today=0.53), margin={"absolute": 0.1})
    assert told.answer == "keep"
    assert present(present(told.gain).low) > 0, "the challenger is better, but by too little to matter"
    assert "less than the margin of 0.1" in told.sentence
    assert answer(values(today=0.53)).answer == "switch"
    assert answer(values(today=0.7), margin={"percent": 10}).answer == "switch"


def test_for_a_metric_to_maximize_a_gain_is_more() -> None:
    spec = mirrored(spec_of("adam", "sgd", seeds=10, rules=2, today=TODAY))
    trials = confirm(spec, [*flat(spec)], values(today=0.3, adam=0.9, sgd=0.5))
    told = present(recommend("here", spec, trials).today)
    assert told.answer == "switch"
    assert present(told.gain).mean == pytest.approx(0.6, abs=0.25)


def test_the_challenger_may_be_todays_config_itself() -> None:
    plain = spec_of("adam", "sgd", seeds=10, rules=2)
    lr = flat(plain)[5].plan.config  # what the first study of adam chooses
    arguments = plain.optimizer("adam").facts.arguments(lr)

    def value(arm: Finalist, seed: int) -> float | None:
        mine = arm.label == "today" or arm.config == lr
        return 0.4 + 0.001 * math.sin(seed) if mine else values(0.0)(arm, seed)

    told = answer(value, today={"name": "adam", "config": arguments})
    assert told.answer == "keep"
    gain = present(told.gain)
    assert (gain.mean, gain.low, gain.high) == (0, 0, 0), (
        "the same runs differ in nothing, whatever others do"
    )
    assert "is the same, with the same hyperparameters" in told.sentence


def diverging(*labels: str) -> Confirm:
    return lambda arm, seed: None if arm.label in labels and seed == 5 else values(0.7)(arm, seed)


def test_a_config_that_diverges_is_not_kept_while_another_stays_finite() -> None:
    told = answer(diverging("today"))
    assert (told.answer, told.gain, told.diverged_seeds) == ("switch", None, 1)
    assert "diverged on 1 of" in told.sentence


def test_todays_is_kept_if_nothing_else_can_be_deployed() -> None:
    spec, trials = job(diverging("adam", "sgd"))
    found = recommend("here", spec, trials)
    assert found.verdict == "nothing"
    assert (present(found.today).answer, present(found.today).challenger) == ("keep", None)
    assert found.statement.startswith("Keep today's adamw")
    both = answer(diverging("adam", "sgd", "today"))
    assert both.answer == "not distinguishable"
    assert "neither can be deployed" in both.sentence


# -- the challenger ------------------------------------------------------------------------------------


def test_in_a_tie_the_challenger_was_chosen_before_the_seeds_that_are_tested_and_is_the_pick() -> None:
    """adam leads in the first stage and sgd afterwards; neither is shown to be the better one."""

    def value(arm: Finalist, seed: int) -> float:
        leads = (arm.label == "adam") == (seed < 4)
        wide = 0.2 * math.sin(5 * seed + len(arm.label))
        return (0.7 if arm.label == "today" else 0.5 - 0.01 * leads + 0.3 * arm.is_default) + wide

    spec, trials = job(value)
    found = recommend("here", spec, trials)
    assert found.verdict == "tie"
    assert present(found.today).challenger == found.optimizer == "adam"
    assert found.ranking[0].optimizer == "sgd"
    assert "we picked adam because it is what was held against today's config" in found.statement


def test_without_champions_the_level_is_shared_by_the_finalists() -> None:
    spec, trials = job(values(today=0.7), seeds=3, replicates=1)
    table = read_confirm_table(spec, trials)
    assert table.first is None
    assert todays_tail(table, look_at(spec, table)) == pytest.approx(0.025 / len(table.arms))
    found = recommend("here", spec, trials)
    assert present(found.today).challenger == found.optimizer


def test_of_an_only_optimizer_the_tuned_config_is_the_challenger() -> None:
    spec = spec_of("adam", seeds=10, rules=2, today=TODAY)
    found = recommend("here", spec, confirm(spec, flat(spec), values(today=0.8)))
    told = present(found.today)
    assert (told.answer, told.challenger) == ("switch", "adam")
    assert found.config == told.challenger_config
    assert "no other to beat" in found.statement
    assert "Tie-break" not in found.statement, "its tuned config has the best mean as well"


def default_ahead(lead: float) -> Confirm:
    """The tuned config is better in the first stage, and after it worse than the default by that much."""

    def value(arm: Finalist, seed: int) -> float:
        after = lead if seed >= 4 else -lead
        behind = 0.5 if arm.label == "today" else 0.3 * bool(arm.replicate) - after * arm.is_default
        return 0.5 + behind + noise(arm, seed)

    return value


def test_of_an_only_optimizer_all_that_is_said_is_about_the_config_that_is_recommended() -> None:
    spec = spec_of("adam", seeds=10, rules=2, today=TODAY)
    found = recommend("here", spec, confirm(spec, flat(spec), default_ahead(0.003)))
    told, (row,) = present(found.today), found.ranking
    assert told.answer == "switch"
    assert found.config == told.challenger_config == row.config
    assert row.config != spec.shown("adam", spec.optimizer("adam").default)
    assert found.value == row.value
    assert present(row.difference).mean > 0, "its default did better, by next to nothing"
    assert "Its default has the best mean" in found.statement
    assert "and its tuned config cannot be distinguished from it (" in found.statement
    assert "we picked its tuned config because it is what was held against" in found.statement


def test_of_an_only_optimizer_a_default_that_beats_the_tuned_config_is_recommended() -> None:
    spec = spec_of("adam", seeds=10, rules=2, today=TODAY)
    found = recommend("here", spec, confirm(spec, flat(spec), default_ahead(0.2)))
    told, (row,) = present(found.today), found.ranking
    assert found.config == row.config == spec.shown("adam", spec.optimizer("adam").default)
    assert told.challenger_config != found.config
    assert told.sentence.endswith("The config to deploy below is another one, adam's default.")
    assert "Tie-break" not in found.statement


# -- what it leaves alone ------------------------------------------------------------------------------


def test_the_verdicts_are_as_without_it() -> None:
    spec, trials = job(values(today=0.5))
    plain = spec.model_copy(update={"today": None})
    ours, theirs = recommend("a", spec, trials), recommend("a", plain, own_trials(spec, trials))
    leaves = {"today", "statement", "cost", "stage"}
    assert ours.model_dump(exclude=leaves) == theirs.model_dump(exclude=leaves)
    assert ours.statement == f"{present(ours.today).sentence} {theirs.statement}"
    assert ours.cost.trials == theirs.cost.trials + present(ours.today).runs


def test_confirm_goes_on_until_the_answer_is_settled() -> None:
    """adam wins at the first look; what it gains over today's is not yet told, so more seeds follow."""
    spec, trials = job(values(today=0.5))
    planned = planned_looks(spec, 8)
    early = [t for t in trials if t.plan.phase is Phase.SEARCH or t.plan.number < planned[1]]
    plain = spec.model_copy(update={"today": None})
    assert reason_to_stop(plain, own_trials(spec, early)) == "adam is the clear winner"
    assert reason_to_stop(spec, early) is None
    sure, others = job(values(today=0.7))
    early = [t for t in others if t.plan.phase is Phase.SEARCH or t.plan.number < planned[1]]
    assert "and the answer about today's config is settled" in str(reason_to_stop(sure, early))


def test_it_trains_on_every_fresh_seed_of_every_stage_and_is_never_searched() -> None:
    spec = spec_of("adam", "sgd", seeds=10, rules=2, today=TODAY)
    first = present(next_round(spec, [], suggest))
    assert all(plan.label != "today" for plans in first.cohorts for plan in plans)
    searched = flat(spec)
    stage = present(next_round(spec, searched, suggest))
    todays = [plan for plans in stage.cohorts for plan in plans if plan.label == "today"]
    assert [plan.number for plan in todays] == [0, 1, 2, 3]
    assert {(plan.optimizer, plan.origin, plan.replicate) for plan in todays} == {
        ("adamw", Origin.USER, None)
    }
    later = present(next_round(spec, confirm(spec, searched, values(0.5), seeds=4), suggest))
    assert {plan.label for plans in later.cohorts for plan in plans} == {"adam", "sgd", "today"}
    assert most_runs(spec, 8) == 8 * 10 + planned_looks(spec, 8)[-1]


def test_what_is_amiss_with_its_trials_is_told() -> None:
    spec, trials = job(values(today=0.5))

    def amiss(changed: list[Trial]) -> list[str]:
        return [line for line in inconsistencies(spec, changed, cut_short=False) if "today" in line]

    one = next(i for i, t in enumerate(trials) if t.plan.label == "today" and t.plan.number == 2)
    missing = amiss([*trials[:one], *trials[one + 1 :]])
    assert any("fresh seeds 2 is missing" in line for line in missing)
    assert any("more than once" in line for line in amiss([*trials, trials[one]]))
    config = {**trials[one].plan.config, "lr": 0.5}
    plan = trials[one].plan.model_copy(update={"config": config})
    changed = [*trials[:one], trials[one].model_copy(update={"plan": plan}), *trials[one + 1 :]]
    assert any("its lr is 0.5, but the spec fixes it at 0.0003" in line for line in amiss(changed))
