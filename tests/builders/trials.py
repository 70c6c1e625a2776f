"""Jobs whose results are invented, so that the truth about them is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from whichopt.service.evidence.verdict.confirm_table import arms_at
from whichopt.service.planning.finalists import Finalist, finalists, todays_arm
from whichopt.service.planning.looks import planned_looks
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.states import Direction, Origin, Phase, TrialState
from whichopt.service.trials import Seeds, Trial, TrialPlan, TrialResult

CONSTANT = 2.3
"""What a constant predictor scores: the value of a diverged confirm run."""

Outcome = float | None
"""The value of a run; None where it diverged."""

Confirm = Callable[[Finalist, int], Outcome]
"""The value of a finalist's run on a fresh seed."""


def spec_of(
    *optimizers: str | dict[str, Any],
    trials: int = 6,
    replicates: int = 3,
    seeds: int = 5,
    dataset: str = "digits",
    rules: int = 1,
    **rest: Any,
) -> ResolvedSpec:
    """Return a job that is planned and judged by those rules: by rules 1, a job of before they changed."""
    resolved = resolve(
        JobSpec.model_validate(
            {
                "workload": {"dataset": {"name": dataset}, "model": {"name": "mlp"}},
                "optimizers": list(optimizers),
                "budget": {"trials": trials, "replicates": replicates, "confirm_seeds": seeds, "epochs": 2},
                **rest,
            }
        )
    )
    return resolved.model_copy(update={"rules": rules})


def mirrored(spec: ResolvedSpec) -> ResolvedSpec:
    """Return the same job with a metric to maximize."""
    goal = spec.goal.model_copy(update={"direction": Direction.MAXIMIZE})
    return spec.model_copy(update={"workload": spec.workload.model_copy(update={"goal": goal})})


def searched_lr(replicate: int, number: int) -> float:
    """The lr of a search trial that is not its study's first: no two are equal, and none is at an edge."""
    return 2e-3 + 1e-4 * replicate + 1e-6 * number


def search(spec: ResolvedSpec, values: Mapping[str, Sequence[Sequence[Outcome]]]) -> list[Trial]:
    """The search trials: per label and study, the value of each trial, the default's first."""
    trials = []
    for label, studies in values.items():
        default = spec.optimizer(label).default
        for replicate, study in enumerate(studies):
            for number, value in enumerate(study):
                config = {**default, "lr": searched_lr(replicate, number)} if number else default
                plan = plan_of(spec, label, config, Phase.SEARCH, replicate, number)
                trials.append(trial_of(spec, plan, value))
    return trials


def confirm(
    spec: ResolvedSpec,
    searched: Sequence[Trial],
    value: Confirm,
    *,
    validation: Confirm | None = None,
    seeds: int | None = None,
) -> list[Trial]:
    """The whole job: `searched`, and the runs on the fresh seeds.

    They are of every finalist, and by rules 2 after the first stage of champions alone;
    and of today's config, if the job has one.
    """
    trials = list(searched)
    every = len(finalists(spec, searched))
    todays = [] if spec.today is None else [todays_arm(spec.today)]
    for number in range(planned_looks(spec, every)[-1] if seeds is None else seeds):
        for arm in [*arms_at(spec, trials, number), *todays]:
            plan = plan_of(
                spec, arm.label, arm.config, Phase.CONFIRM, arm.replicate, number, origin=arm.origin
            )
            shown = None if validation is None else validation(arm, number)
            trials.append(trial_of(spec, plan, value(arm, number), validation=shown))
    return trials


def plan_of(
    spec: ResolvedSpec,
    label: str,
    config: Mapping[str, Any],
    phase: Phase,
    replicate: int | None,
    number: int,
    *,
    origin: Origin | None = None,
) -> TrialPlan:
    return TrialPlan(
        label=label,
        optimizer=spec.optimizer(label).name,
        config=dict(config),
        training=spec.training_of(label, dict(config)),
        seeds=Seeds(init=number, order=number, split=number),
        length=100,
        evaluations=(100,),
        phase=phase,
        origin=origin or (Origin.RANDOM if number else Origin.DEFAULT),
        replicate=replicate,
        number=number,
    )


def trial_of(spec: ResolvedSpec, plan: TrialPlan, value: Outcome, *, validation: Outcome = None) -> Trial:
    metric = "rmse" if spec.workload.task == "regression" else "nll"
    state = TrialState.DIVERGED if value is None else TrialState.COMPLETE
    confirms = plan.phase is Phase.CONFIRM
    shown = value if validation is None else validation
    result = TrialResult(
        state=state,
        value=value,
        metrics={} if shown is None else {"validation": {metric: shown}},
        curves={},
        reference={metric: CONSTANT} if confirms else None,
        steps=10,
        examples=100,
        seconds=0.1,
    )
    return Trial(plan=plan, state=state, result=result)


def flat(spec: ResolvedSpec, value: float = 0.5) -> list[Trial]:
    """Search trials in which every study's last trial is its best, and nothing is told between labels."""
    study = [value + 0.1 * (spec.budget.study_trials - n) for n in range(spec.budget.study_trials)]
    return search(spec, {label: [study] * spec.budget.replicates for label in spec.labels})
