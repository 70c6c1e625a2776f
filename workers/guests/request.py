"""What a runner is told on its standard input: JSON, never pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue

from whichopt.service.catalog.optimizer_entry import OptimizerFacts
from whichopt.service.goal import Goal
from whichopt.service.trials import TrialPlan
from whichopt.workers.guests.guest import Guest


class Request(BaseModel):
    """A trial, and its guest without the function, which the runner imports by its name."""

    model_config = ConfigDict(frozen=True)

    name: str
    plan: TrialPlan | None = None
    goal: Goal
    options: dict[str, JsonValue]
    source: str | None
    allow: tuple[str, ...] | None
    arguments: tuple[str, ...]
    optimizers: dict[str, OptimizerFacts]
    checkpoint_s: float
    kept: Path | None = None

    @classmethod
    def of(cls, guest: Guest, plan: TrialPlan | None = None, kept: Path | None = None) -> Self:
        """Return the request for a trial of the guest; without a plan, for its source alone."""
        return cls(
            name=guest.name,
            plan=plan,
            goal=guest.goal,
            options=dict(guest.options),
            source=guest.source,
            allow=guest.allow,
            arguments=guest.arguments,
            optimizers=dict(guest.optimizers),
            checkpoint_s=guest.checkpoint_s,
            kept=kept,
        )

    @property
    def guest(self) -> Guest:
        """The guest that the request is about."""
        return Guest(
            name=self.name,
            goal=self.goal,
            options=self.options,
            source=self.source,
            allow=self.allow,
            arguments=self.arguments,
            optimizers=self.optimizers,
            checkpoint_s=self.checkpoint_s,
        )
