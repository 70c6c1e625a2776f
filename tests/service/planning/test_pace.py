"""Jobs that are given minutes: what these come to, equal seconds, an end in time; on made-up machines."""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from whichopt.service.errors import BudgetTooShort
from whichopt.service.planning.finalists import finalists
from whichopt.service.planning.looks import later_seeds, planned_looks
from whichopt.service.planning.minutes import FEWEST_TRIALS, LATER_SHARE, plan_minutes
from whichopt.service.planning.rounds import next_round
from whichopt.service.space import Config
from whichopt.service.spec import JobSpec, ResolvedOptimizer, ResolvedSpec, resolve
from whichopt.service.states import Origin, Phase, TrialState
from whichopt.service.trials import Point, Trial, TrialPlan, TrialResult

LABELS = ("adabelief", "adamw", "sgd")
SECONDS = {"adabelief": 2.0, "adamw": 1.6, "sgd": 1.0}
"""Of a whole trial, as the probe found it."""

WITHIN = 0.15


def suggest(
    spec: ResolvedSpec,
    chosen: ResolvedOptimizer,
    earlier: Sequence[Trial],
    replicate: int,
    numbers: range,
    *,
    startup: int,
) -> list[tuple[Config, Origin]]:
    """Suggest configs at random: what a sampler would ask for is no matter here, and takes its time."""
    del earlier, startup
    chance = [random.Random(f"{spec.seed} {chosen.label} {replicate} {number}") for number in numbers]
    return [({**chosen.default, "lr": 10 ** each.uniform(-4, 0)}, Origin.RANDOM) for each in chance]


def spec_of(minutes: float = 10, **budget: Any) -> ResolvedSpec:
    return resolve(
        JobSpec.model_validate(
            {
                "workload": {"dataset": {"name": "digits"}, "model": {"name": "linear"}},
                "optimizers": list(LABELS),
                "budget": {"minutes": minutes, "epochs": 8, **budget},
            }
        )
    )


def with_plan(spec: ResolvedSpec, seconds: Mapping[str, float] = SECONDS, processes: int = 2) -> ResolvedSpec:
    steps = {label: second / 100 for label, second in seconds.items()}
    return plan_minutes(spec, step_seconds=steps, trial_seconds=seconds, processes=processes)


@dataclass
class Machine:
    """Trains in made-up seconds: `slower` than the probe thought, with some noise, and `between` seconds for
    each round that no trial is charged with. `apart` is how far the configs' values lie apart."""

    processes: int = 2
    slower: float = 1.0
    between: float = 0.2
    noise: float = 0.1
    apart: float = 0.0

    def job(self, spec: ResolvedSpec) -> tuple[list[Trial], float]:
        """The job's trials, and when it ended."""
        spec = spec.with_executor("stacked")
        trials: list[Trial] = []
        now, last = 0.0, None
        while planned := next_round(spec, trials, suggest, workers=self.processes, elapsed_s=last):
            assert len(trials) < 20_000
            free = [now + self.between] * self.processes
            for cohort in planned.cohorts:
                start = heapq.heappop(free)
                for plan in cohort:
                    found = self.train(plan)
                    start += found.seconds
                    trials.append(Trial(plan=plan, state=found.state, result=found))
                heapq.heappush(free, start)
            now = last = max(free)
        return trials, now

    def train(self, plan: TrialPlan) -> TrialResult:
        chance = random.Random(str((plan.label, plan.phase, plan.replicate, plan.number, plan.config)))
        lr = math.log10(float(plan.config["lr"]))
        place = (*LABELS, "today").index(plan.label)
        value = abs(lr + 2) / 10 + self.apart * place + 0.05 * chance.random()
        curve = [Point(i + 1, seen, value) for i, seen in enumerate(plan.evaluations)]
        state: Any = TrialState.COMPLETE
        for rung in plan.rungs:
            if value > rung.threshold and state is TrialState.COMPLETE:
                state, curve = TrialState.PRUNED, [p for p in curve if p.examples <= rung.examples]
        share = curve[-1].examples / plan.length
        seconds = (
            SECONDS.get(plan.label, 1.6) * self.slower * share * (1 + self.noise * (2 * chance.random() - 1))
        )
        return TrialResult(
            state=state,
            value=value if state is TrialState.COMPLETE else None,
            metrics={"validation": {"nll": value}},
            curves={"validation.nll": curve},
            reference={"nll": 9.0} if plan.phase is Phase.CONFIRM else None,
            steps=curve[-1].step,
            examples=curve[-1].examples,
            seconds=seconds,
        )


def seconds_of(trials: list[Trial], phase: Phase) -> dict[str, float]:
    used: dict[str, float] = defaultdict(float)
    for trial in trials:
        assert trial.result is not None
        if trial.plan.phase is phase:
            used[trial.plan.label] += trial.result.seconds
    return used


def test_slower_steps_get_fewer_trials_and_as_many_seconds() -> None:
    spec = with_plan(spec_of())
    found = spec.budget.settled
    assert found is not None
    times = [found.trials[label] * SECONDS[label] for label in LABELS]
    # One trial more or less in each study is what rounding may make of it.
    assert max(times) - min(times) <= 3 * max(SECONDS.values())
    assert found.trials["sgd"] > found.trials["adamw"] > found.trials["adabelief"]
    assert all(count % 3 == 0 for count in found.trials.values())
    assert found.step_ms["sgd"] == pytest.approx(10)


def test_a_planned_spec_is_a_spec_that_resolves_to_itself() -> None:
    once = with_plan(spec_of(4, confirm_seeds=100))
    assert once.budget.settled is not None
    assert once.budget.settled.confirm_seeds_asked == 100 > once.budget.confirm_seeds
    assert resolve(JobSpec.model_validate_json(once.model_dump_json())) == once


