"""Augmentation: what it does to images, drawn from the trial's own seed, alike in any company."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from whichopt.service.spec import JobSpec, resolve
from whichopt.service.spec.augment import Crop, Flip
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.workload import Batch, Workload, build, generator
from whichopt.workers.workload.augmentation import augmentation, cropped, drawn, flipped

CPU = torch.device("cpu")
FLIP, CROP = Flip(name="flip"), Crop(name="crop", padding=2)
IMAGES = torch.arange(64 * 2 * 5 * 7, dtype=torch.float32).reshape(64, 2, 5, 7) + 1


def at(seed: int, place: int = 0) -> torch.Generator:
    return generator(seed, place, CPU)


def test_about_half_of_the_images_are_mirrored() -> None:
    found = flipped(IMAGES, at(0))
    mirrored = [torch.equal(one, image.flip(-1)) for one, image in zip(found, IMAGES, strict=True)]
    same = [torch.equal(one, image) for one, image in zip(found, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 16 <= sum(mirrored) <= 48  # four standard deviations of 64 coins


def test_a_crop_is_a_cut_of_the_padded_image() -> None:
    found = cropped(IMAGES, 2, at(0))
    assert found.shape == IMAGES.shape
    padded = torch.nn.functional.pad(IMAGES, (2, 2, 2, 2))
    places = set()
    for one, whole in zip(found, padded, strict=True):
        cuts = {(i, j): whole[:, i : i + 5, j : j + 7] for i in range(5) for j in range(5)}
        (place,) = [place for place, cut in cuts.items() if torch.equal(cut, one)]
        places.add(place)
    assert len(places) > 15, "25 places, of which 64 images take most"


def test_batches_and_seeds_draw_anew_and_repeat() -> None:
    draw = augmentation((FLIP, CROP), (2, 5, 7))
    batch = Batch(IMAGES.flatten(1), torch.arange(64), weights=torch.ones(64))
    one, again = draw(batch, at(0)), draw(batch, at(0))
    assert torch.equal(one.inputs, again.inputs)
    assert not torch.equal(one.inputs, draw(batch, at(0, 64)).inputs)
    assert not torch.equal(one.inputs, draw(batch, at(1)).inputs)
    assert one.inputs.shape == batch.inputs.shape
    assert one.targets is batch.targets
    assert one.weights is batch.weights


def test_a_task_that_learns_the_images_is_given_the_same_ones() -> None:
    batch = Batch(IMAGES.flatten(1), IMAGES.flatten(1))
    found = augmentation((FLIP,), (2, 5, 7), as_targets=True)(batch, at(0))
    assert torch.equal(found.inputs, found.targets)
    assert not torch.equal(found.inputs, batch.inputs)


def digits(augment: list[Any], **changes: Any) -> Any:
    asked = {"dataset": "digits", "model": {"name": "cnn", "channels": [4, 8]}, "augment": augment, **changes}
    return resolve(JobSpec.model_validate({"workload": asked})).cataloged


def test_the_draw_of_a_task_comes_after() -> None:
    def noisy(batch: Batch, generator: torch.Generator) -> Batch:
        return batch._replace(noise=torch.randn(3, generator=generator))

    batch = Batch(torch.randn(6, 64, generator=at(5)), torch.arange(6))
    both = drawn(digits(["flip", "crop"]), noisy)
    alone = drawn(digits(["flip", "crop"]), None)
    assert both is not None
    assert alone is not None
    found = both(batch, at(0))
    assert found.noise is not None
    assert torch.equal(found.inputs, alone(batch, at(0)).inputs)
    assert drawn(digits([]), noisy) is noisy
    assert drawn(digits([]), None) is None


@pytest.fixture(scope="module")
def augmented() -> Workload:
    return build(digits(["flip", {"name": "crop", "padding": 1}]))


def _untimed(results: list[TrialResult]) -> list[TrialResult]:
    return [result.model_copy(update={"seconds": 0.0}) for result in results]


@pytest.mark.parametrize("executor", list(EXECUTORS))
def test_company_and_a_stop_change_no_bit(
    executor: str, augmented: Workload, make_plan: Callable[..., TrialPlan], make_watch: Any
) -> None:
    plans = [
        make_plan("adam", config={"lr": 0.01}),
        make_plan("adabelief", order=8, config={"lr": 0.01}),
        make_plan("sgd", init=5, order=8, split=4, config={"lr": 0.05}),
    ]
    run = EXECUTORS[executor]().run
    saved = make_watch()
    whole = _untimed(run(augmented, plans, saved))
    assert whole == _untimed([result for plan in plans for result in run(augmented, [plan], make_watch())])
    for state in saved.states[::2]:
        assert _untimed(run(augmented, plans, make_watch(), state)) == whole
    plain = _untimed(run(build(digits([])), plans, make_watch()))
    assert all(a.curves != b.curves for a, b in zip(whole, plain, strict=True)), "it does something"


def test_both_executors_draw_the_same_images(
    augmented: Workload, make_plan: Callable[..., TrialPlan]
) -> None:
    """To the bit: the streams of a stack are those of trials alone."""
    from whichopt.workers.engine.stacked.feed import Feed
    from whichopt.workers.workload import batches

    plans = [make_plan("adam"), make_plan("adam", order=8), make_plan("sgd", order=8, split=4)]
    splits = [augmented.splits(plan.seeds.split) for plan in plans]
    feed = Feed(plans, splits, augmented.draw)
    together = list(feed.batches(0, 100))
    for row, (plan, of) in enumerate(zip(plans, splits, strict=True)):
        alone = batches(of.train, plan.seeds.order, 0, plan.training.cuts(0, 100), draw=augmented.draw)
        for batch, stack in zip(alone, together, strict=True):
            assert torch.equal(batch.inputs, stack.inputs[row])


def test_evaluations_see_images_as_they_are(augmented: Workload) -> None:
    plain = build(digits([]))
    for name in ("train", "validation", "test"):
        assert torch.equal(augmented.splits(0).named(name).inputs, plain.splits(0).named(name).inputs)
