"""The learning rate factor against its closed forms."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from whichopt.service.trials import Schedule
from whichopt.workers.engine.schedule import SHAPES, factor

LENGTH = 1000
# One rounding each in a handful of operations on numbers of size 1.
ROUNDING = 1e-14


def test_every_schedule_has_a_shape() -> None:
    assert set(SHAPES) == set(get_args(Schedule.model_fields["name"].annotation))


@pytest.mark.parametrize("name", SHAPES)
def test_warm_up_rises_linearly_to_one(name: str) -> None:
    schedule = Schedule.model_validate({"name": name, "warmup": 0.2})
    assert [factor(schedule, at, LENGTH) for at in (0, 50, 100, 200)] == pytest.approx(
        [0, 0.25, 0.5, 1], abs=ROUNDING
    )


@pytest.mark.parametrize("warmup", [0.0, 0.1])
@pytest.mark.parametrize("over", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_shapes(warmup: float, over: float) -> None:
    at = (warmup + over * (1 - warmup)) * LENGTH
    wanted = {"constant": 1.0, "cosine": (1 + math.cos(math.pi * over)) / 2, "linear": 1 - over}
    for name, value in wanted.items():
        schedule = Schedule.model_validate({"name": name, "warmup": warmup})
        assert factor(schedule, at, LENGTH) == pytest.approx(value, abs=ROUNDING)


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_trapezoid_decays_over_its_share_of_the_whole_budget(warmup: float) -> None:
    schedule = Schedule(name="trapezoid", warmup=warmup, decay=0.4)
    values = [factor(schedule, at, LENGTH) for at in (550, 600, 700, 900, 1000)]
    assert values == pytest.approx([1, 1, 0.75, 0.25, 0], abs=ROUNDING)


@pytest.mark.parametrize("warmup", [0.0, 0.1])
def test_step_is_multiplied_at_each_milestone_of_the_whole_budget(warmup: float) -> None:
    schedule = Schedule(name="step", warmup=warmup, milestones=(0.3, 0.5, 0.9), factor=0.2)
    values = [factor(schedule, at, LENGTH) for at in (200, 299, 300, 499, 500, 899, 900, 1000)]
    wanted = [1, 1, 0.2, 0.2, 0.04, 0.04, 0.008, 0.008]
    assert values == pytest.approx(wanted, abs=ROUNDING)


def test_step_has_the_recipe_of_the_papers_by_default() -> None:
    schedule = Schedule(name="step")
    assert (schedule.milestones, schedule.factor) == ((0.5, 0.75), 0.1)
    assert Schedule.model_validate_json(schedule.model_dump_json()) == schedule


def test_other_schedules_are_written_as_they_were() -> None:
    assert Schedule(name="trapezoid").model_dump(mode="json") == {
        "name": "trapezoid",
        "warmup": 0.0,
        "decay": 0.2,
    }


@pytest.mark.parametrize("name", SHAPES)
def test_stays_between_zero_and_one(name: str) -> None:
    for warmup in (0.0, 0.05, 0.49):
        schedule = Schedule.model_validate({"name": name, "warmup": warmup, "decay": 0.5})
        values = [factor(schedule, at, LENGTH) for at in range(LENGTH + 1)]
        assert -ROUNDING <= min(values) <= max(values) <= 1 + ROUNDING
