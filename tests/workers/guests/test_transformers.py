"""Functions with Hugging Face's Trainer, as its users write them; what it needs is `[examples]`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.builders.rehearsals import codes, found
from tests.builders.training_functions import ROWS, X, Y, guest, plan
from whichopt.service.errors import SeedFixed, SettingOverridden
from whichopt.service.goal import Goal
from whichopt.service.guests import Rehearsed
from whichopt.service.states import Direction, Phase, TrialState
from whichopt.workers.engine import Unwatched
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.run import Run

hf = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers, about itself

LOSS = Goal(metrics=("eval_loss",), direction=Direction.MINIMIZE)
DATA = [{"x": X[row], "labels": Y[row]} for row in range(ROWS)]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Dropout(0.1), nn.Linear(3, 1))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        answers = self.net(x)
        return {"loss": (answers - labels).square().mean(), "logits": answers}


def trainer_of(
    run: Run, folder: Path, *, handed: bool = True, callbacks: tuple[Any, ...] = (), **options: Any
) -> tuple[Any, Any]:
    train, validation = run.split(DATA)
    options = {
        "seed": run.seed,
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "per_device_train_batch_size": 8,
        "use_cpu": True,
        "num_train_epochs": run.max_epochs,
        **options,
    }
    model = Net()
    optimizer = run.optimizer(model)
    if not handed:  # as `optimizer_cls_and_kwargs` does: the trainer makes groups of its own
        for group in optimizer.param_groups:
            group["weight_decay"] = 0.0
    trainer = hf.Trainer(
        model,
        hf.TrainingArguments(str(folder), **options),
        train_dataset=train,
        eval_dataset=validation,
        optimizers=(optimizer, None),
        callbacks=[run.transformers(), *callbacks],
    )
    return trainer, validation


def rehearsed(function: Any, **options: Any) -> Rehearsed:
    return found(function, goal=LOSS, **options)


def test_a_function_with_a_trainer_has_no_fault(tmp_path: Path) -> None:
    def plain(run: Run) -> None:
        trainer, _ = trainer_of(run, tmp_path)
        trainer.train()
        run.test(lambda part: trainer.evaluate(part)["eval_loss"])

    told = rehearsed(plain)
    assert codes(told) == []
    assert (told.metrics, told.judged_on, told.repeats) == (("eval_loss",), "split", "bits")
    pruned = GuestExecutor().run(guest(plain, goal=LOSS), [plan(rungs=[(1, -1.0)])], Unwatched())[0]
    assert (pruned.state, pruned.examples) == (TrialState.PRUNED, 1)

    def warmed_up(run: Run) -> None:
        trainer, _ = trainer_of(run, tmp_path, warmup_steps=5, gradient_accumulation_steps=2, bf16=True)
        trainer.train()
        run.test(1.0)

    assert codes(rehearsed(warmed_up)) == []


def test_the_default_seed_of_its_arguments_is_found(tmp_path: Path) -> None:
    def fixed(run: Run) -> None:
        trainer_of(run, tmp_path, seed=42)[0].train()

    with pytest.raises(SeedFixed, match=r"TrainingArguments\(seed=run.seed\)"):
        rehearsed(fixed)


def test_weight_decay_of_its_arguments_is_found(tmp_path: Path) -> None:
    def its_own_groups(run: Run) -> None:
        trainer_of(run, tmp_path, handed=False)[0].train()

    with pytest.raises(SettingOverridden, match="weight_decay is searched, but trains as 0, "):
        rehearsed(its_own_groups)


def test_early_stopping_with_the_best_model_loaded(tmp_path: Path) -> None:
    def patient(run: Run) -> None:
        folder = tmp_path / f"{run.plan.label}-{run.seed}-{run.plan.phase}"
        stop = hf.EarlyStoppingCallback(1, 1e9)
        best: dict[str, Any] = {
            "save_strategy": "epoch",
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
        }
        trainer, validation = trainer_of(run, folder, callbacks=(stop,), **best)
        trainer.train()
        run.result(eval_loss=trainer.evaluate(validation)["eval_loss"])
        run.test(lambda part: trainer.evaluate(part)["eval_loss"])

    assert codes(rehearsed(patient)) == []
    plans = [plan(epochs=5), plan(epochs=5, phase=Phase.CONFIRM)]
    search, confirm = GuestExecutor().run(guest(patient, goal=LOSS), plans, Unwatched())
    reported = [point.value for point in search.curves["validation.eval_loss"]]
    assert len(reported) == 2
    assert search.value == pytest.approx(min(reported))
    assert confirm.value == confirm.metrics["test"]["eval_loss"]


def test_a_lora_is_no_fixed_seed() -> None:
    peft = pytest.importorskip("peft")
    pretrained = Net().state_dict()

    def adapted(run: Run, full: bool = False) -> None:
        train, validation = run.split(DATA)
        model = Net()
        model.load_state_dict(pretrained)
        if not full:
            model = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["net.1"]))
        optimizer = run.optimizer([param for param in model.parameters() if param.requires_grad])
        for _ in run.epochs:
            for batch in torch.utils.data.DataLoader(train, 8, shuffle=True):
                optimizer.zero_grad()
                model(**batch)["loss"].backward()
                optimizer.step()
            with torch.no_grad():
                whole = next(iter(torch.utils.data.DataLoader(validation, 64)))
                run.report(eval_loss=model(**whole)["loss"])
        run.test(1.0)

    def fine_tuned(run: Run) -> None:
        adapted(run, full=True)

    lora, full = rehearsed(adapted), rehearsed(fine_tuned)
    assert codes(lora) == codes(full) == []
    assert (lora.params, full.params) == (3 * 2 + 2, 4)
    assert full.pretrained
