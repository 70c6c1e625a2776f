"""The view of a job before it is paid for: its time, its cost, and what its verdicts could name."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from whichopt.service.states import Direction
from whichopt.service.views.view import View


class LeadChance(View):
    """The chance that a verdict names a true leader whose lead over every other optimizer is `lead`."""

    lead: float = Field(
        description="Lead in standard deviations of one config's value over fresh seeds; beyond the margin, "
        "if the spec has one."
    )
    value: float | None = Field(
        description="The same lead in the metric's units; null if no past job tells the standard deviation."
    )
    chance: float = Field(description="Chance if runs with the same seed are strongly paired.")
    weak: float = Field(description="Chance if what they share is next to nothing.")


class Power(View):
    """The chances of both verdicts, by lead."""

    config: list[LeadChance] = Field(
        description="Chances of the config verdict; empty if there is nobody to beat."
    )
    optimizer: list[LeadChance] = Field(
        description="Chances of the optimizer verdict; empty without one, as with one study each."
    )


class BudgetFor(View):
    """The budget by which a verdict names a leader of that lead with a chance of 80%, strongly paired."""

    lead: float
    value: float | None
    seeds: int | None = Field(
        description="Least `confirm_seeds` for the config verdict; null if more than a job may have are "
        "needed."
    )
    replicates: int | None = Field(
        description="Fewest studies of each optimizer for the optimizer verdict, each with as many trials as "
        "in this job; null if more than a job may have are needed."
    )
    trials: int | None = Field(description="The trials of each optimizer that these studies have together.")


class PlannedCost(View):
    """The most that the job can cost; `confirm_least` is the least of `confirm`."""

    trials: int = Field(description="Number of trials of search and confirm.")
    search: int
    confirm: int
    confirm_least: int = Field(
        description="Number of confirm's trials if it is settled at the first look of the champions."
    )
    steps: int
    examples: int = Field(description="Number of examples; of a person's own function, epochs.")


class JobPlan(View):
    """The price and the prospects of a job that was not submitted: nothing is trained for it.

    Example:
        >>> from whichopt.service.views import JobPlan
        >>> workload = {"dataset": {"name": "wine"}, "model": {"name": "linear"}}
        >>> plan = client.plan({"workload": workload, "optimizers": ["adabelief", "sgd"]})
        >>> JobPlan.model_validate_json(plan.model_dump_json()) == plan
        True
    """

    seconds: float | None = Field(
        description="Seconds by the clock until the recommendation, if confirm needs all its seeds; null if "
        "nothing tells them."
    )
    seconds_low: float | None = Field(
        description="Seconds if all is settled at the first look of the champions and trials are as fast as "
        "in the fastest past job."
    )
    seconds_high: float | None = Field(
        description="Seconds if no trial is pruned and trials are as slow as in the slowest past job."
    )
    cost: PlannedCost | None = Field(
        description="Cost in trials; null if the number of trials for `minutes` cannot be told yet."
    )
    power: Power
    budget_for: list[BudgetFor]
    metric: str
    direction: Direction
    deviation: float | None = Field(
        description="Standard deviation, over fresh seeds, of one config's value in a past job, in the "
        "metric's units; null if no past job tells."
    )
    unit: Literal["examples", "epochs"] = "examples"
    basis: list[str] = Field(description="What each part rests on, and why a part is missing, in sentences.")
