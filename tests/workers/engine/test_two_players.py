"""A generator and a critic under both executors: their steps, company, and a run that is taken up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.builders.trials import spec_of
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.rounds import next_round
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Trial, TrialPlan, TrialResult
from whichopt.workers.engine import Executor, Unwatched
from whichopt.workers.engine.executors import EXECUTORS, STACKING
from whichopt.workers.engine.solo import TrialRun
from whichopt.workers.engine.stackable import why_only_solo
from whichopt.workers.sampler import suggest
from whichopt.workers.workload import Batch, Workload, batches, build

MakePlan = Callable[..., TrialPlan]

NAMES = [entry.name for entry in OPTIMIZERS if entry.stackable and not entry.facts.needs_closure]

TOO_LARGE = 1e30

KINDS: dict[str, dict[str, Any]] = {
    "nonsaturating": {"name": "gan", "hidden": [16, 8], "critic_steps": 2},
    "spectral": {"name": "gan", "hidden": [16], "spectral_norm": True},
    "penalty": {"name": "gan", "hidden": [16, 8], "loss": "wgan-gp", "critic_steps": 3},
    "both": {"name": "gan", "hidden": [16], "loss": "wgan-gp", "spectral_norm": True},
    "vae": {"name": "vae", "hidden": [16], "latent": 3},
}


def _workload(kind: str, dataset: Any = None) -> Workload:
    data = dataset or ("digits" if kind == "vae" else {"name": "ring", "examples": 300})
    task = "autoencoding" if kind == "vae" else "generation"
    workload = {"dataset": data, "model": KINDS[kind], "task": task}
    return build(spec_of("adam", workload=workload).cataloged)


def _untimed(results: Sequence[TrialResult]) -> list[TrialResult]:
    return [result.model_copy(update={"seconds": 0.0}) for result in results]


def _plans(make_plan: MakePlan) -> list[TrialPlan]:
    """Different optimizers, seeds and phases; one that diverges and leaves the others."""
    return [
        make_plan("adam", config={"lr": 1e-3}),
        make_plan("adabelief", init=5, order=8, split=4, config={"lr": 1e-3}),
        make_plan("sgd", config={"lr": TOO_LARGE}),
        make_plan("sgd", order=9, phase=Phase.CONFIRM, config={"lr": 1e-3}, clip_norm=0.5),
        make_plan("adam", init=6, phase=Phase.CONFIRM, config={"lr": 3e-3}),
    ]


@pytest.fixture(params=list(EXECUTORS))
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]()


ALL = [(kind, way) for way in EXECUTORS for kind in (KINDS if way != "solo" else ("both",))]
"""Alone, a trial has no company; of these the one with the most to save stands for all."""


@pytest.mark.bits
@pytest.mark.parametrize(("kind", "way"), ALL)
def test_neither_company_nor_a_stop_changes_a_bit(
    kind: str, way: str, make_plan: MakePlan, watch: Any, make_watch: Any
) -> None:
    workload, plans, executor = _workload(kind), _plans(make_plan), EXECUTORS[way]()
    saved = make_watch(keeping=True)
    whole = _untimed(executor.run(workload, plans, saved))
    assert [result.state for result in whole].count(TrialState.DIVERGED) == 1
    alone = [result for plan in plans for result in executor.run(workload, [plan], watch)]
    assert _untimed(alone) == whole
    assert len(saved.states) >= 3
    for state in (saved.states[0], saved.states[len(saved.states) // 2]):
        assert _untimed(executor.run(workload, plans, make_watch(), state)) == whole


@pytest.mark.parametrize("kind", KINDS)
def test_both_executors_train_alike(kind: str, make_plan: MakePlan, watch: Any) -> None:
    """19 small steps: what kernels round differently (6e-8 a number) grows by the steps, and a penalty's
    second derivatives add to it."""
    plans = [plan for plan in _plans(make_plan) if plan.config["lr"] != TOO_LARGE]
    workload = _workload(kind)
    ways = [made().run(workload, plans, watch) for made in EXECUTORS.values()]
    for results in zip(*ways, strict=True):
        first, *others = results
        for other in others:
            assert (other.state, other.steps) == (first.state, first.steps)
            for name, curve in first.curves.items():
                if name != "validation.modes":
                    found = [point.value for point in other.curves[name]]
                    assert found == pytest.approx([point.value for point in curve], rel=2e-3, abs=1e-5)


def test_a_generator_and_its_critic_can_be_stacked(make_plan: MakePlan) -> None:
    for kind in KINDS:
        assert why_only_solo(_workload(kind), [make_plan("adam")]) is None


def _counts(state: Any) -> Iterator[int]:
    """Every count of steps in the state of an optimizer."""
    if isinstance(state, dict):
        for key, value in state.items():
            if key in ("step", "k", "t") and isinstance(value, int | float | Tensor):
                yield int(value)
            else:
                yield from _counts(value)
    elif isinstance(state, list | tuple):
        for value in state:
            yield from _counts(value)


@pytest.mark.parametrize("name", NAMES)
def test_each_players_optimizer_counts_its_own_steps(name: str, make_plan: MakePlan) -> None:
    """Of 7 steps the critic takes 7 and a generator that steps at every third 3: at the first, the fourth and
    the seventh; what corrects a bias or warms up (RAdam, QHAdam) goes by these."""
    workload = _workload("penalty")
    plan = make_plan(name, batch_size=16)
    alone = TrialRun(workload, plan)
    alone.train(7 * 16)
    states = [learner.optimizer.state_dict()["state"] for learner in alone.learners]
    counted = [set(_counts(state)) for state in states]
    assert counted in ([{7}, {3}], [set(), set()]), "an optimizer that counts nothing has no counts"
    if STACKING is not None:
        stack = STACKING.rehearsal(workload, [plan, plan], block=2)
        stack.train(7 * 16)
        of_stack = [player.state()["steps"] for player in stack.stack.players]  # type: ignore[attr-defined]
        found = [set(_counts([state.get("state", state) for state in player])) for player in of_stack]
        assert found == counted


def test_a_player_moves_at_its_own_steps_alone(make_plan: MakePlan) -> None:
    """With critic_steps 3 the generator stands still at the second and the third step."""
    trial = TrialRun(_workload("penalty"), make_plan("sgd", batch_size=16, config={"lr": 0.05}))

    def params() -> list[Tensor]:
        return [
            torch.cat([param.detach().flatten() for param in learner.params]).clone()
            for learner in trial.learners
        ]

    moved = []
    for step in range(1, 6):
        before = params()
        trial.train(16 * step)
        moved.append([not torch.equal(one, other) for one, other in zip(before, params(), strict=True)])
    assert moved == [[True, True], [True, False], [True, False], [True, True], [True, False]]


@pytest.mark.parametrize("way", EXECUTORS)
def test_the_ledger_counts_a_step_of_both_players_once(way: str, make_plan: MakePlan, watch: Any) -> None:
    """300 examples in batches of 16, cut anew at 112 and at 208: 7, 6 and 6 batches."""
    (result,) = EXECUTORS[way]().run(_workload("nonsaturating"), [make_plan("adam")], watch)
    assert (result.steps, result.examples) == (19, 300)


def test_each_players_gradient_is_clipped_by_itself(make_plan: MakePlan) -> None:
    """SGD without momentum moves a player by lr times its gradient, so by lr times the norm at most."""
    sgd = {"lr": 1.0, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False}
    schedule = {"name": "constant"}
    plan = make_plan("sgd", config=sgd, clip_norm=1e-3, schedule=schedule)
    trial = TrialRun(_workload("penalty"), plan)
    for learner in trial.learners:
        before = [param.detach().clone() for param in learner.params]
        batch = next(_first_batches(trial))
        learner.step(batch, 1.0)
        moved = torch.cat(
            [(param - old).flatten() for param, old in zip(learner.params, before, strict=True)]
        ).norm()
        # Both players' gradients are longer than that, and float32 params round by 6e-8 of about 0.3 each.
        assert moved.item() == pytest.approx(1e-3, rel=1e-2)


def _first_batches(trial: TrialRun) -> Iterator[Batch]:
    return batches(trial.splits.train, 1, 0, [16], draw=trial.workload.draw)


def test_a_sample_of_points_and_of_images(make_plan: MakePlan, executor: Executor, watch: Any) -> None:
    plan = make_plan("adam", phase=Phase.CONFIRM)
    (points,) = executor.run(_workload("nonsaturating", {"name": "ring", "examples": 2000}), [plan], watch)
    assert points.sample is not None
    assert (points.sample.kind, points.sample.shape) == ("points", (256, 2))
    (images,) = executor.run(_workload("penalty", "digits"), [plan], watch)
    assert images.sample is not None
    assert (images.sample.kind, images.sample.shape) == ("images", (64, 1, 8, 8))
    assert points.reference is not None
    assert (points.reference["modes"], points.reference["high_quality"]) == (0, 0)


@pytest.mark.parametrize("metric", ["modes", "sliced_wasserstein"])
def test_a_job_is_concluded_even_if_all_runs_score_the_same(metric: str) -> None:
    """After two epochs no generator has found a mode: values without any spread are a tie, and no error."""
    workload = {
        "dataset": {"name": "ring", "examples": 300},
        "model": {"name": "gan", "hidden": [4]},
        "metric": metric,
    }
    spec = spec_of("adam", "sgd", trials=4, replicates=2, seeds=3, rules=2, workload=workload).with_executor(
        "solo"
    )
    trials: list[Trial] = []
    while (planned := next_round(spec, trials, suggest)) is not None:
        for plans in planned.cohorts:
            results = EXECUTORS["solo"]().run(build(spec.cataloged), plans, Unwatched())
            trials += [
                Trial(plan=plan, state=result.state, result=result)
                for plan, result in zip(plans, results, strict=True)
            ]
    found = recommend("job", spec, trials)
    assert found.metric == metric
    assert found.snippet is not None
    if metric == "modes":
        assert found.verdict == "tie"
        assert found.value is not None
        assert found.value.mean == 0
