"""A person's function may give its metric on each row of the test part that `run.split` holds back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.builders.training_functions import guest, plan, run_of
from whichopt.service.by_example import read
from whichopt.service.states import Phase
from whichopt.workers.guests.account import Account

ROWS = 40
HELD_BACK = 8


def a_run_tested_by(value: Any) -> tuple[Any, list[Any]]:
    """A run whose test part is scored by that, and what it has told of it."""
    run, told = run_of(plan(phase=Phase.CONFIRM))
    run.split(ROWS)
    run.test(lambda _: value)
    return run, [one for one in told if "test" in one]


@pytest.mark.parametrize("kind", ["tensor", "array", "in a dict"])
def test_their_mean_is_the_value_and_they_are_kept(kind: str) -> None:
    rows = torch.arange(HELD_BACK) / 4
    value = {"tensor": rows, "array": rows.numpy(), "in a dict": {"loss": rows, "accuracy": 0.5}}[kind]
    run, (told,) = a_run_tested_by(value)
    assert run.scores is not None
    assert run.scores["loss"] == rows.mean().item() == told["test"]["loss"]
    assert read(told["by_example"]).tolist() == rows.tolist()


def test_a_number_stays_as_it_is() -> None:
    run, (told,) = a_run_tested_by(0.25)
    assert run.scores == {"loss": 0.25}
    assert "by_example" not in told


def test_values_of_another_number_of_rows_are_refused_as_ever() -> None:
    with pytest.raises(TypeError, match="takes a tensor of one number"):
        a_run_tested_by(torch.ones(HELD_BACK + 1))


def test_a_value_that_is_not_finite_ends_the_run_and_is_not_kept() -> None:
    run, told = run_of(plan(phase=Phase.CONFIRM))
    run.split(ROWS)
    with pytest.raises(SystemExit):
        run.test(lambda _: np.full(HELD_BACK, np.nan))
    assert not any("by_example" in one for one in told)


def test_the_result_of_a_confirm_run_has_them() -> None:
    subject = plan(phase=Phase.CONFIRM)
    account = Account(guest(), subject, [[1, 1, {"loss": 1.0}]])
    _, (told,) = a_run_tested_by(torch.arange(HELD_BACK) / 4)
    account.hear(told)
    account.hear({"ended": {"state": "complete", "seconds": 0.1, "steps": 1}})
    result = account.trial_result()
    assert result.by_example == told["by_example"]
    assert result.value == 7 / 8
