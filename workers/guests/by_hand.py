"""A run by hand, for a REPL or a test; in a script that whichopt runs, the trial's run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whichopt.service.catalog.optimizers import optimizer as entry_of
from whichopt.service.errors import InvalidSpec
from whichopt.service.goal import Goal
from whichopt.service.space import Value
from whichopt.service.states import Direction, Origin, Phase, TrialState
from whichopt.service.trials import Schedule, Seeds, Training, TrialPlan
from whichopt.workers.guests.account import error_of
from whichopt.workers.guests.course import Course
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.run import Run

_of_trial: list[Run] = []
"""The run of the trial that this process is there for, if it is there for one."""


def run(
    optimizer: str = "adamw",
    *,
    epochs: int = 1,
    minimize: str | None = None,
    maximize: str | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    schedule: Schedule | None = None,
    **config: Value,
) -> Run:
    """Return a run that is judged by nobody; in a script that `whichopt tune` runs, the trial's.

    Args:
        optimizer: name of the optimizer in the catalog.
        epochs: number of reports.
        minimize: the metric to be as small as possible, if reports are to be checked for it.
        maximize: the metric to be as large as possible.
        seed: seed of the generators and of `run.split`.
        options: what the function finds as `run.options`.
        schedule: the schedule of the learning rate; it is constant without.
        config: hyperparameters that differ from the optimizer's default setting.

    Raises:
        UnknownName: the catalog has no such optimizer.
        InvalidSpec: the optimizer has no such hyperparameter, or both or other metrics are named.

    Example:
        >>> import torch, whichopt
        >>> by_hand = whichopt.run(optimizer="sgd", lr=0.1, epochs=2)
        >>> optimizer = by_hand.optimizer(torch.nn.Linear(2, 1))
        >>> optimizer.param_groups[0]["lr"], list(by_hand.epochs)
        (0.1, [0, 1])
    """
    goal = _goal(minimize, maximize)
    if _of_trial:
        wanted = _of_trial[-1].course.goal
        if goal is not None and (goal.metric, goal.direction) != (wanted.metric, wanted.direction):
            raise InvalidSpec(
                f"the script asks for {goal.direction} {goal.metric}, but the job is to {wanted.direction} "
                f"{wanted.metric}",
                field="workload",
                value=goal.metric,
                allowed=wanted.metric,
            )
        return _of_trial[-1]
    entry = entry_of(optimizer)
    if unknown := sorted(config.keys() - entry.default.keys()):
        raise InvalidSpec(
            f"{entry.name} has no {', '.join(unknown)}; it has {', '.join(entry.default)}",
            field=unknown[0],
            value=config[unknown[0]],
            allowed=list(entry.default),
        )
    plan = TrialPlan(
        label=entry.name,
        optimizer=entry.name,
        config={**entry.default, **config},
        training=Training(batch_size=1, schedule=schedule or Schedule(name="constant")),
        seeds=Seeds(init=seed, order=seed, split=seed),
        length=epochs,
        evaluations=tuple(range(1, epochs + 1)),
        phase=Phase.CONFIRM,
        origin=Origin.USER,
        replicate=None,
        number=0,
    )
    return hand_run(plan, Guest(name="by hand", goal=goal or ANY, options=options or {}))


ANY = Goal(metrics=("any",), direction=Direction.MINIMIZE)
"""The goal of a run by hand that names no metric."""


def hand_run(plan: TrialPlan, guest: Guest) -> Run:
    """Return a run of that plan that nothing stops, with the generators seeded."""
    made = Run(plan, guest, _Free(plan, guest.goal))
    made.seed_all()
    return made


def set_run_of_trial(trial: Run) -> None:
    """Have `run` return this one in this process."""
    _of_trial.append(trial)


def forget_run_of_trial() -> None:
    """Undo `set_run_of_trial`."""
    _of_trial.pop()


def is_in_a_trial() -> bool:
    """Tell if this process is in the middle of a trial."""
    return bool(_of_trial)


class _Free(Course):
    """A course that only checks what it is told."""

    def __init__(self, plan: TrialPlan, goal: Goal) -> None:
        super().__init__(plan, goal, _refuse_faults)

    def numbers(self, of: str, metrics: Mapping[str, Any]) -> dict[str, float]:
        if self.goal is not ANY or not metrics:
            return super().numbers(of, metrics)
        values = super().numbers(of, {**metrics, ANY.metric: next(iter(metrics.values()))})
        return {name: values[name] for name in metrics}

    def end(self, state: TrialState) -> None:
        """Go on: nobody judges it."""


def _refuse_faults(message: Mapping[str, Any]) -> None:
    if fault := message.get("fault"):
        raise error_of(fault["code"], fault["detail"])


def _goal(minimize: str | None, maximize: str | None) -> Goal | None:
    if minimize is not None and maximize is not None:
        raise InvalidSpec(
            "name one metric, as minimize or as maximize", field="maximize", value=maximize, allowed=None
        )
    if minimize is not None:
        return Goal(metrics=(minimize,), direction=Direction.MINIMIZE)
    return None if maximize is None else Goal(metrics=(maximize,), direction=Direction.MAXIMIZE)
