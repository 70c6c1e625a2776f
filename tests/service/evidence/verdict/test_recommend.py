"""Whole recommendations from invented jobs whose truth is known."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.builders.present import present
from tests.builders.trials import Confirm, Outcome, confirm, flat, mirrored, search, spec_of
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.finalists import Finalist
from whichopt.service.views import Recommendation

MEANS = {"adabelief": 0.1, "adam": 0.5, "sgd": 0.9}


def noise(arm: Finalist, seed: int) -> float:
    """Small, and different for every arm, study and seed."""
    return 0.01 * math.sin(1 + 7 * seed + 3 * len(arm.label) + 11 * (arm.replicate or 0) + arm.is_default)


def by_label(means: dict[str, float], *, default: float = 0.2) -> Confirm:
    return lambda arm, seed: means[arm.label] + default * arm.is_default + noise(arm, seed)


def test_a_clear_winner_in_both_senses() -> None:
    spec = spec_of(*MEANS)
    found = recommend("job", spec, confirm(spec, flat(spec), by_label(MEANS)))
    assert (found.verdict, found.optimizer, found.equivalent) == ("winner", "adabelief", ["adabelief"])
    assert [row.optimizer for row in found.ranking] == ["adabelief", "adam", "sgd"]
    assert (found.metric, found.direction, found.question) == ("nll", "minimize", "config")
    assert found.value == found.ranking[0].value
    assert present(found.probability_best) > 0.999
    assert all(present(present(row.difference).low) > 0 for row in found.ranking[1:])
    first = present(found.ranking[0].difference)
    assert (first.mean, first.low, first.percent, first.effect) == (0.0, 0.0, 0.0, None)
    assert first.high is not None
    assert first.high < 0.05  # another finalist of its own optimizer may be a little better
    assert "on this test split" in found.statement
    assert "5 fresh seeds" in found.statement
    assert "level 0.05" in found.statement
    studies = found.optimizer_verdict
    assert (studies.verdict, studies.optimizer, studies.replicates) == ("winner", "adabelief", 3)
    assert [row.optimizer for row in studies.differences] == ["adam", "sgd"]
    assert "3 studies of 2" in studies.statement
    assert studies.statement != found.statement


def test_the_intervals_are_what_they_say() -> None:
    """9 + 3 arms: means at tail .05 / (2 * 12), differences to any of the arms that may be best, each against
    the 11 others."""
    spec = spec_of(*MEANS)
    trials = confirm(spec, flat(spec), by_label(MEANS))
    found = recommend("job", spec, trials)
    best, second = found.ranking[0], found.ranking[1]
    runs = {
        label: [t.result.value for t in trials if t.result and t.plan.label == label and _is(t, row)]
        for label, row in ((best.optimizer, best), (second.optimizer, second))
    }
    ours, theirs = (np.array(runs[row.optimizer], dtype=float) for row in (best, second))
    assert len(ours) == 5
    reach = -stats.t.ppf(0.05 / 24, 4) * stats.sem(ours)
    assert present(best.value).mean == pytest.approx(ours.mean())
    assert (present(best.value).low, present(best.value).high) == pytest.approx(
        (ours.mean() - reach, ours.mean() + reach)
    )
    assert (present(best.value).level, present(best.value).seeds) == (0.95, 5)
    table = [
        np.array(
            [t.result.value for t in trials if t.result and t.plan.phase == "confirm" and _key(t) == key]
        )
        for key in dict.fromkeys(_key(t) for t in trials if t.plan.phase == "confirm")
    ]
    critical = -stats.t.ppf(0.05 / 22, 4)

    def bounds(a: Any, b: Any) -> tuple[float, float]:
        reach = critical * stats.sem(a - b)
        return (a - b).mean() - reach, (a - b).mean() + reach

    possible = [k for k in table if all(bounds(i, k)[1] >= 0 for i in table if i is not k)]
    assert 1 < len(possible) <= 3  # adabelief's three
    assert present(second.difference).low == pytest.approx(min(bounds(theirs, k)[0] for k in possible))
    assert present(second.difference).high == pytest.approx(max(bounds(theirs, k)[1] for k in possible))
    gap = theirs - ours
    assert present(second.difference).mean == pytest.approx(gap.mean())
    assert present(second.difference).percent == pytest.approx(100 * gap.mean() / ours.mean())
    assert present(second.difference).effect == pytest.approx(gap.mean() / gap.std(ddof=1))
    assert present(second.difference).worse_share == 1


def _key(trial: Any) -> tuple[str, float, int | None]:
    return trial.plan.label, trial.plan.config["lr"], trial.plan.replicate


def _is(trial: Any, row: Any) -> bool:
    return bool(
        trial.plan.phase == "confirm"
        and trial.plan.replicate == row.replicate
        and trial.plan.config["lr"] == row.config["lr"]
    )


def test_the_config_is_in_torchs_own_form() -> None:
    spec = spec_of("qhadam", trials=2, replicates=1)
    found = recommend("job", spec, confirm(spec, flat(spec), by_label({"qhadam": 0.1})))
    assert found.config is not None
    assert list(found.config) == ["lr", "betas", "nus", "eps", "weight_decay"]
    assert found.config["betas"] == [0.995, 0.999]
    assert found.ranking[0].config == found.config


def test_the_ledger_counts_both_phases() -> None:
    spec = spec_of(*MEANS)
    found = recommend("job", spec, confirm(spec, flat(spec), by_label(MEANS)))
    each = 6 + 4 * 5  # trials searched, and finalists on fresh seeds
    for row in found.ranking:
        assert (row.trials, row.steps, row.examples) == (each, 10 * each, 100 * each)
        assert row.seconds == pytest.approx(0.1 * each)
    assert found.cost.model_dump() == pytest.approx(
        {"trials": 3 * each, "steps": 30 * each, "examples": 300 * each, "seconds": 0.3 * each}
    )


def test_ranking_rows_tell_searched_from_confirmed() -> None:
    spec = spec_of("adam", "sgd")
    trials = confirm(spec, flat(spec), by_label(MEANS), validation=lambda arm, _: 0.3 + 0.1 * arm.is_default)
    row = recommend("job", spec, trials).ranking[0]
    assert row.searched_value == 0.6
    assert row.confirmed_validation == pytest.approx(0.3)
    assert present(row.default_value).mean == pytest.approx(0.7, abs=0.02)
    assert row.replicate in (0, 1, 2)


def test_an_exact_tie_is_picked_by_bytes_of_state_then_default_then_catalog() -> None:
    def alike(arm: Finalist, seed: int) -> float:
        return 0.1 * seed + 0.3 * arm.is_default

    spec = spec_of("adam", "adabelief", "sgd")
    found = recommend("job", spec, confirm(spec, flat(spec), alike))
    assert (found.verdict, found.optimizer) == ("tie", "sgd")
    assert set(found.equivalent) == {"adam", "adabelief", "sgd"}
    assert found.optimizer_verdict.verdict == "tie"
    assert [row.probability_best for row in found.ranking] == pytest.approx([1 / 3] * 3)
    assert "fewest bytes of state" in found.statement

    spec = spec_of("adam", "adabelief")
    assert recommend("job", spec, confirm(spec, flat(spec), alike)).optimizer == "adabelief"

    def better_default(arm: Finalist, seed: int) -> float:
        return alike(arm, seed) - 0.1 * (arm.is_default and arm.label == "adam")

    found = recommend("job", spec, confirm(spec, flat(spec), better_default))
    assert found.optimizer == "adam"
    assert "best default" in found.statement


def test_a_tie_recommends_no_config_that_is_beaten() -> None:
    """sgd cannot be told from adam only through an erratic arm; its steady best is worse for certain."""

    def value(arm: Finalist, seed: int) -> float:
        if arm.label == "adam":
            return 0.1 + 0.2 * arm.is_default
        return 0.2 if arm.replicate == 0 else 0.5 + 0.6 * (seed % 2)

    spec = spec_of("adam", "sgd", trials=4, replicates=2, seeds=4)
    found = recommend("job", spec, confirm(spec, flat(spec), value))
    assert (found.verdict, found.equivalent, found.optimizer) == ("tie", ["adam", "sgd"], "adam")


def test_constants_differ_for_certain() -> None:
    spec = spec_of("adam", "sgd")
    found = recommend("job", spec, confirm(spec, flat(spec), lambda arm, _: MEANS[arm.label]))
    assert (found.verdict, found.optimizer) == ("winner", "adam")
    assert (present(found.value).low, present(found.value).mean, present(found.value).high) == (0.5, 0.5, 0.5)
    assert present(found.ranking[1].difference).low == pytest.approx(0.4)
    assert found.optimizer_verdict.verdict == "winner"


def test_studies_that_all_chose_the_default_prove_nothing_about_the_optimizer() -> None:
    """Zero-shot jobs: the studies agree to the bit, and differ from others' by the luck of the seeds."""
    spec = spec_of("adam", "sgd", trials=3, replicates=3)
    found = recommend(
        "job",
        spec,
        confirm(spec, flat(spec), lambda arm, seed: 0.01 * (arm.label == "sgd") + noise(arm, seed)),
    )
    assert found.optimizer_verdict.verdict == "tie"
    difference = found.optimizer_verdict.differences[0]
    assert difference.low is not None
    assert difference.low < present(difference.mean)


