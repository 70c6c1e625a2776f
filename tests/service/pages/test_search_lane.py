"""A lane's drawing is kept while nobody would see a difference, and never at the cost of a better trial."""

from __future__ import annotations

import random

import pytest

from tests.builders.jobs import make_spec
from whichopt.service.pages.job.lane_marks import search_marks
from whichopt.service.pages.job.lanes import scale
from whichopt.service.pages.job.search_lane import SearchLane, search_lanes, studies_so_far
from whichopt.service.race import Race, RaceTrial
from whichopt.service.states import Direction, Origin, Phase, TrialState


def trial(number: int, value: float | None, state: TrialState = TrialState.COMPLETE) -> RaceTrial:
    origin = Origin.DEFAULT if number == 0 else Origin.RANDOM
    return RaceTrial(
        number, "sgd", Phase.SEARCH, number % 2, number, state, origin, value, 1, 10, 0.5, {"lr": 0.1}, None
    )


def lane(count: int, *more: RaceTrial, direction: Direction = Direction.MINIMIZE) -> SearchLane:
    trials = (*(trial(number, 1.0 + number % 50 / 100) for number in range(count)), *more)
    return SearchLane("sgd", 0, direction, 1000, trials, ("lr",))


def test_bars_stay_until_a_hundredth_is_new() -> None:
    first = lane(400)
    ruler = scale(first.shown_values, Direction.MINIMIZE)
    marks = search_marks(first, ruler)
    assert marks.hold_for(lane(403), ruler)
    assert not marks.hold_for(lane(405), ruler)
    assert not marks.hold_for(lane(400, trial(400, 0.5)), ruler)
    assert not marks.hold_for(lane(403), scale([0.1, 3.0], Direction.MINIMIZE))


def test_dots_stay_only_if_nothing_is_new() -> None:
    first = lane(150)
    ruler = scale(first.shown_values, Direction.MINIMIZE)
    marks = search_marks(first, ruler)
    assert marks.hold_for(first, ruler)
    assert not marks.hold_for(lane(151), ruler)


def test_running_trials_are_drawn_at_their_latest_value() -> None:
    now = lane(10, trial(10, None, TrialState.RUNNING), trial(11, None, TrialState.RUNNING))
    marks = search_marks(now, scale(now.shown_values, Direction.MINIMIZE))
    assert 'class="live"' not in marks.running(now, {}, id="r")
    running = marks.running(now, {10: 1.2}, id="r")
    assert running.count('class="live"') == 1
    assert "so far, and running" in running
    assert running in marks.with_running(running)


def test_a_lane_counts_what_became_of_its_trials() -> None:
    now = lane(
        3,
        trial(3, 1.4, TrialState.PRUNED),
        trial(4, None, TrialState.PRUNED),
        trial(5, None, TrialState.DIVERGED),
        trial(6, None, TrialState.RUNNING),
        trial(7, None, TrialState.QUEUED),
        direction=Direction.MAXIMIZE,
    )
    assert (now.ended, now.parted.cut, len(now.parted.pruned), now.parted.diverged) == (6, 2, 1, 1)
    assert now.best is not None
    assert (now.best[0].number, now.default, now.median) == (2, 1.0, 1.01)
    assert now.improvements == [1.01, 1.02]
    first, second = studies_so_far(now, 2)
    assert (first.losses, first.ended, first.left) == ((-1.0, -1.02), 3, 497)
    assert (second.losses, second.ended, second.left) == ((-1.01,), 3, 497)


@pytest.mark.parametrize("metric", ["nll", "accuracy"])
def test_what_a_lane_has_come_to_is_the_same_step_by_step_and_at_once(metric: str) -> None:
    spec = make_spec(
        workload={"dataset": "digits", "model": {"name": "mlp", "hidden": [8]}, "metric": metric},
        optimizers=["sgd"],
    )
    chance, kept = random.Random(3), dict[str, SearchLane]()
    trials = [trial(number, None, TrialState.QUEUED) for number in range(40)]
    for step in range(60):
        number = chance.randrange(40)
        if trials[number].state in (TrialState.QUEUED, TrialState.RUNNING):
            state = chance.choice([one for one in TrialState if one is not TrialState.CANCELLED])
            has_value = state in (TrialState.COMPLETE, TrialState.PRUNED)
            trials[number] = trial(number, chance.choice([0.5, 0.7, 0.9]) if has_value else None, state)
        if step == 30:  # a round more
            trials += [trial(40 + more, None, TrialState.QUEUED) for more in range(5)]
        race = Race(trials={one.id: one for one in trials})
        (now,) = search_lanes(spec, race, {"sgd": 0}, {"sgd": 50}, kept)
        (alone,) = search_lanes(spec, race, {"sgd": 0}, {"sgd": 50})
        for of in (now, alone):
            assert of.trials == tuple(trials)
        assert now.parted == alone.parted
        assert now.ordered == alone.ordered
        assert (now.defaults, now.median, now.improvements) == (
            alone.defaults,
            alone.median,
            alone.improvements,
        )
