"""Functions with Lightning's Trainer, as its users write them; what it needs is `[examples]`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from tests.builders.rehearsals import codes, found
from tests.builders.training_functions import X, Y, guest, plan
from whichopt.service.errors import DistributedUnsupported, SeedFixed
from whichopt.service.states import Phase, TrialState
from whichopt.workers.engine import Unwatched
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.run import Run

pl = pytest.importorskip("pytorch_lightning")

pytestmark = pytest.mark.filterwarnings("ignore")  # of Lightning, about itself

DATA = TensorDataset(X, Y)
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}


class Net(pl.LightningModule):  # type: ignore[misc, name-defined]
    def __init__(self, run: Run, schedule: str = "none") -> None:
        super().__init__()
        self.net = torch.nn.Linear(3, 1)
        self.run, self.schedule = run, schedule

    def training_step(self, batch: Any, _: int) -> Any:
        return F.mse_loss(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, _: int) -> None:
        self.log("loss", F.mse_loss(self.net(batch[0]), batch[1]))

    test_step = validation_step

    def configure_optimizers(self) -> Any:
        optimizer = self.run.optimizer(self)
        if self.schedule == "none":
            return optimizer
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.run.lr, total_steps=100, cycle_momentum=False
        )
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


def fitted(run: Run, *callbacks: Any, schedule: str = "none", **options: Any) -> tuple[Any, Net, Any]:
    train, validation = run.split(DATA)
    options = {"enable_checkpointing": False, **QUIET, **options}
    trainer = pl.Trainer(max_epochs=run.max_epochs, callbacks=[run.lightning(), *callbacks], **options)
    model = Net(run, schedule)
    loader = DataLoader(validation, 64)
    trainer.fit(model, DataLoader(train, 8, shuffle=True), loader)
    return trainer, model, loader


def plain(run: Run) -> None:
    trainer, model, _ = fitted(run)
    run.test(lambda part: trainer.test(model, DataLoader(part, 64), verbose=False)[0]["loss"])


def scheduled(run: Run) -> None:
    fitted(run, schedule="own", gradient_clip_val=1.0, accumulate_grad_batches=2)
    run.test(1.0)


def seeded_by_the_run(run: Run) -> None:
    pl.seed_everything(run.seed)
    plain(run)


def test_a_function_with_a_trainer_has_no_fault() -> None:
    told = found(plain)
    assert codes(told) == []
    assert (told.closure, told.judged_on, told.repeats) == (True, "split", "bits")
    for function in (scheduled, seeded_by_the_run):
        assert codes(found(function)) == []


def test_seed_everything_is_found() -> None:
    def fixed(run: Run) -> None:
        pl.seed_everything(42)
        plain(run)

    with pytest.raises(SeedFixed, match=r"seed_everything\(run.seed\)"):
        found(fixed)


def test_a_trial_is_pruned_within_fit() -> None:
    result = GuestExecutor().run(guest(plain), [plan(rungs=[(1, -1.0)])], Unwatched())[0]
    assert (result.state, result.examples, result.value) == (TrialState.PRUNED, 1, None)


def test_early_stopping_with_the_best_checkpoint_restored(tmp_path: Path) -> None:
    def patient(run: Run) -> None:
        folder = tmp_path / f"{run.plan.label}-{run.seed}-{run.plan.phase}"
        best = pl.callbacks.ModelCheckpoint(dirpath=folder, monitor="loss", save_weights_only=True)
        stop = pl.callbacks.EarlyStopping("loss", patience=1, min_delta=1e9)
        trainer, model, loader = fitted(run, best, stop, enable_checkpointing=True)
        model.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
        run.result(**trainer.validate(model, loader, verbose=False)[0])
        run.test(lambda part: trainer.test(model, DataLoader(part, 64), verbose=False)[0]["loss"])

    assert codes(found(patient)) == []
    search, confirm = GuestExecutor().run(
        guest(patient), [plan(epochs=5), plan(epochs=5, phase=Phase.CONFIRM)], Unwatched()
    )
    reported = [point.value for point in search.curves["validation.loss"]]
    assert len(reported) == 2  # stopped early
    assert search.value == pytest.approx(min(reported))
    assert confirm.metrics["validation"]["loss"] == search.value
    assert confirm.value == confirm.metrics["test"]["loss"]


def test_several_devices_are_refused() -> None:
    def several(run: Run) -> None:
        run.lightning().setup(SimpleNamespace(world_size=2), None, "fit")

    with pytest.raises(DistributedUnsupported):
        found(several)
