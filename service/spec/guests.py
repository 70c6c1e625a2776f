"""What a job about a person's own function must say, and what would mean nothing in it."""

from __future__ import annotations

from typing import Any

from whichopt.service.errors import BudgetNeeded, InvalidSpec
from whichopt.service.spec.workloads import OF_A_FUNCTION, kind_of_workload

FIXED = {"batch_size": 1, "clip_norm": None, "kernels": "auto", "executor": "auto", "agreement": "auto"}
"""The values of the keys that mean nothing to a function. A length is counted in epochs, one at a time."""

REASONS = {
    "batch_size": "it makes its own batches",
    "clip_norm": "it clips its own gradients",
    "kernels": "`run.optimizer` makes the real class, without a kernel of the service's",
    "executor": "its trials run in processes of their own",
    "agreement": "its trials run in processes of their own, so that no company bears on their bits",
}


def check_as_sent(data: Any) -> Any:
    """Return a job as it was sent, if it says what its trials are worth or is not about a function.

    This is seen in what was sent alone: a budget without trials has a usual number of them otherwise.

    Raises:
        BudgetNeeded: a job about a function has neither minutes nor trials.
    """
    if not isinstance(data, dict) or kind_of_workload(data.get("workload")) != OF_A_FUNCTION:
        return data
    budget = data.get("budget")
    if budget is None or (
        isinstance(budget, dict) and budget.get("minutes") is None and budget.get("trials") is None
    ):
        raise BudgetNeeded(
            "a job about a person's own function needs budget.minutes or budget.trials, as nobody else knows "
            'what its training may cost; give one of them, such as "budget": {"minutes": 60}',
            field="budget",
            allowed="minutes or trials",
        )
    return data


def check_keys(keys: set[str], values: dict[str, Any]) -> None:
    """Raise InvalidSpec if a key was set that means nothing to a function.

    Args:
        keys: the names of the keys that were set.
        values: the value of each key.
    """
    for name, fixed in FIXED.items():
        if name in keys and values[name] != fixed:
            raise InvalidSpec(
                f"{name} means nothing to a person's own function: {REASONS[name]}; leave {name} out",
                field=name,
                value=values[name],
                allowed="nothing",
            )
