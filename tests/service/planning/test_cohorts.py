"""Cohorts for a process that trains all of them."""

from __future__ import annotations

from tests.builders.studies import spec_of
from whichopt.service.planning.cohorts import joined
from whichopt.service.planning.rounds import next_round
from whichopt.workers.sampler import suggest


def test_joined_cohorts_have_the_same_trials_in_the_same_order() -> None:
    following = next_round(spec_of(), [], suggest)
    assert following is not None
    plans = [plan for cohort in following.cohorts for plan in cohort]
    most = max(2, len(plans) // 2 - 1)
    cohorts = joined(following.cohorts, most)
    assert [plan for cohort in cohorts for plan in cohort] == plans
    assert {len(cohort) for cohort in cohorts[:-1]} == {most}
    assert 1 <= len(cohorts[-1]) <= most
    assert joined(following.cohorts, len(plans)) == [plans]
