"""Who leads at the end: chances add up, go to 0 or 1 as a search ends, and follow exchangeability."""

from __future__ import annotations

import random
import time

import pytest

from whichopt.service.evidence.forecast.leads import StudySoFar, leads


def study(center: float, ended: int, left: int, seed: int = 0) -> StudySoFar:
    chance = random.Random(f"{center} {seed}")
    return StudySoFar(tuple(center * (1 + chance.expovariate(1)) for _ in range(ended)), ended, left)


def test_chances_add_up_and_the_better_one_is_likelier() -> None:
    found = leads({"good": [study(0.06, 8, 16, k) for k in range(3)], "bad": [study(0.09, 8, 16)]})
    assert found is not None
    assert sum(found.chances.values()) == pytest.approx(1)
    assert found.chances["good"] > 0.8
    assert 0 < found.beaten < 1
    assert leads({"good": [study(0.06, 8, 16, k) for k in range(3)], "bad": [study(0.09, 8, 16)]}) == found


def test_after_the_last_trial_the_leader_is_certain() -> None:
    found = leads({"a": [study(0.06, 24, 0)], "b": [study(0.09, 24, 0)]})
    assert found is not None
    assert found.chances == {"a": 1.0, "b": 0.0}
    assert found.beaten == 0.0


def test_one_study_is_beaten_as_exchangeable_trials_are() -> None:
    for ended, left in ((12, 12), (20, 4), (8, 56)):
        found = leads({"a": [study(0.06, ended, left)]})
        assert found is not None
        assert found.beaten == pytest.approx(left / (left + ended), abs=0.06)


@pytest.mark.parametrize("shift", [0.0, -5.0])
def test_alike_optimizers_are_alike(shift: float) -> None:
    """Values below 0, as of a metric of which more is better, are no error."""
    alike = StudySoFar(tuple(shift + value for value in (0.3, 0.2, 0.15, 0.12, 0.11)), 6, 6)
    found = leads({label: [alike] * 3 for label in "abcd"})
    assert found is not None
    assert all(chance == pytest.approx(0.25, abs=0.08) for chance in found.chances.values())


def test_too_little_is_known_at_first() -> None:
    assert leads({"a": [study(0.1, 8, 2)], "b": [StudySoFar((0.1,), 1, 9)]}) is None
    assert leads({"a": [StudySoFar((), 8, 2)]}) is None
    found = leads({"a": [StudySoFar((), 8, 2)], "b": [study(0.1, 8, 2)]})
    assert found is not None
    assert found.chances == {"a": 0.0, "b": 1.0}


def test_a_large_job_takes_milliseconds() -> None:
    large = {f"o{k}": [study(0.06 + k / 100, 104, 6, r) for r in range(4)] for k in range(12)}
    leads(large)
    began = time.perf_counter()
    leads(large)
    assert time.perf_counter() - began < 0.2  # about 5 ms on a free machine
