"""What networks make is kept small, however much a task makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tests.builders.made import points_sample
from whichopt.service import samples
from whichopt.workers.workload import Workload


def test_a_sample_is_cut_before_it_is_recorded(make_workload: Callable[..., Workload]) -> None:
    plain = make_workload("wine", "linear")
    criteria = dataclasses.replace(plain.criteria, sample=lambda *_: points_sample(10_000))
    made = dataclasses.replace(plain, criteria=criteria).sample(plain.model(0), plain.splits(0).test)
    assert made is not None
    assert made.shape == (samples.MOST_POINTS, 2)
    assert samples.problem(made) is None


def test_a_task_that_makes_nothing_has_no_sample(make_workload: Callable[..., Workload]) -> None:
    plain = make_workload("wine", "linear")
    assert plain.sample(plain.model(0), plain.splits(0).test) is None
