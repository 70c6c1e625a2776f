"""The run that a person's training function is handed: its optimizer, its epochs, where it reports."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from whichopt.service.guests import Start
from whichopt.service.space import Config
from whichopt.service.splits import TEST_SHARE, VALIDATION_SHARE
from whichopt.service.trials import Seeds, TrialPlan
from whichopt.workers.engine.schedule import factor
from whichopt.workers.guests import callbacks, optimizers
from whichopt.workers.guests.course import Course, Stopped
from whichopt.workers.guests.epochs import Epochs
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.kept import Kept
from whichopt.workers.guests.parts import Parts, is_again, parts
from whichopt.workers.guests.start import Steps

__all__ = ["Run", "Stopped", "seed_of"]


class Run:
    """One run of a training function.

    Example:
        >>> from whichopt.workers.guests.by_hand import run
        >>> hand = run(optimizer="sgd", lr=0.1, epochs=2)
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = hand.optimizer(model)
        >>> for epoch in hand.epochs:
        ...     optimizer.zero_grad()
        ...     loss = model(torch.ones(4, 2)).square().mean()
        ...     loss.backward()
        ...     _ = optimizer.step()
        ...     hand.report(loss=loss)
        >>> [epoch for steps, epoch, metrics in hand.course.reports]
        [1, 2]
    """

    def __init__(self, plan: TrialPlan, guest: Guest, course: Course, kept: Kept | None = None) -> None:
        self.plan = plan
        self.guest = guest
        self.course = course
        self.scheduled = False
        self.testing = False
        self.epochs_began: float | None = None
        self._facts = guest.facts(plan.optimizer)
        self._kept = kept
        self._steps = Steps(self._started, self._lacks_closure if self._facts.needs_closure else None)
        self._names: list[str | None] = []
        self._parts: tuple[list[Any], Parts] | None = None

    # -- what is searched ----------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The hyperparameters of the optimizer, by the names that the search has for them."""
        return dict(self.plan.config)

    @property
    def lr(self) -> float:
        """The learning rate, as for a `max_lr`, or for a head at `10 * run.lr`."""
        return float(self.plan.config["lr"])

    def optimizer(
        self,
        params: Any,
        *,
        name: str | None = None,
        no_decay: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool | None = None,
        maximize: bool | None = None,
        **searched: Any,
    ) -> Optimizer:
        """Return torch's own optimizer, set as this trial is to be.

        Args:
            params: a model, its params, or groups of params as torch takes them; what a group fixes stays.
            name: the name of this optimizer, if the function makes more than one.
            no_decay: whether tensors of fewer than 2 dimensions (biases, norms) go without weight decay.
            foreach: as torch has it.
            fused: as torch has it.
            capturable: as torch has it.
            maximize: as torch has it.
            **searched: refused, as the search sets them.

        Raises:
            TypeError: another argument is given.
            ValueError: there are no params, or a second optimizer has no name of its own.
        """
        options = {"foreach": foreach, "fused": fused, "capturable": capturable, "maximize": maximize}
        optimizers.refuse(searched, self._facts.arguments(self.plan.config))
        if name in self._names:
            other = "without a name" if name is None else f"with the name {name!r}"
            raise ValueError(
                f"run.optimizer was called twice {other}: a second optimizer has the same config and a "
                "name of its own, run.optimizer(..., name='discriminator')"
            )
        made = optimizers.made(self._facts, self.plan.config, params, no_decay=no_decay, options=options)
        self._names.append(name)
        self._steps.watch(made)
        return made

    def scheduler(self, optimizer: Optimizer, steps_per_epoch: int) -> LambdaLR:
        """Return the job's schedule of the learning rate, to be stepped after each step of the optimizer.

        Args:
            optimizer: what `run.optimizer` returned.
            steps_per_epoch: the number of steps between two reports, as `len(loader)`.
        """
        if isinstance(steps_per_epoch, bool) or not isinstance(steps_per_epoch, int) or steps_per_epoch < 1:
            raise ValueError(f"run.scheduler: steps_per_epoch={steps_per_epoch!r} must be 1 or more")
        self.scheduled = True
        length, schedule = self.plan.length, self.plan.training.schedule

        def share(step: int) -> float:
            return factor(schedule, min(length, (step + 0.5) / steps_per_epoch), length)

        return LambdaLR(optimizer, share)

    # -- how long ------------------------------------------------------------------------------------

    @property
    def max_epochs(self) -> int:
        """The number of epochs in all; an epoch is what lies between two reports."""
        return self.plan.length

    @property
    def epochs(self) -> Epochs:
        """The epochs that are left: all of them, or after `keep` those that follow its checkpoint."""
        return Epochs(range(self.course.epoch, self.plan.length), self._epochs_begin)

    @property
    def seed(self) -> int:
        """The seed, for libraries that seed again by themselves."""
        return seed_of(self.plan.seeds)

    @property
    def options(self) -> dict[str, Any]:
        """The job's options for the function."""
        return dict(self.guest.options)

    # -- data and numbers ----------------------------------------------------------------------------

    def split(
        self,
        data: Any,
        *,
        test: float = TEST_SHARE,
        validation: float = VALIDATION_SHARE,
        stratify: Any = None,
        groups: Any = None,
    ) -> tuple[Any, Any]:
        """Return training and validation, and hold the test part back for `run.test`.

        Args:
            data: a dataset, of which Subsets are returned, or a number of rows, of which row numbers are.
            test: share of the rows that is held back, the same ones for every seed.
            validation: share of the others, drawn anew by each seed.
            stratify: the class of each row, whose shares every part keeps.
            groups: the group of each row; a group is never in two parts.
        """
        asked = [data, test, validation, stratify, groups]
        if self._parts is not None:
            if not is_again(asked, self._parts[0]):
                raise ValueError(
                    "run.split divides once: divide the row numbers, run.split(len(data)), and take the rows "
                    "of all your data by them"
                )
            return self._parts[1][:2]
        divided = parts(
            data, self.plan.seeds.split, test=test, validation=validation, stratify=stratify, groups=groups
        )
        self._parts = asked, divided
        sizes = divided.sizes
        self.course.send({"parts": [sizes.train, sizes.validation, sizes.test]})
        return divided[:2]

    def report(self, *unnamed: Any, **metrics: Any) -> None:
        """End an epoch with its metrics, the job's among them; what is reported is the validation split's.

        Raises:
            Stopped: the trial is pruned, has diverged, is cancelled or over.
        """
        if unnamed:
            metric = self.course.goal.metric
            raise TypeError(f"run.report takes its metrics by name, as run.report({metric}=...)")
        self.course.report(metrics, self._steps.count)
        if self._kept is not None:
            self._kept.went_on()
            if self._kept.write_if_due(self._state):
                self.course.send({"kept": self.course.epoch, "kept_in": self._kept.seconds})

    def result(self, **metrics: Any) -> None:
        """Give the value to judge, once, if it is not the last report's: that of a restored best model."""
        self.course.result(metrics)

    def test(self, scores: Callable[..., Any] | Any) -> None:
        """Give what the model scores on the test part: only runs that are judged by it call `scores`.

        Args:
            scores: a function of the test part that `run.split` holds back (of nothing without it), which
                returns a number, or a dict that holds the job's metric; or such a value. In place of a number
                it may be a tensor or an array with a value for each row of that part, whose mean counts: then
                the verdict also says if a lead would hold on new rows.
        """
        if not self.course.tests:
            return
        if self.course.tested:
            raise RuntimeError("run.test scores the test part once: call it after the last epoch")
        held_back = [] if self._parts is None or self._parts[1].test is None else [self._parts[1].test]
        self.testing = True
        try:
            value = scores(*held_back) if callable(scores) else scores
        finally:
            self.testing = False
        self.course.test(value, self._parts[1].sizes.test if held_back and self._parts else None)

    # -- the rest ------------------------------------------------------------------------------------

    def keep(self, **stateful: Any) -> None:
        """Keep these from time to time, as `run.keep(model=model, optimizer=optimizer)`: an interrupted trial
        goes on from there. To be called once, when they are made, before the loop."""
        if self._kept is None:
            return
        reported = self._kept.begin(stateful)
        if reported is not None:
            start = None if reported["start"] is None else Start.model_validate(reported["start"])
            self._steps.resume(reported["steps"], start)
            self.course.resume(reported)

    @property
    def reports(self) -> list[dict[str, float]]:
        """What was reported so far, an epoch each."""
        return [dict(metrics) for _, _, metrics in self.course.reports]

    @property
    def scores(self) -> dict[str, float] | None:
        """What `run.test` gave, if it was called: by hand, and in the final training."""
        return None if self.course.scores is None else dict(self.course.scores)

    def lightning(self) -> Any:
        """Return a callback for Lightning's Trainer that reports after each epoch."""
        return callbacks.lightning(self)

    def transformers(self) -> Any:
        """Return a callback for Hugging Face's Trainer that reports after each evaluation."""
        return callbacks.transformers(self)

    def refuse(self, code: str, detail: str) -> None:
        """Tell that the function cannot be run, with the stable code of the reason."""
        self.course.send({"fault": {"code": code, "detail": detail}})

    def is_finite(self) -> bool:
        """Tell if what is trained, and all that was reported, is finite."""
        reported = [value for _, _, metrics in self.course.reports for value in metrics.values()]
        return bool(np.isfinite(reported).all()) and self._steps.is_finite()

    def facts(self) -> dict[str, Any]:
        """Return what is known at the end of the function."""
        return {
            "steps": self._steps.count,
            "optimizers": len(self._names),
            "scheduled": self.scheduled,
            "split": self._parts is not None and self._parts[1].test is not None,
            "tested": self.course.tested,
            "epochs_began": self.epochs_began,
        }

    def seed_all(self) -> None:
        """Seed Python's, numpy's and torch's generators."""
        random.seed(self.seed)
        np.random.seed(self.seed)
        torch.manual_seed(self.seed)

    def _epochs_begin(self) -> None:
        self.epochs_began = self.course.seconds
        if self._kept is not None:
            self._kept.put_back()

    def _started(self, start: Start) -> None:
        self.course.send({"start": start.model_dump(mode="json"), "start_at": self.course.seconds})

    def _lacks_closure(self, place: str) -> None:
        raise self.course.refused(
            "needs_closure",
            f"its step needs a closure, and {place} passes none: call optimizer.step(closure) there, with a "
            "closure that zeroes the gradients, computes the loss, calls loss.backward() and returns the "
            "loss; or leave this optimizer out",
        )

    def _state(self) -> dict[str, Any]:
        start = self._steps.start
        return {
            **self.course.state_of(),
            "steps": self._steps.count,
            "start": None if start is None else start.model_dump(mode="json"),
        }


def seed_of(seeds: Seeds) -> int:
    """Return the one seed that follows from a trial's, below 2**31 as every library takes it."""
    text = f"{seeds.init}:{seeds.order}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
