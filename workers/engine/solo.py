"""The reference executor: one trial at a time, each with the real class of its optimizer."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from functools import partial
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from service.states import Direction, Phase, TrialState
from service.trials import Point, TrialPlan, TrialResult
from workers.engine import Cancelled, State, Watch, optimizers
from workers.engine.schedule import factor
from workers.workload import Batch, Carry, Examples, Player, Workload, batches


class SoloExecutor:
    """Trains plans one after another; works for every workload."""

    def run(
        self,
        workload: Workload,
        plans: Sequence[TrialPlan],
        watch: Watch,
        resume: State | None = None,
    ) -> list[TrialResult]:
        """See `Executor.run`. What `resume` holds is told to the watch first, as if just evaluated."""
        results: list[TrialResult] = []
        unfinished: State | None = None
        if resume is not None:
            results = [TrialResult.model_validate(result) for result in resume["results"]]
            unfinished = resume["trial"]
        for position, done in enumerate(results):
            watch.progress(position, done.examples, done.curves.get(_selection(workload), ()))
        for position in range(len(results), len(plans)):
            trial = _Trial(workload, plans[position])
            if unfinished is not None:
                trial.load(unfinished)
                watch.progress(position, trial.examples, trial.selection)
                unfinished = None
            result = None
            while result is None:
                result = trial.advance()
                if result is not None:
                    results.append(result)
                if watch.cancelled():
                    raise Cancelled
                watch.progress(position, trial.examples, trial.selection)
                watch.checkpoint(partial(_cohort_state, results, trial if result is None else None))
        return results


def _cohort_state(results: Sequence[TrialResult], unfinished: _Trial | None) -> State:
    return {
        "results": [result.model_dump(mode="json") for result in results],
        "trial": None if unfinished is None else unfinished.state(),
    }


class _Trial:
    """One training run. It stands still at its evaluations, where it can be saved and loaded."""

    def __init__(self, workload: Workload, plan: TrialPlan) -> None:
        self.workload = workload
        self.plan = plan
        self.splits = workload.splits(plan.seeds.split)
        self.model = workload.model(plan.seeds.init)
        self.learners = [_Learner(player, self.model, plan) for player in workload.players]
        self.steps = 0
        self.examples = 0
        self.seconds = 0.0
        self.curves: dict[str, list[Point]] = {}
        self.metrics: dict[str, dict[str, float]] = {}

    @property
    def selection(self) -> tuple[Point, ...]:
        """The selection metric on the validation split so far."""
        return tuple(self.curves.get(_selection(self.workload), ()))

    def advance(self) -> TrialResult | None:
        """Trains to the next evaluation and evaluates; the result, if the trial ends there."""
        started = perf_counter()
        before = self.examples
        loss = self._train().item()
        state = self._judge(loss, before)
        self.seconds += perf_counter() - started
        return None if state is None else self._result(state)

    def _train(self) -> Tensor:
        """Trains to the first step boundary at or after the next evaluation point.

        Returns:
            The mean loss on the way, summed over the players: a float64 tensor without dimensions. It is
            summed where it is computed, so that no step waits for the device.
        """
        plan, data, before = self.plan, self.splits.train, self.examples
        size = plan.training.batch_size
        point = min(at for at in plan.evaluations if at > before)
        boundary = before + math.ceil((point - before) / size) * size
        total = torch.zeros((), dtype=torch.float64, device=self.workload.device)
        self.model.train()
        for batch in batches(data, plan.seeds.order, before, min(boundary, plan.length), size):
            count = len(batch.targets)
            share = factor(plan.training.schedule, self.examples + count / 2, plan.length)
            for learner in self.learners:
                if self.steps % learner.player.every == 0:
                    total.add_(learner.step(batch, share), alpha=count)
            self.steps += 1
            self.examples += count
        return total / (self.examples - before)

    def _judge(self, loss: float, before: int) -> TrialState | None:
        """Evaluates, and says how the trial ends here; None if it goes on.

        A rung that is reached with the last step has nothing left to save: the trial is complete.
        """
        self.model.eval()
        validation = self._evaluate(self.splits.validation)
        points = {"train.loss": loss, **{f"validation.{name}": value for name, value in validation.items()}}
        if not _finite(points):
            return TrialState.DIVERGED
        for name, value in points.items():
            self.curves.setdefault(name, []).append(Point(self.steps, self.examples, value))
        self.metrics = {"validation": validation}
        if self.examples == self.plan.length:
            self.metrics["train"] = self._evaluate(self.splits.train)
            if self.plan.phase is Phase.CONFIRM:
                self.metrics["test"] = self._evaluate(self.splits.test)
            return TrialState.COMPLETE if all(map(_finite, self.metrics.values())) else TrialState.DIVERGED
        reached = [rung for rung in self.plan.rungs if before < rung.examples <= self.examples]
        value = validation[self.workload.task.metric]
        return TrialState.PRUNED if any(self._worse(value, rung.threshold) for rung in reached) else None

    def _evaluate(self, examples: Examples) -> dict[str, float]:
        metrics = self.workload.evaluate(self.model, examples)
        return dict(zip(metrics, torch.stack(list(metrics.values())).tolist(), strict=True))

    def _worse(self, value: float, threshold: float) -> bool:
        minimized = self.workload.task.direction is Direction.MINIMIZE
        return value > threshold if minimized else value < threshold

    def _result(self, state: TrialState) -> TrialResult:
        confirm = self.plan.phase is Phase.CONFIRM
        judged = self.metrics.get("test" if confirm else "validation", {})
        return TrialResult(
            state=state,
            value=judged[self.workload.task.metric] if state is TrialState.COMPLETE else None,
            metrics={} if state is TrialState.DIVERGED else self.metrics,
            curves=self.curves,
            reference=self.workload.reference(self.splits) if confirm else None,
            steps=self.steps,
            examples=self.examples,
            seconds=self.seconds,
        )

    def state(self) -> State:
        """A copy of all that `load` needs."""
        return {
            "model": copy.deepcopy(self.model.state_dict()),
            "learners": [learner.state() for learner in self.learners],
            "steps": self.steps,
            "examples": self.examples,
            "seconds": self.seconds,
            "curves": {name: [list(point) for point in curve] for name, curve in self.curves.items()},
        }

    def load(self, state: State) -> None:
        self.model.load_state_dict(state["model"])
        for learner, saved in zip(self.learners, state["learners"], strict=True):
            learner.load(saved)
        self.steps, self.examples, self.seconds = state["steps"], state["examples"], state["seconds"]
        self.curves = {name: [Point(*point) for point in curve] for name, curve in state["curves"].items()}


class _Learner:
    """A player with its optimizer."""

    def __init__(self, player: Player, model: nn.Module, plan: TrialPlan) -> None:
        self.player = player
        self.model = model
        self.params = [model.get_parameter(name) for name in player.params]
        self.optimizer = optimizers.build(plan.optimizer, plan.config, self.params)
        self.lrs = [group["lr"] for group in self.optimizer.param_groups]
        self.clip_norm = plan.training.clip_norm
        self.carry: Carry = {}

    def step(self, batch: Batch, share: float) -> Tensor:
        """One update at `share` of the learning rate; the loss before it."""
        for group, lr in zip(self.optimizer.param_groups, self.lrs, strict=True):
            group["lr"] = lr * share
        self.optimizer.zero_grad()
        loss, self.carry = self.player.loss(self.model, batch, self.carry)
        torch.autograd.backward(loss, inputs=self.params)
        if self.clip_norm is not None:
            clip_grad_norm_(self.params, self.clip_norm)
        self.optimizer.step()
        return loss.detach()

    def state(self) -> State:
        return copy.deepcopy({"optimizer": self.optimizer.state_dict(), "carry": self.carry})

    def load(self, state: State) -> None:
        # A copy, because an optimizer takes tensors over as they are and would write into the caller's.
        saved = copy.deepcopy(state)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.carry = saved["carry"]


def _selection(workload: Workload) -> str:
    """The name of the curve by which configs are selected."""
    return f"validation.{workload.task.metric}"


def _finite(values: Mapping[str, float]) -> bool:
    return all(map(math.isfinite, values.values()))
