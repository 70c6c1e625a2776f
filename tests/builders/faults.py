"""Training functions with a fault that a rehearsal finds, and others that nearly have it."""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tests.builders.rehearsals import Function, trained
from tests.builders.training_functions import ROWS, X, Y, epoch, score
from whichopt.workers.guests.run import Run, Stopped

PRETRAINED = nn.Linear(3, 1)
"""A network that is made when the module is imported."""

COUNTER = "COUNTER_OF_FAULTS"
"""Variable of the file by which functions know how often they have run; copies of a process know nothing."""


def runs_so_far() -> int:
    with Path(os.environ[COUNTER]).open("a") as file:
        file.write("x")
        file.flush()
        return file.tell()


def one_epoch(run: Run, model: nn.Module | None = None) -> nn.Module:
    model = nn.Linear(3, 1) if model is None else model
    epoch(model, run.optimizer(model), range(32))
    return model


# -- what it raises ----------------------------------------------------------------------------------------


def raises_at_the_end(run: Run) -> None:
    trained(run)
    raise AttributeError("no such thing")


def raises_in_the_test_part(run: Run) -> None:
    fitted, _ = run.split(ROWS)
    epoch(model := nn.Linear(3, 1), run.optimizer(model), fitted)
    run.report(loss=1.0)
    run.test(lambda rows: score(model, rows.missing))


def exits_with_three(run: Run) -> None:
    trained(run)
    raise SystemExit(3)


def lacks_the_metric(run: Run) -> None:
    one_epoch(run)
    run.report(los=1.0)


def gives_a_result_twice(run: Run) -> None:
    trained(run)
    run.result(loss=1.0)
    run.result(loss=1.0)


def raises_for_itself(run: Run) -> None:
    with contextlib.suppress(KeyError):
        raise KeyError("a part that may be absent")
    trained(run)


def exits_with_zero(run: Run) -> None:
    trained(run)
    raise SystemExit


def prints_megabytes(run: Run) -> None:
    for _ in range(64):
        os.write(1, b"x" * 2**16)
    trained(run)


def asks_for_threads(run: Run) -> None:
    torch.set_num_threads(4)
    large = torch.ones(600, 600)
    torch.mm(large, large)
    trained(run)


def leaves_a_thread(run: Run) -> None:
    threading.Thread(target=time.sleep, args=(3600,)).start()
    trained(run)


def restores_its_best(run: Run) -> None:
    fitted, validation = run.split(ROWS)
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    best, kept = float("inf"), model.state_dict()
    for _ in run.epochs:
        epoch(model, optimizer, fitted)
        loss = score(model, validation)
        run.report(loss=loss)
        if loss < best:
            best, kept = loss, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    run.result(loss=score(model, validation))
    run.test(lambda rows: score(model, rows))


# -- reports -----------------------------------------------------------------------------------------------


def mute(run: Run) -> None:
    one_epoch(run)
    run.result(loss=1.0)


def reports_at_the_end(run: Run) -> None:
    model = one_epoch(run)
    for _ in range(run.max_epochs):
        run.report(loss=score(model, range(8)))
    run.result(loss=score(model, range(8)))


def reports_twice(run: Run) -> None:
    model = one_epoch(run)
    for _ in range(2):
        run.report(loss=score(model, range(8)))


def reports_on_and_swallows_the_end(run: Run) -> None:
    model = one_epoch(run)
    for _ in range(5):
        with contextlib.suppress(Stopped):
            run.report(loss=score(model, range(8)))


def swallows_every_exit(run: Run) -> None:
    with contextlib.suppress(BaseException):
        trained(run)


def stops_its_own_way(run: Run) -> None:
    """Leaves the loop early, so that there are fewer reports than epochs: its own early stopping."""
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        epoch(model, optimizer, range(32))
        run.report(loss=score(model, range(32, 40)))
        break


# -- steps -------------------------------------------------------------------------------------------------


def makes_no_optimizer(run: Run) -> None:
    run.report(loss=1.0)


def never_steps(run: Run) -> None:
    run.optimizer(nn.Linear(3, 1))
    run.report(loss=1.0)


def steps_with_its_own(run: Run) -> None:
    model = nn.Linear(3, 1)
    run.optimizer(model)
    epoch(model, torch.optim.Adam(model.parameters()), range(32))
    run.report(loss=score(model, range(32, 40)))


def reports_before_it_steps(run: Run) -> None:
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        run.report(loss=score(model, range(32, 40)))
        epoch(model, optimizer, range(32))


def steps_by_closures(run: Run) -> None:
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        rows = torch.randperm(32)[:16]

        def closure(rows: torch.Tensor = rows) -> torch.Tensor:
            optimizer.zero_grad()
            loss = F.mse_loss(model(X[rows]), Y[rows])
            torch.autograd.backward(loss)
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]
        run.report(loss=score(model, range(32, 40)))


# -- seeds -------------------------------------------------------------------------------------------------


def seeds_itself(run: Run) -> None:
    torch.manual_seed(42)
    trained(run)


def seeds_after_the_model(run: Run) -> None:
    """As Trainer does by its default seed: the params differ, the order and dropout do not."""
    model = nn.Linear(3, 1)
    torch.manual_seed(42)
    trained(run, model)


def draws_nothing(run: Run) -> None:
    trained(run, copy.deepcopy(PRETRAINED), shuffled=False)


