"""An option that is out of its bounds is refused with its path, its value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from whichopt.service.errors import InvalidSpec
from whichopt.service.spec import JobSpec, resolve


@pytest.mark.parametrize(
    ("workload", "field", "said", "allowed"),
    [
        (
            {"dataset": {"name": "digits", "label_noise": 1.5}, "model": "mlp"},
            "workload.dataset.label_noise",
            "1.5 is not allowed; it should be less than 1",
            "less than 1.0",
        ),
        (
            {"dataset": "ring", "model": {"name": "gan", "critic_steps": 101}},
            "workload.model.critic_steps",
            "101 is not allowed; it should be less than or equal to 100",
            "at most 100",
        ),
        (
            {"dataset": "unicode_names", "model": {"name": "lstm", "layers": "2"}},
            "workload.model.layers",
            '"2" is not allowed; it should be a valid integer',
            None,
        ),
    ],
)
def test_options(workload: dict[str, Any], field: str, said: str, allowed: str | None) -> None:
    with pytest.raises(InvalidSpec) as refused:
        resolve(JobSpec.model_validate({"workload": workload}))
    assert (refused.value.field, refused.value.allowed) == (field, allowed)
    assert refused.value.detail == f"{field}: {said}"
