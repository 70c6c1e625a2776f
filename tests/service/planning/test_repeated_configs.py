"""Each config of a study is trained once: same config and same seeds would give the same run to the bit."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any
from unittest.mock import Mock

import pytest

from tests.builders.studies import flat, plans_of, run, spec_of, train
from whichopt.service.configs import config_key
from whichopt.service.evidence.report.consistency import inconsistencies
from whichopt.service.planning.rounds import next_round
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.states import Phase
from whichopt.service.trials import Trial, TrialPlan
from whichopt.workers import sampler
from whichopt.workers.sampler import suggest

FIXED = {"lr": 0.1, "weight_decay": 0.0, "momentum": 0.9}
SWITCH = {"type": "categorical", "choices": [True, False]}
SPACES: dict[str, tuple[dict[str, Any], int]] = {
    "nothing": ({**FIXED, "nesterov": False}, 1),
    "switch": ({**FIXED, "nesterov": SWITCH}, 2),
    "default outside": (
        {**FIXED, "lr": {"type": "categorical", "choices": [0.1, 0.2]}, "nesterov": SWITCH},
        4,
    ),
    "choices": (
        {**FIXED, "lr": {"type": "categorical", "choices": [0.1, 0.03, 0.01]}, "nesterov": SWITCH},
        6,
    ),
    "whole numbers": ({**FIXED, "lr": {"type": "int", "low": 1, "high": 7}, "nesterov": False}, 7),
    "next to nothing": (
        {**FIXED, "lr": {"type": "float", "low": 0.1, "high": 0.10000000000000003}, "nesterov": False},
        3,
    ),
}


def small(space: dict[str, Any], **budget: Any) -> ResolvedSpec:
    body = {**spec_of(**budget).model_dump(), "optimizers": [{"name": "sgd", "space": space}, "adabelief"]}
    return resolve(JobSpec.model_validate(body))


@pytest.mark.parametrize(("name", "executor"), [*((name, "solo") for name in SPACES), ("nothing", "stacked")])
def test_every_config_is_trained_once_and_no_other_study_has_more_for_it(name: str, executor: str) -> None:
    space, configs = SPACES[name]
    spec = small(space)
    rounds = run(spec, executor=executor)
    studies: dict[tuple[str, int | None], list[TrialPlan]] = defaultdict(list)
    for plan in plans_of(rounds, Phase.SEARCH):
        studies[plan.label, plan.replicate].append(plan)
    for (label, _), plans in studies.items():
        trained = Counter(config_key(plan.config) for plan in plans)
        assert set(trained.values()) == {1}
        assert len(plans) == (min(8, configs) if label == "sgd" else 8) == spec.study_trials_of(label)
        assert [plan.number for plan in plans] == list(range(len(plans)))
        assert plans[0].config == spec.optimizer(label).default
    assert len(studies) == 6
    assert plans_of(rounds, Phase.CONFIRM)
    assert all(flat(cohorts) for cohorts in rounds), "no round is empty"
    assert rounds == run(spec, executor=executor)


def test_a_study_with_little_to_search_changes_nothing_for_the_others() -> None:
    alone = [plan for plan in plans_of(run(spec_of()), Phase.SEARCH) if plan.label == "adabelief"]
    beside = plans_of(run(small(SPACES["switch"][0])), Phase.SEARCH)
    assert [plan for plan in beside if plan.label == "adabelief"] == alone


def test_the_sampler_is_asked_once_a_trial_where_nothing_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that such a job has the trials that it always had."""
    asks = Mock(side_effect=sampler.ask)
    monkeypatch.setattr(sampler, "ask", asks)
    plans = plans_of(run(spec_of()), Phase.SEARCH)
    assert asks.call_count == sum(plan.number > 0 for plan in plans)


def test_a_sampler_that_knows_one_config_only_does_not_hold_a_study_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = small(SPACES["choices"][0])
    real, known = sampler.ask, {"lr": 0.1, "nesterov": True}
    monkeypatch.setattr(
        sampler, "ask", lambda study, space: known if space.keys() == known.keys() else real(study, space)
    )
    plans = [plan for plan in plans_of(run(spec), Phase.SEARCH) if (plan.label, plan.replicate) == ("sgd", 0)]
    assert len({config_key(plan.config) for plan in plans}) == len(plans) == 6


def test_a_job_that_an_earlier_version_began_goes_on_and_stays_consistent() -> None:
    """It trained the one config again and again, and would have gone on to the end of its budget."""
    spec = small(SPACES["nothing"][0])
    begun = next_round(small({}), [], suggest, executor="solo")
    assert begun is not None
    trials = []
    for plan in flat(begun.cohorts):
        config = spec.optimizer(plan.label).default if plan.label == "sgd" else plan.config
        old = plan.model_copy(update={"config": config})
        found = train(old)
        trials.append(Trial(plan=old, state=found.state, result=found))
    assert Counter((t.plan.label, t.plan.replicate) for t in trials)["sgd", 0] == 2
    for _ in range(20):
        planned = next_round(spec, trials, suggest, executor="solo")
        if planned is None:
            break
        for plan in flat(planned.cohorts):
            found = train(plan)
            trials.append(Trial(plan=plan, state=found.state, result=found))
    searched = Counter(t.plan.label for t in trials if t.plan.phase is Phase.SEARCH)
    assert searched == {"sgd": 6, "adabelief": 24}
    said = inconsistencies(spec, trials, cut_short=False)
    assert not [text for text in said if "search trials" in text], said