@pytest.mark.parametrize("minutes", [4, 12, 40, 240])
def test_what_comes_after_the_first_stage_of_confirm_is_a_small_share(minutes: float) -> None:
    spec = with_plan(spec_of(minutes, confirm_seeds=100))
    seeds = spec.budget.confirm_seeds
    a_seed = 4 * sum(SECONDS.values()) / 2
    assert later_seeds(spec, seeds) * a_seed <= LATER_SHARE * 60 * minutes
    assert seeds * a_seed <= 0.4 * 60 * minutes or seeds == 3


@pytest.mark.parametrize("apart", [0.0, 0.5])
@pytest.mark.parametrize("slower", [0.6, 1.0, 1.7])
@pytest.mark.parametrize(("minutes", "processes"), [(4, 2), (6, 1)])
def test_a_job_ends_in_time_though_the_probe_was_wrong(
    minutes: float, processes: int, slower: float, apart: float
) -> None:
    """By a factor of 1.7; whether confirm runs to its last seed or stops early."""
    spec = with_plan(spec_of(minutes), processes=processes)
    trials, ended = Machine(processes=processes, slower=slower, apart=apart).job(spec)
    assert abs(ended / (60 * minutes) - 1) <= WITHIN, ended
    used = seconds_of(trials, Phase.SEARCH)
    # Studies are equal, so what is left over is less than a trial in each of them; and the last round cannot
    # know how many of its own trials will be pruned.
    ways = 3 * slower * max(SECONDS.values()) + 0.05 * max(used.values())
    assert max(used.values()) - min(used.values()) <= ways
    counts = Counter((t.plan.label, t.plan.replicate) for t in trials if t.plan.phase is Phase.SEARCH)
    for label in LABELS:
        assert len({counts[label, replicate] for replicate in range(3)}) == 1, "equal studies"


def test_a_job_whose_outcome_is_clear_stops_early_and_still_ends_in_time() -> None:
    spec = with_plan(spec_of(6))
    trials, ended = Machine(apart=0.5).job(spec)
    seeds = {t.plan.number for t in trials if t.plan.phase is Phase.CONFIRM}
    planned = planned_looks(spec, len(finalists(spec, trials)))
    assert len(seeds) == planned[1] < planned[-1], "the first look at the champions"
    assert abs(ended / 360 - 1) <= WITHIN


def test_rounds_are_a_pure_function_of_what_is_recorded() -> None:
    spec = with_plan(spec_of(4))
    assert Machine().job(spec) == Machine().job(spec)


def test_without_a_clock_the_processes_are_taken_to_be_busy() -> None:
    """As in a REPL, which has recorded seconds alone."""
    spec = with_plan(spec_of(4))
    trials: list[Trial] = []
    machine = Machine()
    while planned := next_round(spec, trials, suggest):
        for plan in (plan for cohort in planned.cohorts for plan in cohort):
            found = machine.train(plan)
            trials.append(Trial(plan=plan, state=found.state, result=found))
    used = sum(seconds_of(trials, phase)[label] for phase in Phase for label in LABELS)
    assert abs(used / (2 * 240) - 1) <= WITHIN


def test_a_failed_clock_does_not_keep_a_job_from_confirming() -> None:
    """The service was away for an hour: the search ends, and confirm has its first stage."""
    spec = with_plan(spec_of(4))
    first = next_round(spec, [], suggest)
    assert first is not None
    machine = Machine()
    trials = []
    for plan in (plan for cohort in first.cohorts for plan in cohort):
        found = machine.train(plan)
        trials.append(Trial(plan=plan, state=found.state, result=found))
    late = next_round(spec, trials, suggest, elapsed_s=3600)
    assert late is not None
    plans = [plan for cohort in late.cohorts for plan in cohort]
    assert {plan.phase for plan in plans} == {Phase.CONFIRM}
    arms = len(finalists(spec, trials))
    assert len(plans) == arms * planned_looks(spec, arms)[0]
    for plan in plans:
        found = machine.train(plan)
        trials.append(Trial(plan=plan, state=found.state, result=found))
    assert next_round(spec, trials, suggest, elapsed_s=3610) is None


def test_too_few_minutes_are_refused_with_how_many_it_takes() -> None:
    with pytest.raises(BudgetTooShort) as refused:
        with_plan(spec_of(0.4))
    least = float(str(refused.value.allowed).split()[1])
    assert refused.value.field == "budget.minutes"
    assert f"{least:.2g} minutes" in refused.value.detail
    counts = with_plan(spec_of(1.1 * least)).budget.settled
    assert counts is not None
    assert min(counts.trials.values()) >= FEWEST_TRIALS * 3


def test_very_cheap_trials_stop_at_the_most_that_a_job_may_have() -> None:
    cheap = dict.fromkeys(LABELS, 1e-3)
    found = with_plan(spec_of(60), cheap).budget.settled
    assert found is not None
    assert set(found.trials.values()) == {3000}


def test_todays_config_has_its_share_of_the_minutes() -> None:
    """It trains on every fresh seed, so the search has less, and the job ends in time all the same."""
    plain = spec_of(10)
    today = {"name": "adamw", "config": {"lr": 3e-4}}
    body = {**plain.model_dump(mode="json"), "today": today}
    spec = resolve(JobSpec.model_validate(body))
    without, planned = with_plan(plain), with_plan(spec)
    assert planned.budget.settled is not None
    assert without.budget.settled is not None
    assert sum(planned.budget.settled.trials.values()) < sum(without.budget.settled.trials.values())
    trials, ended = Machine().job(planned)
    assert any(trial.plan.label == "today" for trial in trials)
    assert ended <= (1 + WITHIN) * 600