def test_a_diverged_finalist_scores_as_a_constant_predictor_and_bars_its_optimizer() -> None:
    def value(arm: Finalist, seed: int) -> Outcome:
        broke = arm.label == "adabelief" and arm.replicate == 1 and seed == 2
        return None if broke else by_label(MEANS)(arm, seed)

    spec = spec_of(*MEANS)
    found = recommend("job", spec, confirm(spec, flat(spec), value))
    assert found.verdict == "tie"  # adam is better than sgd, but not than what is left of adabelief
    assert found.optimizer == "adam"
    assert found.ranking[-1].optimizer == "adabelief"
    assert found.ranking[-1].diverged == 1
    assert found.ranking[-1].difference is not None
    assert found.ranking[-1].difference.mean < 0, "of an arm of it that stayed finite"
    assert [row.mean for row in found.optimizer_verdict.differences if row.optimizer == "adabelief"] == [None]
    assert found.optimizer_verdict.equivalent == ["adam"]
    assert found.optimizer_verdict.optimizer == "adam"
    assert "finalist_diverged" in codes(found)
    assert "adabelief cannot win" in found.statement


def test_a_finalist_that_diverged_need_not_be_beaten() -> None:
    """One run at a constant predictor's score makes every t-test hopeless; adabelief wins all the same."""

    def value(arm: Finalist, seed: int) -> Outcome:
        return None if arm.label == "sgd" and seed == 2 else by_label(MEANS)(arm, seed)

    spec = spec_of("adam", "sgd", "adabelief")
    found = recommend("job", spec, confirm(spec, flat(spec), value))
    assert (found.verdict, found.optimizer) == ("winner", "adabelief")
    sgd = found.ranking[-1]
    assert (sgd.optimizer, sgd.diverged, sgd.probability_best) == ("sgd", 4, 0.0)
    assert sgd.confirmed_validation is None
    assert (sgd.value, sgd.difference, sgd.diverged_seeds, sgd.default_diverged_seeds) == (None, None, 1, 1)


