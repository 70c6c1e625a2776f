"""A person's training function as executors take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import JsonValue

from whichopt.service.catalog.optimizer_entry import OptimizerFacts
from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.goal import Goal
from whichopt.service.spec.resolved import ResolvedSpec

TrainingFunction = Callable[[Any], object]
"""A function of a `whichopt.workers.guests.run.Run`."""


@dataclass(frozen=True)
class Guest:
    """A training function, and what its trials have in common.

    Attributes:
        name: `module:function`, `file.py:function` or `file.py`; for a callable, what errors call it.
        goal: the metric that it reports, and whether less or more of it is better.
        function: the callable; None if a process of its own has to import it by `name`.
        options: what the function finds as `run.options`.
        baseline: what a constant predictor scores, if the person knows it.
        source: hash that the function must have where it runs; None if any will do.
        allow: names that the operator allows; None for a person's own name, which may be a file.
        arguments: the command line of a script.
        optimizers: facts about optimizers that the catalog lacks.
        checkpoint_s: least seconds between two checkpoints of `run.keep`.
        tests: whether it called `run.test` in the rehearsal, so that it must in every confirm run.
    """

    name: str
    goal: Goal
    function: TrainingFunction | None = None
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    baseline: float | None = None
    source: str | None = None
    allow: tuple[str, ...] | None = None
    arguments: tuple[str, ...] = ()
    optimizers: Mapping[str, OptimizerFacts] = field(default_factory=dict)
    checkpoint_s: float = 30.0
    tests: bool = False

    @classmethod
    def of(
        cls,
        spec: ResolvedSpec,
        function: TrainingFunction | None = None,
        *,
        allow: tuple[str, ...] | None = None,
        arguments: tuple[str, ...] = (),
        checkpoint_s: float = 30.0,
    ) -> Self:
        """Return the guest that a job is about.

        Args:
            spec: the job.
            function: the callable, if it was given in this process.
            allow: names that the operator allows; None for a person's own name.
            arguments: the command line of a script.
            checkpoint_s: least seconds between two checkpoints.
        """
        asked = spec.guest
        assert asked is not None
        return cls(
            name=asked.function.name,
            goal=asked.goal,
            function=function,
            options=asked.function.options,
            baseline=asked.baseline,
            source=asked.source if function is None else None,
            allow=allow,
            arguments=arguments,
            optimizers={one.name: one.facts for one in map(spec.optimizer, spec.trained_labels)},
            checkpoint_s=checkpoint_s,
            tests=asked.rehearsed is not None and asked.rehearsed.judged_on != "validation",
        )

    def facts(self, name: str) -> OptimizerFacts:
        """Return the facts about the optimizer of that name.

        Raises:
            UnknownName: neither the job nor the catalog has it.
        """
        own = self.optimizers.get(name)
        return optimizer(name).facts if own is None else own
