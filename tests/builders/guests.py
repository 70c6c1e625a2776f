"""Jobs about a person's own function, with invented results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from whichopt.service.guests import Finding, Rehearsed, Start
from whichopt.service.planning.rounds import next_round
from whichopt.service.space import Config
from whichopt.service.spec import JobSpec, ResolvedOptimizer, ResolvedSpec, resolve
from whichopt.service.states import Origin, Phase, TrialState
from whichopt.service.trials import Point, Trial, TrialPlan, TrialResult

SOURCE = "0f" * 32
STEPS = 25
"""Steps of the optimizer in an epoch."""

GUEST: dict[str, Any] = {
    "name": "ours",
    "workload": {"function": "ourlab.train:fit", "minimize": "val_loss"},
    "optimizers": ["adamw", "sgd"],
    "budget": {"trials": 8, "replicates": 2, "epochs": 4, "confirm_seeds": 5},
}


def rehearsed(spec: ResolvedSpec, **facts: Any) -> Rehearsed:
    known: dict[str, Any] = {
        "source": SOURCE,
        "metrics": (spec.goal.metric, "accuracy"),
        "epoch_seconds": dict.fromkeys(spec.labels, 2.0),
        "fixed_seconds": dict.fromkeys(spec.labels, 1.0),
        "judged_on": "split",
        "parts": (600, 200, 200),
        "scheduled": False,
        "closure": False,
        "pretrained": False,
        "params": 1234,
        "repeats": "bits",
        "paired": True,
        "findings": (),
        **facts,
    }
    return Rehearsed(**known)


def guest_spec(
    *,
    judged_on: Literal["split", "test", "validation"] = "split",
    workload: dict[str, Any] | None = None,
    findings: Sequence[Finding] = (),
    **rest: Any,
) -> ResolvedSpec:
    """A resolved job whose function was rehearsed."""
    body = {**GUEST, **rest, "workload": {**GUEST["workload"], **(workload or {})}}
    spec = resolve(JobSpec.model_validate(body))
    assert spec.guest is not None
    parts = (600, 200, 200) if judged_on == "split" else None
    known = rehearsed(spec, judged_on=judged_on, parts=parts, findings=tuple(findings))
    return spec.model_copy(update={"workload": spec.guest.with_rehearsal(known)})


def start_of(plan: TrialPlan) -> Start:
    """What a well-behaved function starts from: all follows from the seeds."""
    digits = f"{plan.seeds.init:016x}"[-16:]
    return Start(
        params=digits,
        gradient=digits[::-1],
        generators={"torch": digits, "numpy": digits, "python": digits},
        count=1234,
        groups=(
            {"lr": plan.config["lr"], "weight_decay": plan.config.get("weight_decay", 0.0)},
            {"lr": plan.config["lr"], "weight_decay": 0.0},
        ),
        closure=False,
    )


Value = Callable[[TrialPlan, int], float | None]
"""What a run reports after an epoch; None if it diverged there."""


def usual(plan: TrialPlan, epoch: int) -> float | None:
    """A loss that falls, the less for a larger lr's distance from 0.01, and a little noise of the seed."""
    luck = (plan.seeds.order % 97) / 970
    return 1.0 / epoch + abs(float(plan.config["lr"]) - 0.01) + luck + (plan.label == "sgd") * 0.3


def result_of(
    spec: ResolvedSpec, plan: TrialPlan, value: Value = usual, *, reports: int | None = None
) -> TrialResult:
    """What `GuestExecutor` returns for a plan whose function reports so often."""
    metric, split = spec.goal.metric, spec.workload.judged_split
    points: list[Point] = []
    state = TrialState.COMPLETE
    rungs = {rung.examples: rung.threshold for rung in plan.rungs}
    for epoch in range(1, (reports or plan.length) + 1):
        reported = value(plan, epoch)
        if reported is None:
            state = TrialState.DIVERGED
            break
        points.append(Point(STEPS * epoch, epoch, reported))
        missed = epoch in rungs and spec.goal.sign * reported > spec.goal.sign * rungs[epoch]
        if missed and epoch < plan.length:
            state = TrialState.PRUNED
            break
    done = points[-1] if points else Point(0, 0, 0.0)
    scores = {"validation": {metric: done.value, "accuracy": 0.5}} if points else {}
    confirms = plan.phase is Phase.CONFIRM
    judged = done.value
    if confirms and split == "test" and state is TrialState.COMPLETE:
        judged = done.value + 0.05
        scores["test"] = {metric: judged}
    ended = state is TrialState.COMPLETE
    return TrialResult(
        state=state,
        value=judged if ended else None,
        metrics=scores,
        curves={spec.goal.curve: points},
        reference=None
        if spec.workload.baseline is None or not confirms
        else {metric: spec.workload.baseline},
        steps=done.step,
        examples=done.examples,
        seconds=1.0 + 2.0 * done.examples,
        start=start_of(plan),
    )


def at_random(
    spec: ResolvedSpec,
    chosen: ResolvedOptimizer,
    earlier: Sequence[Trial],
    replicate: int,
    numbers: range,
    *,
    startup: int,
) -> list[tuple[Config, Origin]]:
    """Suggest configs without Optuna: the default, then others that differ in lr."""
    del spec, earlier, startup
    return [
        (chosen.default, Origin.DEFAULT)
        if number == 0
        else ({**chosen.default, "lr": 2e-3 + 1e-3 * number + 1e-4 * replicate}, Origin.RANDOM)
        for number in numbers
    ]


def whole_job(spec: ResolvedSpec, value: Value = usual, **of_result: Any) -> list[Trial]:
    """All trials of a job, round by round, as they would be planned."""
    trials: list[Trial] = []
    while (planned := next_round(spec, trials, at_random)) is not None:
        for cohort in planned.cohorts:
            for plan in cohort:
                result = result_of(spec, plan, value, **of_result)
                trials.append(Trial(plan=plan, state=result.state, result=result))
    return trials
