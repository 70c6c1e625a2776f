"""The run that a training function is handed: optimizer, epochs, schedule, reports, seeds."""

from __future__ import annotations

import math
import random
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.builders.optimizers import TWO_FACED, add_to_catalog
from tests.builders.training_functions import LOSS, X, at_first_step, plan, run_of, told_of
from whichopt.service.goal import Goal
from whichopt.service.states import Direction, Phase, TrialState
from whichopt.service.trials import Schedule
from whichopt.workers.guests.run import Stopped, seed_of


def test_the_optimizer_is_torchs_own_class_with_the_config() -> None:
    run, _ = run_of(plan("adamw", config={"lr": 0.01, "weight_decay": 0.3, "beta1": 0.8}))
    optimizer = run.optimizer(nn.Linear(3, 1))
    assert type(optimizer) is torch.optim.AdamW
    group = optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.01, (0.8, 0.999), 0.3)
    assert group["fused"] is None
    assert run.lr == 0.01
    assert run.config["beta1"] == 0.8


def test_what_a_group_fixes_stays_fixed() -> None:
    run, _ = run_of(plan("sgd", config={"lr": 0.1, "weight_decay": 0.01}))
    body, head = nn.Linear(3, 3), nn.Linear(3, 1)
    optimizer = run.optimizer(
        [{"params": body.parameters()}, {"params": head.parameters(), "lr": 10 * run.lr, "weight_decay": 0}]
    )
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 1.0]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0]


@pytest.mark.parametrize("named", [False, True])
def test_biases_and_norms_can_go_without_decay(named: bool) -> None:
    run, _ = run_of(plan("adamw", config={"weight_decay": 0.1}))
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = run.optimizer(model.named_parameters() if named else model, no_decay=True)
    decay, rest = optimizer.param_groups
    assert (decay["weight_decay"], rest["weight_decay"]) == (0.1, 0.0)
    assert [param.ndim for param in decay["params"]] == [2]
    assert [param.ndim for param in rest["params"]] == [1, 1, 1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lr": 0.1}, "lr is searched; run.lr has it"),
        ({"weight_decay": 0.1}, "weight_decay: it is searched; run.config has it"),
        ({"amsgrad": True}, "takes no amsgrad; it takes name, no_decay"),
    ],
)
def test_what_the_search_sets_is_refused(given: dict[str, Any], said: str) -> None:
    run, _ = run_of(plan("adamw"))
    with pytest.raises(TypeError, match=said):
        run.optimizer(nn.Linear(3, 1), **given)


def test_an_option_for_speed_is_left_out_where_the_class_lacks_it_and_another_is_refused() -> None:
    assert run_of(plan("sgd"))[0].optimizer(nn.Linear(3, 1), fused=True).defaults["fused"] is True
    qhadam, _ = run_of(plan("qhadam"))
    with pytest.raises(TypeError, match="QHAdam has no option capturable"):
        qhadam.optimizer(nn.Linear(3, 1), capturable=True)
    assert "fused" not in qhadam.optimizer(nn.Linear(3, 1), fused=True).defaults


def test_a_second_optimizer_needs_a_name_and_has_the_same_config() -> None:
    run, _ = run_of(plan("adam", config={"lr": 0.02}))
    run.optimizer(nn.Linear(3, 1))
    with pytest.raises(ValueError, match="a name of its own"):
        run.optimizer(nn.Linear(3, 1))
    assert run.optimizer(nn.Linear(3, 1), name="critic").param_groups[0]["lr"] == 0.02
    with pytest.raises(ValueError, match="with the name 'critic'"):
        run.optimizer(nn.Linear(3, 1), name="critic")


def test_an_optimizer_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no params"):
        run_of(plan())[0].optimizer([])


def test_an_optimizer_with_two_faces_follows_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    add_to_catalog(monkeypatch, TWO_FACED)
    run, _ = run_of(plan("two-faced"))
    model = nn.Sequential(nn.Linear(3, 1))
    with pytest.raises(TypeError, match=r"give run.optimizer the model"):
        run.optimizer(model.parameters())
    optimizer = run.optimizer(model)
    model(X).mean().backward()
    optimizer.step()
    model.eval()
    assert model(X).abs().sum() == 0
    for module in model.modules():
        module.training = True  # as Lightning does, without a call of train()
    assert model[0](X).abs().sum() > 0
    optimizer.step()


def test_the_schedule_is_the_jobs_with_the_step_in_the_middle() -> None:
    run, _ = run_of(plan("sgd", epochs=2, config={"lr": 1.0}, schedule=Schedule(name="linear")))
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    scheduler = run.scheduler(optimizer, 2)
    seen = []
    for _ in range(5):
        seen.append(optimizer.param_groups[0]["lr"])
        model(X).mean().backward()
        optimizer.step()
        scheduler.step()
    assert seen == pytest.approx([0.875, 0.625, 0.375, 0.125, 0.0])
    with pytest.raises(ValueError, match="steps_per_epoch=0"):
        run.scheduler(optimizer, 0)


def test_the_schedule_step_multiplies_at_its_milestones() -> None:
    run, _ = run_of(plan("sgd", epochs=2, config={"lr": 1.0}, schedule=Schedule(name="step", factor=0.5)))
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    scheduler = run.scheduler(optimizer, 2)
    seen = []
    for _ in range(4):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert seen == [1, 1, 0.5, 0.25]


def test_epochs_are_a_range() -> None:
    run, _ = run_of(plan(epochs=3))
    assert (list(run.epochs), len(run.epochs), run.epochs[-1], run.max_epochs) == ([0, 1, 2], 3, 2, 3)
    assert repr(run.epochs) == "range(0, 3)"


