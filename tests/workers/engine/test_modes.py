"""An optimizer with modes: the params that are evaluated are not those that are trained."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.builders.optimizers import SIGN_DESCENT, TWO_FACED, add_to_catalog
from whichopt.service.catalog.built_in import built_in
from whichopt.service.errors import InvalidSpec
from whichopt.service.evidence.verdict.snippet import snippet
from whichopt.service.spec import JobSpec, ResolvedSpec, only_solo, resolve
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.engine.solo import SoloExecutor
from whichopt.workers.workload import Workload

MakeWorkload = Callable[..., Workload]
MakePlan = Callable[..., TrialPlan]

CLASSES = 3


@pytest.fixture(autouse=True)
def _one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    add_to_catalog(monkeypatch, TWO_FACED)


def asked(**parts: Any) -> ResolvedSpec:
    workload = {"dataset": {"name": "wine"}, "model": {"name": "linear"}}
    body = {"workload": workload, "optimizers": [TWO_FACED.name], "schedule": "constant", **parts}
    return resolve(JobSpec.model_validate(body))


def test_one_is_trained_and_the_other_is_evaluated(
    make_workload: MakeWorkload, make_plan: MakePlan, watch: Any
) -> None:
    plans = [make_plan(name, config={"lr": 0.05}) for name in (TWO_FACED.name, "sgd")]
    plans[1] = plans[1].model_copy(update={"config": {**plans[1].config, "momentum": 0.0}})
    two_faced, sgd = SoloExecutor().run(make_workload(), plans, watch)
    assert [point.value for point in two_faced.curves["validation.nll"]] == pytest.approx(
        [math.log(CLASSES)] * 3
    ), "zeros are evaluated"
    losses = [[point.value for point in result.curves["train.loss"]] for result in (two_faced, sgd)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5), "the params are trained as if nobody had looked"


def test_a_trial_goes_on_from_a_checkpoint(
    make_workload: MakeWorkload, make_plan: MakePlan, make_watch: Callable[..., Any]
) -> None:
    workload, plan, watch = make_workload(), make_plan(TWO_FACED.name), make_watch(keeping=True)
    (whole,) = SoloExecutor().run(workload, [plan], watch)
    (resumed,) = SoloExecutor().run(workload, [plan], make_watch(), resume=watch.states[0])
    assert resumed.model_copy(update={"seconds": whole.seconds}) == whole


def test_the_network_that_is_kept_is_the_one_that_is_evaluated(
    make_workload: MakeWorkload, make_plan: MakePlan, watch: Any
) -> None:
    _, network = SoloExecutor().train(make_workload(), make_plan(TWO_FACED.name), watch)
    assert all(not tensor.any() for tensor in network.values()), "zeros are evaluated"


def test_it_is_trained_alone(make_workload: MakeWorkload, make_plan: MakePlan, watch: Any) -> None:
    plans = [make_plan(name) for name in ("adam", TWO_FACED.name)]
    assert only_solo(asked(), built_in()) == {
        TWO_FACED.name: f"the optimizer {TWO_FACED.name!r} can only be trained solo"
    }
    with pytest.raises(ValueError, match="two-faced cannot be stacked"):
        EXECUTORS["stacked"]().run(make_workload(), plans, watch)
    with pytest.raises(InvalidSpec) as refused:
        asked(executor="stacked")
    assert (refused.value.field, refused.value.allowed) == ("executor", ["auto", "solo"])


def test_the_snippet_sets_its_modes(capsys: pytest.CaptureFixture[str]) -> None:
    code = snippet(asked(), TWO_FACED.name, dict(TWO_FACED.default))
    assert code.index("optimizer.train()") < code.index("for epoch") < code.index("optimizer.eval()")
    exec(compile(code, "snippet", "exec"), {})
    assert "last loss" in capsys.readouterr().out


@pytest.mark.parametrize("schedule", ["cosine", {"name": "constant", "warmup": 0.1}])
def test_its_own_schedule_stands_in_for_the_jobs(schedule: Any) -> None:
    spec = asked(schedule=schedule)
    (chosen,) = spec.optimizers
    its = spec.training_of(chosen.label, chosen.default).schedule
    assert (its.name, its.warmup) == ("constant", 0.0)
    assert spec.schedule != its
    assert "schedule" not in asked(schedule="constant").optimizers[0].space


def test_its_own_schedule_allows_no_other() -> None:
    searched = {"type": "categorical", "choices": ["constant", "cosine"]}
    for space in ({"schedule": searched}, {"schedule": "linear"}, {"warmup": 0.1}):
        with pytest.raises(InvalidSpec, match="brings its own schedule of the learning rate") as refused:
            asked(optimizers=[{"name": TWO_FACED.name, "space": space}], schedule="cosine")
        assert refused.value.field == f"optimizers.0.space.{next(iter(space))}"
        assert refused.value.allowed in ("constant", 0.0)
    function = {"workload": {"function": "ourlab.train:fit", "minimize": "loss"}, "budget": {"trials": 3}}
    with pytest.raises(InvalidSpec, match="brings its own schedule of the learning rate") as refused:
        asked(schedule="cosine", **function)
    assert (refused.value.field, refused.value.allowed) == ("schedule", ["constant"])


def test_a_step_that_calls_a_closure_is_for_peoples_own_functions_alone() -> None:
    entry = dataclasses.replace(SIGN_DESCENT, name="sharp", needs_closure=True)
    catalog = dataclasses.replace(built_in(), optimizers=(entry,))
    assert not entry.stackable
    body = {"optimizers": ["sharp"], "budget": {"trials": 3}}
    with pytest.raises(InvalidSpec, match="each step of sharp calls a closure") as refused:
        resolve(JobSpec.model_validate({**body, "workload": {"dataset": "wine", "model": "linear"}}), catalog)
    assert refused.value.field == "optimizers"
    workload = {"function": "ourlab.train:fit", "minimize": "loss"}
    own = resolve(JobSpec.model_validate({**body, "workload": workload}), catalog)
    assert own.optimizer("sharp").facts.needs_closure
