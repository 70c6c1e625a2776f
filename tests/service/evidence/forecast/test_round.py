"""What is stored with a round: who leads at the end while the search goes on, and the odds that follow."""

from __future__ import annotations

import pytest

from tests.builders.trials import confirm, search, spec_of
from whichopt.service.evidence.forecast.round import of_round

STUDY = [1.0, 0.9, 0.8, 0.7]


def test_the_odds_of_a_search_are_the_chances_to_lead_at_its_end() -> None:
    spec = spec_of("adam", "sgd", trials=12, replicates=2)
    worse = [5 * value for value in STUDY]
    known = of_round(spec, search(spec, {"adam": [STUDY, STUDY], "sgd": [worse, worse]}), risk=None)
    assert known.confirm is None
    assert known.odds == known.leads
    assert known.leads is not None
    assert sum(known.leads.values()) == pytest.approx(1)
    assert known.leads["adam"] > known.leads["sgd"]


def test_nothing_leads_before_each_has_enough_results() -> None:
    spec = spec_of("adam", "sgd", trials=12, replicates=2)
    assert of_round(spec, search(spec, {"adam": [STUDY, STUDY], "sgd": [[1.0]]}), risk=None).odds is None


def test_a_search_that_has_ended_says_nothing_more_and_fresh_seeds_do() -> None:
    spec = spec_of("adam", "sgd", trials=8, replicates=2)
    searched = search(spec, {label: [STUDY, STUDY] for label in spec.labels})
    assert of_round(spec, searched, risk=None).odds is None
    trials = confirm(spec, searched, lambda arm, seed: 0.5 + 0.01 * seed + (arm.label == "sgd"), seeds=3)
    known = of_round(spec, trials, risk=None)
    assert known.confirm is not None
    assert known.odds == known.confirm.probability_best
    assert known.leads is None