def test_reports_are_told_with_the_steps_and_the_jobs_metric_first() -> None:
    run, told = run_of(plan(epochs=2))
    model = nn.Linear(3, 1)
    at_first_step(run, model)
    run.report(accuracy=np.float32(0.5), loss=torch.tensor(1.5, requires_grad=True))
    (report,) = told_of(told, "report")
    assert list(report["metrics"].items()) == [("loss", 1.5), ("accuracy", 0.5)]
    assert (report["epoch"], report["steps"]) == (1, 1)


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({}, "run.report has nothing, but the job is judged by 'loss'"),
        ({"los": 1.0}, "if you mean 'los', name that one in the job"),
        ({"loss": True}, "takes a number or a tensor of one, not bool"),
        ({"loss": torch.ones(2)}, r"not of shape \(2,\)"),
        ({"loss": "1.0"}, "not str"),
        ({"loss": 1.0, "val loss": 1.0}, "cannot have a metric of the name 'val loss'"),
    ],
)
def test_a_report_needs_the_jobs_metric_as_a_number(metrics: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        run_of(plan())[0].report(**metrics)


def test_a_report_without_a_name_is_told_how_to_give_one() -> None:
    run, told = run_of(plan())
    with pytest.raises(TypeError, match=r"by name, as run\.report\(loss=\.\.\.\)"):
        run.report(0.3)
    assert told_of(told, "report") == []


@pytest.mark.parametrize(
    ("direction", "second", "pruned"),
    [
        (Direction.MINIMIZE, 2.1, True),
        (Direction.MINIMIZE, 2.0, False),
        (Direction.MAXIMIZE, 1.9, True),
        (Direction.MAXIMIZE, 2.0, False),
    ],
)
def test_a_rung_prunes_what_is_worse(direction: Direction, second: float, pruned: bool) -> None:
    goal = Goal(metrics=("loss",), direction=direction)
    run, told = run_of(plan(epochs=3, rungs=[(2, 2.0)]), goal)
    run.report(loss=100.0)
    if not pruned:
        run.report(loss=second)
        return
    with pytest.raises(Stopped) as stopped:
        run.report(loss=second)
    assert stopped.value.state is TrialState.PRUNED
    assert stopped.value.code == 0
    assert told[-1] == {"decided": "pruned"}
    with pytest.raises(Stopped):  # whoever swallows it meets it again
        run.report(loss=0.0)


def test_the_last_epoch_prunes_nothing() -> None:
    run, _ = run_of(plan(epochs=1, rungs=[(1, 2.0)]))
    run.report(loss=3.0)


def test_a_value_that_is_not_finite_diverges() -> None:
    for call in ("report", "result", "test"):
        run, told = run_of(plan(phase=Phase.CONFIRM))
        with pytest.raises(Stopped):
            getattr(run, call)(**({"loss": math.nan} if call != "test" else {"scores": math.inf}))
        assert told[-1] == {"decided": "diverged"}
    run, _ = run_of(plan())
    run.report(loss=1.0, accuracy=math.nan)  # which decides nothing


def test_a_report_too_many_is_a_fault() -> None:
    run, told = run_of(plan(epochs=1))
    run.report(loss=1.0)
    with pytest.raises(Stopped):
        run.report(loss=1.0)
    fault = told_of(told, "fault")[0]
    assert fault["code"] == "function_too_long"
    assert "after 1 epoch:" in fault["detail"]


def test_a_result_is_given_once() -> None:
    run, told = run_of(plan(epochs=1))
    run.report(loss=2.0)
    run.result(loss=1.0)
    assert told_of(told, "result") == [{"loss": 1.0}]
    with pytest.raises(RuntimeError, match="once"):
        run.result(loss=1.0)


def test_the_test_part_is_scored_in_confirm_only() -> None:
    run, told = run_of(plan())
    run.split(30)
    run.test(lambda _: pytest.fail("a search looks at the test part"))
    assert told_of(told, "test") == []

    run, told = run_of(plan(phase=Phase.CONFIRM))
    run.split(30)
    run.test(lambda rows: {"loss": len(rows), "accuracy": 0.5})
    assert told_of(told, "test") == [{"loss": 6.0, "accuracy": 0.5}]
    with pytest.raises(RuntimeError, match="once"):
        run.test(1.0)

    run, told = run_of(plan(phase=Phase.CONFIRM))
    run.test(lambda: 0.25)
    assert told_of(told, "test") == [{"loss": 0.25}]


def test_all_generators_are_seeded_by_the_plan() -> None:
    def drawn(seed: int) -> tuple[int, float, float, float]:
        run, _ = run_of(plan(seed=seed))
        return run.seed, random.random(), float(np.random.rand()), float(torch.rand(()))

    assert drawn(1) == drawn(1)
    assert all(a != b for a, b in zip(drawn(1), drawn(2), strict=True))
    assert 0 <= seed_of(plan(seed=3).seeds) < 2**31


def test_options_are_the_persons() -> None:
    assert run_of(plan(), options={"depth": 3})[0].options == {"depth": 3}
    assert run_of(plan(), LOSS)[0].options == {}


def test_a_callback_needs_its_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning.pytorch", "pytorch_lightning", "transformers"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    run, _ = run_of(plan())
    with pytest.raises(RuntimeError, match="import it first"):
        run.lightning()
    with pytest.raises(RuntimeError, match="import it first"):
        run.transformers()