def test_the_last_optimizer_left_has_beaten_nobody() -> None:
    spec = spec_of("adam", "sgd")
    trials = confirm(
        spec, flat(spec), lambda arm, seed: None if arm.label == "sgd" else by_label(MEANS)(arm, seed)
    )
    found = recommend("job", spec, trials)
    assert (found.verdict, found.optimizer, found.equivalent) == ("tie", "adam", ["adam"])
    assert found.optimizer_verdict.verdict == "tie"
    assert found.probability_best == 1


def test_where_all_are_barred_one_is_picked_and_none_wins() -> None:
    def value(arm: Finalist, seed: int) -> Outcome:
        return None if arm.replicate == 0 and seed == 0 else by_label(MEANS)(arm, seed)

    spec = spec_of(*MEANS)
    found = recommend("job", spec, confirm(spec, flat(spec), value))
    assert (found.verdict, found.optimizer) == ("tie", "adabelief")
    studies = found.optimizer_verdict
    assert (studies.verdict, studies.optimizer, studies.equivalent) == ("nothing", None, [])
    assert studies.differences == []
    assert "None can win" in studies.statement


def test_a_diverged_default_bars_nobody() -> None:
    def value(arm: Finalist, seed: int) -> Outcome:
        broke = arm.is_default and arm.label == "adabelief" and seed == 1
        return None if broke else by_label(MEANS)(arm, seed)

    spec = spec_of(*MEANS)
    found = recommend("job", spec, confirm(spec, flat(spec), value))
    assert (found.verdict, found.optimizer) == ("winner", "adabelief")
    assert found.ranking[0].diverged == 1
    assert "default_diverged" in codes(found)
    assert "finalist_diverged" not in codes(found)


