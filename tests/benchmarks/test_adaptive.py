"""The benchmark of growing batches: its races, and that it measures what it says."""

from __future__ import annotations

import pytest

from benchmarks.adaptive.asked import BATCHES, RACES, REGRESSION
from benchmarks.adaptive.cost import costs
from whichopt.service.batches import grows
from whichopt.workers.engine.executors import EXECUTORS


def test_every_batch_size_grows_or_is_searched() -> None:
    assert len({race.name for race in RACES}) == len(RACES)
    for race in RACES:
        assert race.missing is None
        spec = race.resolved()
        assert spec.labels == race.labels
        for chosen in spec.optimizers:
            assert grows(chosen.space) or "batch_size" in chosen.searched
        assert spec.budget.timed == ("seconds" in race.name)
        assert max(BATCHES["choices"]) <= spec.sizes.train


@pytest.mark.parametrize("part", [REGRESSION])
def test_the_costs_are_beside_a_fixed_batch(part: dict[str, str]) -> None:
    found = list(costs({"small": part}, epochs=1))
    assert {one.executor for one in found} == set(EXECUTORS)
    for executor in EXECUTORS:
        own = [one for one in found if one.executor == executor]
        assert own[0].ratio == 1.0
        assert all(one.micros > 0 for one in own)
        assert [one.batches for one in own if one.batches.startswith("growing")]
