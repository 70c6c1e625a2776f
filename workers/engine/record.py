"""The record of a trial while it trains: its progress, its evaluations, and its result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from whichopt.service.by_example import written
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Point, Sample, TrialPlan, TrialResult
from whichopt.workers.engine import State
from whichopt.workers.workload import Splits, Workload

Scores = Callable[[str, Sequence[str]], Mapping[str, float]]
"""The metrics of those names of the model as it stands, on the split of that name."""

Values = Callable[[], Tensor | None]
"""The goal's metric on each kept example of the test split, once that is scored; None if it is no mean."""

Made = Callable[[], Sample | None]
"""What the network makes for people to look at; None if its task makes nothing."""


class Record:
    """A trial's counts, curves and verdict; the same for every executor."""

    def __init__(self, workload: Workload, plan: TrialPlan, splits: Splits) -> None:
        self.workload = workload
        self.plan = plan
        self.splits = splits
        self.steps = 0
        self.examples = 0
        self.seconds = 0.0
        self.curves: dict[str, list[Point]] = {}
        self.metrics: dict[str, dict[str, float]] = {}
        self.by_example: str | None = None
        self.sample: Sample | None = None
        self.gauges: Mapping[str, float] = {}

    @property
    def selection(self) -> tuple[Point, ...]:
        """The selection metric on the validation split so far."""
        return tuple(self.curves.get(selection(self.workload), ()))

    @property
    def boundary(self) -> int:
        """Examples at the first step boundary at or after the next evaluation point."""
        point = min(at for at in self.plan.evaluations if at > self.examples)
        return min(self.plan.training.boundary(self.examples, point), self.plan.length)

    def judge(
        self, loss: float, before: int, scores: Scores, values: Values, made: Made
    ) -> TrialState | None:
        """Evaluates, and says how the trial ends here; None if it goes on.

        A rung that is reached with the last step has nothing left to save: the trial is complete. On the way
        and on the training split only the metrics that have a curve are asked for: those that rank examples
        have to sort them, which takes longer than a small network's answers.

        Args:
            loss: the mean loss since the evaluation before.
            before: the examples seen at that one.
            scores: what the model scores now; asked for a split only if it counts.
            values: what it scores on single examples of the test split; asked after that was scored.
            made: what it makes for people to look at; asked of the first of the fresh seeds, at its end.
        """
        followed, last = self.workload.followed, self.examples == self.plan.length
        every = self.workload.goal.metrics
        validation = dict(scores("validation", every if last else followed))
        points = {
            "train.loss": loss,
            **self.gauges,
            **{f"validation.{name}": validation[name] for name in followed},
        }
        if not _finite(points):
            return TrialState.DIVERGED
        for name, value in points.items():
            self.curves.setdefault(name, []).append(Point(self.steps, self.examples, value))
        self.metrics = {"validation": validation}
        if last:
            self.metrics["train"] = dict(scores("train", followed))
            if self.plan.phase is Phase.CONFIRM:
                self.metrics["test"] = dict(scores("test", every))
                found = values()
                self.by_example = None if found is None else written(found.cpu().numpy())
            if not all(map(_finite, self.metrics.values())):
                return TrialState.DIVERGED  # what such a network makes would be no number either
            if self.plan.phase is Phase.CONFIRM and self.plan.number == 0:
                self.sample = made()
            return TrialState.COMPLETE
        reached = [rung for rung in self.plan.rungs if before < rung.examples <= self.examples]
        value = validation[self.workload.goal.metric]
        return TrialState.PRUNED if any(self._worse(value, rung.threshold) for rung in reached) else None

    def _worse(self, value: float, threshold: float) -> bool:
        sign = self.workload.goal.sign
        return sign * value > sign * threshold

    def result(self, state: TrialState) -> TrialResult:
        """Return the result of the trial if it ends in `state`."""
        confirm = self.plan.phase is Phase.CONFIRM
        judged = self.metrics.get("test" if confirm else "validation", {})
        return TrialResult(
            state=state,
            value=judged[self.workload.goal.metric] if state is TrialState.COMPLETE else None,
            metrics={} if state is TrialState.DIVERGED else self.metrics,
            curves=self.curves,
            reference=self.workload.reference(self.splits) if confirm else None,
            steps=self.steps,
            examples=self.examples,
            seconds=self.seconds,
            by_example=self.by_example if state is TrialState.COMPLETE else None,
            sample=self.sample if state is TrialState.COMPLETE else None,
        )

    def state(self) -> State:
        """A copy of all that `load` needs."""
        return {
            "steps": self.steps,
            "examples": self.examples,
            "seconds": self.seconds,
            "curves": {name: [list(point) for point in curve] for name, curve in self.curves.items()},
        }

    def load(self, state: State) -> None:
        self.steps, self.examples, self.seconds = state["steps"], state["examples"], state["seconds"]
        self.curves = {name: [Point(*point) for point in curve] for name, curve in state["curves"].items()}


def selection(workload: Workload) -> str:
    """The name of the curve by which configs are selected."""
    return workload.goal.curve


def _finite(values: Mapping[str, float]) -> bool:
    return all(map(math.isfinite, values.values()))