def test_one_replicate_gives_no_verdict_on_optimizers() -> None:
    spec = spec_of("adam", "sgd", trials=4, replicates=1)
    found = recommend("job", spec, confirm(spec, flat(spec), by_label(MEANS)))
    assert found.verdict == "winner"
    studies = found.optimizer_verdict
    assert (studies.verdict, studies.optimizer, studies.equivalent) == (None, None, [])
    assert studies.differences == []
    assert "a lucky search cannot be distinguished" in studies.statement


def test_one_optimizer_has_nobody_to_beat() -> None:
    spec = spec_of("adam")
    found = recommend("job", spec, confirm(spec, flat(spec), by_label(MEANS)))
    assert (found.verdict, found.optimizer, found.equivalent) == ("tie", "adam", ["adam"])
    assert found.probability_best == 1
    assert "adam is the only optimizer of this job" in found.statement
    assert "better expected nll than its default" in found.statement
    assert found.optimizer_verdict.verdict is None
    same = recommend("job", spec, confirm(spec, flat(spec), lambda arm, seed: noise(arm, seed)))
    assert "cannot be distinguished from its default" in same.statement


def test_a_job_cut_short_is_concluded_on_the_seeds_that_ran() -> None:
    spec = spec_of("adam", "sgd", seeds=10)
    searched = flat(spec)[:-2]
    found = recommend("job", spec, confirm(spec, searched, by_label(MEANS), seeds=3), cut_short=True)
    assert present(found.value).seeds == 3
    assert "3 of at most 10 fresh seeds" in found.statement
    detail = next(w.detail for w in found.warnings if w.code == "search_cut_short")
    assert "after 10 of 12 trials" in detail
    assert "3 seeds" in detail


def test_only_seeds_that_every_finalist_ran_are_compared() -> None:
    spec = spec_of("adam", "sgd")
    trials = confirm(spec, flat(spec), by_label(MEANS))
    found = recommend("job", spec, trials[:-1])
    assert present(found.value).seeds == 4
    with pytest.raises(ValueError, match="no fresh seed"):
        recommend("job", spec, flat(spec))


def test_two_seeds_and_one_seed_do_not_break_it() -> None:
    spec = spec_of("adam", "sgd")
    for seeds in (1, 2):
        found = recommend("job", spec, confirm(spec, flat(spec), by_label(MEANS), seeds=seeds))
        _is_plain_json(found)
        assert (present(found.value).low is None) == (seeds == 1)
    assert found.verdict == "tie" or present(found.value).seeds == 2


def test_a_metric_to_maximize_is_the_mirror_image() -> None:
    spec = spec_of(*MEANS, dataset="diabetes")
    trials = confirm(spec, flat(spec), by_label(MEANS))
    down = recommend("job", spec, trials)
    spec = mirrored(spec)
    up = recommend(
        "job",
        spec,
        confirm(
            spec,
            search(spec, {label: [[-0.7, -0.6]] * 3 for label in spec.labels}),
            lambda arm, seed: -(by_label(MEANS)(arm, seed) or 0),
        ),
    )
    assert up.direction == "maximize"
    assert (up.verdict, up.optimizer, up.equivalent) == (down.verdict, down.optimizer, down.equivalent)
    assert present(up.value).mean == pytest.approx(-present(down.value).mean)
    assert present(up.value).low == pytest.approx(-(present(down.value).high or 0))
    for ours, theirs in zip(up.ranking, down.ranking, strict=True):
        assert present(ours.difference).model_dump() == pytest.approx(present(theirs.difference).model_dump())
        assert ours.probability_best == theirs.probability_best
    assert up.optimizer_verdict.differences == down.optimizer_verdict.differences


def test_it_is_plain_json() -> None:
    spec = spec_of(*MEANS)
    huge = recommend("job", spec, confirm(spec, flat(spec), lambda arm, s: 1e300 * (1 + s + arm.is_default)))
    _is_plain_json(huge)
    _is_plain_json(recommend("job", spec, confirm(spec, flat(spec), by_label(MEANS))))


def _is_plain_json(found: Recommendation) -> None:
    text = found.model_dump_json()
    dumped = found.model_dump(mode="json")
    json.dumps(dumped, allow_nan=False)
    assert Recommendation.model_validate_json(text) == found


def codes(found: Recommendation) -> set[str]:
    return {warning.code for warning in found.warnings}