def seeds_by_the_run(run: Run) -> None:
    torch.manual_seed(run.seed)
    trained(run)


def tunes_a_pretrained_network(run: Run) -> None:
    trained(run, copy.deepcopy(PRETRAINED))


def adapts_a_frozen_network(run: Run) -> None:
    """As LoRA: the trained params are zero for every seed, and only the order is drawn."""
    body, adapter = copy.deepcopy(PRETRAINED).requires_grad_(False), nn.Linear(3, 1)
    nn.init.zeros_(adapter.weight)
    nn.init.zeros_(adapter.bias)
    model = nn.ModuleList([body, adapter])
    model.forward = lambda x: body(x) + adapter(x)
    trained(run, model)


def draws_the_split_alone(run: Run) -> None:
    fitted, validation = run.split(ROWS)
    model = copy.deepcopy(PRETRAINED)
    optimizer = run.optimizer(model)
    torch.autograd.backward(F.mse_loss(model(X[fitted]), Y[fitted]))
    optimizer.step()
    run.report(loss=score(model, validation))
    run.test(lambda rows: score(model, rows))


def draws_after_its_first_step(run: Run) -> None:
    """The same params and first gradient for every seed; what follows is drawn."""
    model = copy.deepcopy(PRETRAINED)
    optimizer = run.optimizer(model)
    for rows in (torch.arange(32), torch.randperm(32)[:16]):
        optimizer.zero_grad()
        torch.autograd.backward(F.mse_loss(model(X[rows]), Y[rows]))
        optimizer.step()
    run.report(loss=score(model, range(32, 40)))


def fixes_numpy(run: Run) -> None:
    np.random.seed(0)
    trained(run)


def fixes_python(run: Run) -> None:
    random.seed(0)
    trained(run)


def seeds_numpy_and_python_by_the_run(run: Run) -> None:
    np.random.seed(run.seed)
    random.seed(run.seed)
    trained(run)


def trains_what_is_outside(run: Run) -> None:
    trained(run, PRETRAINED)


def seeds_by_the_clock(run: Run) -> None:
    torch.seed()
    trained(run)


def looks_at_the_clock(run: Run) -> None:
    began = time.time()
    trained(run)
    sys.stdout.write(f"took {time.time() - began} s")


def noisy(size: float) -> Function:
    def noise(run: Run) -> None:
        model = one_epoch(run)
        run.report(loss=score(model, range(32, 40)) * (1 + size * runs_so_far()))
        run.test(lambda: 1.0)

    return noise


def noise_that_nobody_sees(run: Run) -> None:
    sys.stdout.write(str(runs_so_far()))
    trained(run)


# -- settings ----------------------------------------------------------------------------------------------


def cycled(lr: Callable[[Run], float], **parts: Any) -> Function:
    def function(run: Run) -> None:
        trained(
            run,
            begin=lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
                optimizer, max_lr=lr(run), total_steps=10, **parts
            ),
        )

    return function


def fixes_the_decay(run: Run) -> None:
    trained(run, groups=lambda model: [{"params": model.parameters(), "weight_decay": 0.0}])


def frees_biases_of_decay(run: Run) -> None:
    trained(run, no_decay=True)


def warms_up_its_own_way(run: Run) -> None:
    trained(
        run, begin=lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.01 * step)
    )


def has_a_head_of_its_own_rate(run: Run) -> None:
    trained(
        run,
        groups=lambda model: [{"params": [model.weight]}, {"params": [model.bias], "lr": 10 * run.lr}],
    )


# -- the rest ----------------------------------------------------------------------------------------------


def diverges_with_sgd(run: Run) -> None:
    if run.plan.label == "sgd":
        run.report(loss=float("nan"))
    trained(run)


def is_large_but_finite(run: Run) -> None:
    model = one_epoch(run)
    run.report(loss=1e30 + score(model, range(32, 40)), spread=float("inf"))


def holds_back_in_vain(run: Run) -> None:
    run.split(ROWS)
    reports_at_the_end(run)


def holds_nothing_back(run: Run) -> None:
    run.split(ROWS, test=0)
    reports_at_the_end(run)


def names_the_test_metric_otherwise(run: Run) -> None:
    run.report(loss=score(one_epoch(run), range(8)))
    run.test({"los": 1.0})


def gives_more_metrics_than_one(run: Run) -> None:
    run.report(loss=score(one_epoch(run), range(8)), accuracy=1.0)
    run.test({"accuracy": 1.0, "loss": 1.0})


def sleeps(run: Run) -> None:
    one_epoch(run)
    time.sleep(3600)
    run.report(loss=1.0)


def plays_a_game(run: Run) -> None:
    """A GAN: two optimizers of one config."""
    maker, judge = nn.Linear(2, 3), nn.Linear(3, 1)
    makes, judges = run.optimizer(maker, name="maker"), run.optimizer(judge, name="judge")
    for _ in run.epochs:
        for player, other in itertools.repeat((makes, judges), 2):
            for optimizer, sign in ((other, 1.0), (player, -1.0)):
                optimizer.zero_grad()
                loss = judge(maker(torch.randn(4, 2))).mean() - judge(X[:4]).mean()
                torch.autograd.backward(sign * loss)
                optimizer.step()
        run.report(loss=score(judge, range(8)))
