"""What a trial could not be trained with is refused before there is one: defaults and schedules, too."""

from __future__ import annotations

from typing import Any

import pytest

from whichopt.service.errors import InvalidSpec
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve

SIZES = {"type": "categorical", "choices": [16, 64]}
SCHEDULES = {"type": "categorical", "choices": ["linear", "step"]}
GROWN = {"adaptive": "norm", "start": SIZES, "max": 500, "micro": 4}


def warmups(high: float) -> dict[str, Any]:
    return {"type": "float", "low": 0.0, "high": high}


def resolved(space: Any, default: Any = None, **rest: Any) -> ResolvedSpec:
    chosen = {"name": "sgd", "space": space, "default": default or {}}
    workload = {"dataset": "digits", "model": "mlp"}
    return resolve(JobSpec.model_validate({"workload": workload, "optimizers": [chosen], **rest}))


@pytest.mark.parametrize(
    ("space", "default"),
    [
        ({"batch_size": SIZES}, {"batch_size": 5000}),
        ({"batch_size": GROWN}, {"batch_start": 600}),
        ({"schedule": SCHEDULES, "warmup": warmups(0.1)}, {"warmup": 0.5}),
    ],
)
def test_a_default_outside_of_its_range_is_checked_as_the_range_is(space: Any, default: Any) -> None:
    resolved(space)
    with pytest.raises(InvalidSpec) as info:
        resolved(space, default)
    ((name, value),) = default.items()
    assert (info.value.field, info.value.value) == (f"optimizers.0.default.{name}", value)


@pytest.mark.parametrize(
    ("schedule", "space", "first"),
    [
        ({"name": "step", "milestones": [0.2, 0.6]}, {}, 0.2),
        ("cosine", {"schedule": SCHEDULES}, 0.5),
        ("cosine", {"schedule": "step"}, 0.5),
    ],
)
def test_no_warm_up_of_a_trial_may_reach_a_milestone(schedule: Any, space: Any, first: float) -> None:
    with pytest.raises(InvalidSpec) as info:
        resolved({**space, "warmup": warmups(first)}, schedule=schedule)
    assert info.value.field == "optimizers.0.space.warmup"
    assert (info.value.value, info.value.allowed) == (first, f"less than {first:g}")
    spec = resolved({**space, "warmup": warmups(first - 0.01)}, schedule=schedule)
    config = {**spec.optimizer("sgd").default, "schedule": "step", "warmup": first - 0.01}
    assert spec.training_of("sgd", config).schedule.milestones is not None
