from __future__ import annotations

import random

from tests.builders.trials import confirm, plan_of, search, searched_lr, spec_of, trial_of
from whichopt.service.planning.finalists import finalists, study_bests
from whichopt.service.states import Origin, Phase, TrialState


def test_each_study_brings_its_best_and_each_label_its_default() -> None:
    spec = spec_of("adam", "sgd", trials=6, replicates=2)
    trials = search(
        spec,
        {"adam": [[0.5, 0.3, 0.4], [0.5, 0.6, 0.2]], "sgd": [[0.9, 0.8, 0.7], [0.9, 0.1, 0.2]]},
    )
    arms = finalists(spec, trials)
    assert [(arm.label, arm.replicates, arm.is_default, arm.origin) for arm in arms] == [
        ("adam", (0,), False, Origin.RANDOM),
        ("adam", (1,), False, Origin.RANDOM),
        ("adam", (), True, Origin.DEFAULT),
        ("sgd", (0,), False, Origin.RANDOM),
        ("sgd", (1,), False, Origin.RANDOM),
        ("sgd", (), True, Origin.DEFAULT),
    ]
    assert [arm.config["lr"] for arm in arms[:2]] == [searched_lr(0, 1), searched_lr(1, 2)]
    assert [arm.searched_value for arm in arms] == [0.3, 0.2, None, 0.7, 0.1, None]
    assert [arm.replicate for arm in arms] == [0, 1, None, 0, 1, None]


def test_ties_go_to_the_lowest_number_whatever_the_order_of_the_trials() -> None:
    spec = spec_of("adam", trials=4, replicates=1)
    trials = search(spec, {"adam": [[0.5, 0.3, 0.3, 0.3]]})
    for seed in range(5):
        random.Random(seed).shuffle(trials)
        assert study_bests(spec, trials)["adam", 0].plan.number == 1


def test_only_complete_search_trials_count() -> None:
    spec = spec_of("adam", trials=4, replicates=1)
    trials = search(spec, {"adam": [[0.5, None, 0.4, 0.3]]})
    pruned = trials[3].model_copy(update={"state": TrialState.PRUNED})
    arms = finalists(spec, confirm(spec, [*trials[:3], pruned], lambda *_: 0.0))
    assert arms[0].searched_value == 0.4


def test_the_default_stands_in_for_a_study_without_a_complete_trial() -> None:
    spec = spec_of("adam", trials=4, replicates=2)
    arms = finalists(spec, search(spec, {"adam": [[None, None], [0.5, 0.4]]}))
    assert [(arm.replicates, arm.is_default, arm.searched_value) for arm in arms] == [
        ((0,), True, None),
        ((1,), False, 0.4),
    ]


def test_equal_configs_are_one_arm_that_knows_who_chose_it() -> None:
    spec = spec_of("adam", trials=6, replicates=3)
    arms = finalists(spec, search(spec, {"adam": [[None, None], [0.1, 0.4], [0.2, 0.3]]}))
    assert len(arms) == 1
    assert arms[0].replicates == (0, 1, 2)
    assert arms[0].is_default
    assert arms[0].replicate is None
    assert arms[0].searched_value == 0.1  # of the first study that has one

    config = {**spec.optimizer("adam").default, "lr": 0.02}
    same = [
        trial_of(spec, plan_of(spec, "adam", config, Phase.SEARCH, replicate, 1), 0.1 * (replicate + 1))
        for replicate in range(3)
    ]
    arms = finalists(spec, same)
    assert [(arm.replicates, arm.searched_value) for arm in arms] == [((0, 1, 2), 0.1), ((), None)]


def test_a_label_never_shares_an_arm_with_another_of_the_same_optimizer() -> None:
    spec = spec_of("adam", {"name": "adam", "label": "again"}, trials=1, replicates=1)
    arms = finalists(spec, search(spec, {"adam": [[0.1]], "again": [[0.1]]}))
    assert [(arm.label, arm.optimizer) for arm in arms] == [("adam", "adam"), ("again", "adam")]
    assert arms[0].key != arms[1].key


def test_the_key_survives_json() -> None:
    spec = spec_of("adam", "sgd", "lamb")
    for arm in finalists(spec, []):
        plan = plan_of(spec, arm.label, arm.config, Phase.CONFIRM, None, 0)
        again = type(plan).model_validate_json(plan.model_dump_json())
        assert again.config == arm.config
