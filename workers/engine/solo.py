"""The reference executor: one trial at a time, each with the real class of its optimizer."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from whichopt.service.states import TrialState
from whichopt.service.trials import Sample, TrialPlan, TrialResult
from whichopt.workers.engine import Cancelled, State, Trained, Watch, optimizers
from whichopt.workers.engine.beats import Beat, Stopped
from whichopt.workers.engine.entries import optimizer
from whichopt.workers.engine.growing import adaptive_batch, gauges, share
from whichopt.workers.engine.record import Record, selection
from whichopt.workers.workload import Batch, Carry, Player, Workload, batches, seeded


class SoloExecutor:
    """The executor that trains plans one after another, each with the class of its optimizer.

    It works for every workload, and the other executor is held against it.

    Example:
        >>> from whichopt.service.planning.rounds import next_round
        >>> from whichopt.service.spec import JobSpec, resolve
        >>> from whichopt.workers import workload
        >>> from whichopt.workers.engine import Unwatched
        >>> from whichopt.workers.engine.solo import SoloExecutor
        >>> from whichopt.workers.sampler import suggest
        >>> wine = {"dataset": {"name": "wine"}, "model": {"name": "linear"}}
        >>> budget = {"trials": 2, "replicates": 2, "epochs": 1, "confirm_seeds": 3}
        >>> job = {"workload": wine, "optimizers": ["adabelief", "sgd"], "budget": budget}
        >>> spec = resolve(JobSpec.model_validate(job))
        >>> plans = next_round(spec, [], suggest).cohorts[0]
        >>> results = SoloExecutor().run(workload.build(spec.workload), plans, Unwatched())
        >>> len(results) == len(plans), {result.state.value for result in results}
        (True, {'complete'})
    """

    def run(
        self,
        workload: Workload,
        plans: Sequence[TrialPlan],
        watch: Watch,
        resume: State | None = None,
    ) -> list[TrialResult]:
        """Train every plan to its end; see `Executor.run`.

        What `resume` holds is told to the watch first, as if just evaluated.

        Args:
            workload: what is trained, on its device.
            plans: the trials, of one workload.
            watch: the interface by which the outside follows the run and stops it.
            resume: a state that `watch.checkpoint` was offered in an earlier run; None begins anew.

        Raises:
            Cancelled: `watch.cancelled()` became true.
        """
        results: list[TrialResult] = []
        unfinished: State | None = None
        if resume is not None:
            results = [TrialResult.model_validate(result) for result in resume["results"]]
            unfinished = resume["trial"]
        for position, done in enumerate(results):
            watch.progress(position, done.examples, done.curves.get(selection(workload), ()))
        for position in range(len(results), len(plans)):
            trial = TrialRun(workload, plans[position])
            if unfinished is not None:
                trial.load(unfinished)
                watch.progress(position, trial.record.examples, trial.record.selection)
                unfinished = None
            result = None
            while result is None:
                beat = Beat(watch, partial(trial.tell, watch, position))
                try:
                    result = trial.advance(beat)
                    stopped = False
                except Stopped:
                    stopped = True
                if result is not None:
                    results.append(result)
                if stopped or watch.cancelled():
                    under_way = [] if result is not None else [trial.record.result(TrialState.CANCELLED)]
                    begun = [*results, *under_way]
                    raise Cancelled([*begun, *[None] * (len(plans) - len(begun))])
                watch.progress(position, trial.record.examples, trial.record.selection)
                watch.checkpoint(partial(_cohort_state, results, trial if result is None else None))
        return results

    def train(self, workload: Workload, plan: TrialPlan, watch: Watch) -> Trained:
        """Train one plan to its end, and keep its network; see `Executor.train`.

        Args:
            workload: what is trained, on its device.
            plan: the trial.
            watch: the interface by which the outside follows the run and stops it.

        Raises:
            Cancelled: `watch.cancelled()` became true.
        """
        trial, result = TrialRun(workload, plan), None
        while result is None:
            try:
                result = trial.advance(Beat(watch, partial(trial.tell, watch, 0)))
            except Stopped:
                raise Cancelled([trial.record.result(TrialState.CANCELLED)]) from None
            if result is None and watch.cancelled():
                raise Cancelled([trial.record.result(TrialState.CANCELLED)])
            trial.tell(watch, 0)
        return Trained(result, trial.network())


def _cohort_state(results: Sequence[TrialResult], unfinished: TrialRun | None) -> State:
    return {
        "results": [result.model_dump(mode="json") for result in results],
        "trial": None if unfinished is None else unfinished.state(),
    }


class TrialRun:
    """One training run. It stands still at its evaluations, where it can be saved and loaded."""

    def __init__(self, workload: Workload, plan: TrialPlan) -> None:
        self.workload = workload
        self.plan = plan
        self.splits = workload.splits(plan.seeds.split)
        self.model = workload.model(plan.seeds.init)
        self.learners = [_Learner(player, self.model, plan) for player in workload.players]
        self.record = Record(workload, plan, self.splits)
        self.values: Tensor | None = None

    def tell(self, watch: Watch, position: int) -> None:
        """Tells the watch how far the trial has come."""
        watch.progress(position, self.record.examples, self.record.selection)

    def advance(self, beat: Beat | None = None) -> TrialResult | None:
        """Trains to the next evaluation and evaluates; the result, if the trial ends there.

        `beat` is called between steps; what it raises ends the training there.
        """
        started = perf_counter()
        before = self.record.examples
        try:
            loss = self.train(self.record.boundary, beat).item()
        except Stopped:
            self.record.seconds += perf_counter() - started
            raise
        self.model.eval()
        for learner in self.learners:
            learner.mode("eval")
        self.record.gauges = gauges(self.learners[0].growing)
        state = self.record.judge(loss, before, self.scores, lambda: self.values, self.made)
        for learner in self.learners:
            learner.mode("train")
        self.record.seconds += perf_counter() - started
        return None if state is None else self.record.result(state)

    def train(self, stop: int, beat: Beat | None = None) -> Tensor:
        """Trains until `stop` examples have been seen.

        Returns:
            The mean loss on the way, summed over the players: a float64 tensor without dimensions. It is
            summed where it is computed, so that no step waits for the device.
        """
        plan, record, before = self.plan, self.record, self.record.examples
        total = torch.zeros((), dtype=torch.float64, device=self.workload.device)
        self.model.train()
        with seeded(plan.seeds.order, before, self.workload.device):
            cuts = plan.training.cuts(before, stop)
            stream = batches(
                self.splits.train,
                plan.seeds.order,
                before,
                cuts,
                lanes=plan.training.batch_size,
                draw=self.workload.draw,
            )
            for batch in stream:
                count = len(batch.targets)
                share = self._share(count)
                for learner in self.learners:
                    if record.steps % learner.player.every == 0:
                        total.add_(learner.step(batch, share), alpha=count)
                record.steps += share is not None
                record.examples += count
                if beat is not None and beat.due:
                    beat()
        return total / (record.examples - before)

    def _share(self, count: int) -> float | None:
        """The share of the learning rate after `count` more examples; None if the batch is not full then."""
        plan, seen = self.plan, self.record.examples + count
        growing = self.learners[0].growing
        filled = count if growing is None else growing.filled(count, last=seen == plan.length)
        return share(plan, seen, filled)

    def scores(self, split: str, names: Sequence[str]) -> dict[str, float]:
        """The metrics of those names of the model as it stands, on that split."""
        examples = self.splits.named(split)
        outputs = self.workload.outputs(self.model, examples)
        if split == "test":
            self.values = self.workload.values(outputs, examples)
        metrics = self.workload.criteria.metrics(outputs, examples.targets, examples.unit, names)
        return dict(zip(metrics, torch.stack(list(metrics.values())).tolist(), strict=True))

    def made(self) -> Sample | None:
        """What the model as it stands makes for people to look at."""
        return self.workload.sample(self.model, self.splits.test)

    def network(self) -> dict[str, Tensor]:
        """The params and buffers that are evaluated, by name, on the CPU."""
        for learner in self.learners:
            learner.mode("eval")
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}
        for learner in self.learners:
            learner.mode("train")
        return tensors

    def state(self) -> State:
        """A copy of all that `load` needs."""
        return {
            "model": copy.deepcopy(self.model.state_dict()),
            "learners": [learner.state() for learner in self.learners],
            "record": self.record.state(),
        }

    def load(self, state: State) -> None:
        self.model.load_state_dict(state["model"])
        for learner, saved in zip(self.learners, state["learners"], strict=True):
            learner.load(saved)
        self.record.load(state["record"])


class _Learner:
    """A player with its optimizer."""

    def __init__(self, player: Player, model: nn.Module, plan: TrialPlan) -> None:
        self.player = player
        self.model = model
        self.params = [model.get_parameter(name) for name in player.params]
        self.optimizer = optimizers.build(
            plan.optimizer, plan.config, self.params, compiled=plan.training.compiled
        )
        self.has_modes = optimizer(plan.optimizer).modes
        self.mode("train")
        self.lrs = [group["lr"] for group in self.optimizer.param_groups]
        self.clip_norm = plan.training.clip_norm
        self.carry: Carry = {}
        self.growing = adaptive_batch(plan.training, self.params)

    def step(self, batch: Batch, share: float | None) -> Tensor:
        """One update at `share` of the learning rate, or none if it is None; the loss before it."""
        self.optimizer.zero_grad()
        loss, self.carry = self.player.loss(self.model, batch, self.carry)
        torch.autograd.backward(loss, inputs=self.params)
        if self.growing is not None:
            self.growing.add(len(batch.targets), last=share is not None)
        if share is None:
            return loss.detach()
        for group, lr in zip(self.optimizer.param_groups, self.lrs, strict=True):
            group["lr"] = lr * share
        if self.clip_norm is not None:
            clip_grad_norm_(self.params, self.clip_norm)
        optimizers.step(self.optimizer)
        return loss.detach()

    def mode(self, name: Literal["train", "eval"]) -> None:
        """Have the optimizer set the params that are trained, or evaluated, if these are not the same."""
        if self.has_modes:
            getattr(self.optimizer, name)()

    def state(self) -> State:
        growing = None if self.growing is None else self.growing.state_dict()
        own = {"optimizer": self.optimizer.state_dict(), "carry": self.carry, "growing": growing}
        return copy.deepcopy(own)

    def load(self, state: State) -> None:
        # A copy, because an optimizer takes tensors over as they are and would write into the caller's.
        saved = copy.deepcopy(state)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.carry = saved["carry"]
        if self.growing is not None:
            self.growing.load_state_dict(saved["growing"])
