"""The config that somebody runs today, which a job holds against what it finds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from whichopt.service.described import without_example
from whichopt.service.space import Value
from whichopt.service.spec.batching import spread_out
from whichopt.service.spec.workloads import Strict, without

TODAY: Literal["today"] = "today"
"""The label of the trials of today's config; no optimizer of a job with such a config may have it."""


class TodaysConfig(Strict):
    """The optimizer and the hyperparameters that are used today.

    Tuples are as torch takes them, such as `betas`, or as their parts. What is left out has the value that
    the optimizer's class has by itself. Values may lie outside of the search space.

    Example:
        >>> from whichopt.service.spec.today import TodaysConfig
        >>> TodaysConfig.model_validate({"name": "adamw", "config": {"lr": 3e-4}}).name
        'adamw'
    """

    model_config = ConfigDict(json_schema_extra=without_example)

    name: str = Field(
        max_length=64,
        description="Name of an optimizer of the catalog, or of one of the job's own candidates.",
    )
    config: dict[str, Value | tuple[Value, ...]] = Field(
        default_factory=dict,
        max_length=32,
        description="Values of its hyperparameters; the others have the defaults of the optimizer's class.",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_facts(cls, data: Any) -> Any:
        """Leave out the facts of a resolved spec: a job that is sent again gets them anew."""
        return without(("facts",), data)

    @field_validator("config", mode="before")
    @classmethod
    def _spread_out(cls, given: Any) -> Any:
        """Spread out a batch size that grows, as a space has it."""
        return spread_out(given)
