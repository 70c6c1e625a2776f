"""What an optimizer's entry means for a job, in words."""

from __future__ import annotations

import dataclasses
from typing import Any

from tests.builders.optimizers import SIGN_DESCENT
from whichopt.service.catalog.capabilities import capabilities
from whichopt.service.catalog.optimizers import OPTIMIZERS


def said_of(**facts: Any) -> str:
    return " ".join(capabilities(dataclasses.replace(SIGN_DESCENT, **facts)))


def test_a_schedule_of_its_own_stands_in_for_the_jobs() -> None:
    assert "schedule" not in said_of()
    said = said_of(own_schedule=True)
    assert "the job's is not for it" in said
    assert "neither schedule nor warmup" in said


def test_what_keeps_trials_out_of_a_stack_is_said() -> None:
    assert "side by side in one stack" in said_of()
    for alone in ("modes", "needs_closure"):
        assert "one at a time" in said_of(**{alone: True})


def test_groups_of_params_are_named_by_the_key_that_tells_them_apart() -> None:
    grouped = [entry for entry in OPTIMIZERS if entry.build.matrices]
    assert grouped, "the catalog has one"
    for entry in grouped:
        assert f"{entry.build.matrices}=True" in " ".join(capabilities(entry))
