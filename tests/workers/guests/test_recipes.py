"""Ways in which people train with plain PyTorch, none of which is a fault."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

from tests.builders.optimizers import in_jobs
from tests.builders.rehearsals import codes, found
from tests.builders.training_functions import ROWS, X, Y, epoch, fit, guest, plan, score
from whichopt.service.catalog.optimizers import OPTIMIZERS
from whichopt.workers.engine import Unwatched
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.run import Run

DATA = TensorDataset(X, Y)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.1), nn.Linear(4, 1))


def mixed_precision(run: Run) -> None:
    model = network()
    optimizer = run.optimizer(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for _ in run.epochs:
        for batch in torch.randperm(32).chunk(4):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.mse_loss(model(X[batch]), Y[batch])
            torch.autograd.backward(scaler.scale(loss))
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        model.eval()
        run.report(loss=score(model, range(32, ROWS)))
        model.train()


def accumulated(run: Run) -> None:
    model = network()
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        for number, batch in enumerate(torch.randperm(32).chunk(8)):
            torch.autograd.backward(F.mse_loss(model(X[batch]), Y[batch]) / 2)
            if number % 2:
                optimizer.step()
                optimizer.zero_grad()
        run.report(loss=score(model, range(32, ROWS)))


def averaged(run: Run) -> None:
    model = network()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))  # type: ignore[no-untyped-call]
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        epoch(model, optimizer, range(32))
        average.update_parameters(model)
        run.report(loss=score(average.eval(), range(32, ROWS)))


def own_schedule(run: Run) -> None:
    model = network()
    optimizer = run.optimizer(model)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=4)
    cool = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cool], [4])
    for _ in run.epochs:
        epoch(model, optimizer, range(32))
        schedule.step()
        run.report(loss=score(model, range(32, ROWS)))


def loaded_by_workers(run: Run) -> None:
    train, _ = run.split(DATA, test=0)
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        for x, y in DataLoader(train, 16, shuffle=True, num_workers=2):
            optimizer.zero_grad()
            torch.autograd.backward(F.mse_loss(model(x), y))
            optimizer.step()
        run.report(loss=score(model, range(ROWS)))


def frozen_for_a_while(run: Run) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    model[0].requires_grad_(False)
    optimizer = run.optimizer(model)
    for _ in run.epochs:
        epoch(model, optimizer, range(32))
        model[0].requires_grad_(True)
        run.report(loss=score(model, range(32, ROWS)))


@pytest.mark.parametrize(
    "function",
    [mixed_precision, accumulated, averaged, own_schedule, loaded_by_workers, frozen_for_a_while],
)
def test_a_way_to_train_has_no_fault_and_repeats_to_the_bit(function: Callable[[Run], None]) -> None:
    told = found(function, "adabelief", "sgd")
    assert codes(told) == []
    assert told.repeats == "bits"


def test_every_optimizer_of_the_catalog_is_taken() -> None:
    for names in in_jobs([entry.name for entry in OPTIMIZERS]):
        told = found(fit, *names)
        assert codes(told) == []
        assert len(told.epoch_seconds) == len(names)


def test_a_copy_does_not_wait_for_the_threads_that_it_lacks() -> None:
    """OpenMP's and torch's pools are used here before; a child that shared their work would hang."""
    rows = np.random.default_rng(0).random((20_000, 8))
    large = torch.ones(600, 600)

    def in_threads() -> None:
        KMeans(4, n_init=1).fit(rows)
        np.linalg.svd(rows, full_matrices=False)
        torch.mm(large, large)

    def most_threads() -> int:
        return max(int(pool["num_threads"]) for pool in threadpool_info())

    def function(run: Run) -> None:
        in_threads()
        run.report(loss=most_threads())

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(limits=2):
            in_threads()
            assert GuestExecutor(stuck_s=30).run(guest(function), [plan()], Unwatched())[0].value == 1
            assert most_threads() == torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_accelerate_prepares_it() -> None:
    accelerate: Any = pytest.importorskip("accelerate")

    def prepared(run: Run) -> None:
        accelerator = accelerate.Accelerator(cpu=True)
        train, _ = run.split(DATA, test=0)
        model = nn.Linear(3, 1)
        model, optimizer, loader = accelerator.prepare(
            model, run.optimizer(model), DataLoader(train, 16, shuffle=True)
        )
        for _ in run.epochs:
            for x, y in loader:
                optimizer.zero_grad()
                accelerator.backward(F.mse_loss(model(x), y))
                optimizer.step()
            run.report(loss=score(model, range(ROWS)))

    assert codes(found(prepared)) == []


@pytest.mark.filterwarnings("ignore")
def test_skorch_takes_it() -> None:
    skorch: Any = pytest.importorskip("skorch")

    def with_skorch(run: Run) -> None:
        class Reports(skorch.callbacks.Callback):  # type: ignore[misc]
            def on_epoch_end(self, net: Any, **_: Any) -> None:
                run.report(loss=net.history[-1, "valid_loss"])

        net = skorch.NeuralNetRegressor(
            copy.deepcopy(nn.Linear(3, 1)),
            max_epochs=run.max_epochs,
            optimizer=lambda groups, lr: run.optimizer(groups),  # noqa: ARG005 -- skorch gives its own
            callbacks=[Reports()],
            verbose=0,
            iterator_train__shuffle=True,
        )
        net.fit(X, Y)

    assert codes(found(with_skorch)) == []
