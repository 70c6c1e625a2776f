"""Each example's function runs by hand, and its rehearsal finds no fault; what it needs is `[examples]`."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.builders.trials import spec_of
from whichopt.service.goal import Goal
from whichopt.service.states import Direction
from whichopt.workers.guests.by_hand import run
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.rehearsal import rehearse

pytestmark = pytest.mark.filterwarnings("ignore")  # of the frameworks, about themselves

EXAMPLES = (
    ("plain", "sklearn", "nll"),
    ("lightning", "pytorch_lightning", "val_loss"),
    ("transformers_", "transformers", "eval_loss"),
)


@pytest.mark.parametrize(("name", "needs", "metric"), EXAMPLES, ids=[name for name, _, _ in EXAMPLES])
def test_an_example_runs(
    name: str, needs: str, metric: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(needs)
    monkeypatch.chdir(str(tmp_path))
    train = import_module(f"examples.{name}").train
    by_hand = run(optimizer="adamw", epochs=2, minimize=metric)
    train(by_hand)
    assert [epoch for _, epoch, _ in by_hand.course.reports] == [1, 2]
    guest = Guest(name, Goal(metrics=(metric,), direction=Direction.MINIMIZE), train)
    told = rehearse(guest, spec_of("adamw", "sgd").optimizers, GuestExecutor(processes=2))
    assert told.findings == ()
    assert (told.judged_on, told.repeats, told.paired, told.pretrained) == ("split", "bits", True, False)
    assert told.closure is (name == "lightning")
