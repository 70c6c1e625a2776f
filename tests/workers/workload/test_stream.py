"""The stream of a trial's examples: in any order or in lanes, and what its batches draw."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from whichopt.service.trials import Schedule, Training
from whichopt.workers.workload import Batch, Examples, batches
from whichopt.workers.workload.stream import order_in_lanes

TRAINING = Training(batch_size=4, schedule=Schedule())


def _examples(count: int, *, in_lanes: bool = False) -> Examples:
    rows = torch.arange(count)
    return Examples(rows.float().unsqueeze(1), rows, 1.0, in_lanes=in_lanes)


def _noisy(batch: Batch, generator: torch.Generator) -> Batch:
    return batch._replace(noise=torch.randn(len(batch.targets), 3, generator=generator))


def _stream(data: Examples, start: int, stop: int, *, seed: int = 5, drawn: bool = False) -> list[Batch]:
    cuts = TRAINING.cuts(start, stop)
    return list(batches(data, seed, start, cuts, lanes=4, draw=_noisy if drawn else None))


def test_in_lanes_each_example_follows_that_of_the_step_before() -> None:
    lanes = torch.stack([batch.targets for batch in _stream(_examples(23, in_lanes=True), 0, 80)])
    assert torch.equal(lanes[1:], (lanes[:-1] + 1) % 23)


def test_the_lanes_lie_at_equal_distances_from_a_place_that_the_seed_draws() -> None:
    first = order_in_lanes(5, 24, 4, 0, 4)
    assert torch.equal((first - first[0]) % 24, torch.tensor([0, 6, 12, 18]))
    assert len({int(order_in_lanes(seed, 24, 4, 0, 1)) for seed in range(40)}) > 12


def test_an_epoch_in_lanes_shows_every_example() -> None:
    assert sorted(order_in_lanes(5, 24, 4, 0, 24).tolist()) == list(range(24))


@pytest.mark.parametrize("in_lanes", [False, True])
def test_a_stream_goes_on_from_any_step_with_the_same_draws(*, in_lanes: bool) -> None:
    data = _examples(23, in_lanes=in_lanes)
    whole = _stream(data, 0, 78, drawn=True)
    assert len(whole[-1].targets) == 2, "the last batch is what is left"
    for step in (1, 6, 19):
        for ours, theirs in zip(_stream(data, 4 * step, 78, drawn=True), whole[step:], strict=True):
            assert torch.equal(ours.targets, theirs.targets)
            assert ours.noise is not None
            assert theirs.noise is not None
            assert torch.equal(ours.noise, theirs.noise)


def test_each_batch_and_each_seed_draws_its_own() -> None:
    data = _examples(23)
    drawn = [batch.noise for seed in (5, 6) for batch in _stream(data, 0, 40, seed=seed, drawn=True)]
    values = torch.cat([noise.flatten() for noise in drawn if noise is not None])
    assert len(values) == 2 * 40 * 3
    assert len(set(values.tolist())) == len(values)


def test_the_first_examples_keep_all_that_examples_have() -> None:
    data = dataclasses.replace(
        _examples(9, in_lanes=True), weights=torch.ones(9), noise=torch.arange(9.0).unsqueeze(1)
    )
    few = data.first(4)
    assert len(few) == 4
    assert few.in_lanes
    assert few.weights is not None
    assert few.noise is not None
    assert [len(few.inputs), len(few.weights), len(few.noise)] == [4, 4, 4]
