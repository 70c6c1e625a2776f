"""A run by hand: the same object, judged by nobody."""

from __future__ import annotations

import math

import pytest
import torch

from tests.builders.training_functions import fit, plan, run_of
from whichopt.service.errors import FunctionTooLong, InvalidSpec, UnknownName
from whichopt.workers.guests import by_hand
from whichopt.workers.guests.by_hand import run


def test_a_function_runs_by_hand() -> None:
    one = run(optimizer="sgd", lr=0.05, epochs=2, seed=3)
    fit(one)
    assert [epoch for _, epoch, _ in one.course.reports] == [1, 2]
    assert (one.lr, one.config["momentum"], one.options) == (0.05, 0.9, {})
    again = run(optimizer="sgd", lr=0.05, epochs=2, seed=3)
    fit(again)
    assert again.course.reports == one.course.reports


def test_nothing_stops_it() -> None:
    one = run(epochs=1)
    one.report(any_name=math.nan)
    with pytest.raises(FunctionTooLong):
        one.report(any_name=1.0)


def test_what_it_reports_is_checked_if_it_says_what_for() -> None:
    one = run(minimize="loss", epochs=2)
    with pytest.raises(ValueError, match="'loss'"):
        one.report(los=1.0)
    with pytest.raises(TypeError, match="not list"):
        run().report(loss=[1.0])


def test_what_it_does_not_know_is_refused() -> None:
    with pytest.raises(UnknownName):
        run(optimizer="adm")
    with pytest.raises(InvalidSpec, match="sgd has no beta1; it has lr"):
        run(optimizer="sgd", beta1=0.9)
    with pytest.raises(InvalidSpec, match="one metric"):
        run(minimize="loss", maximize="auc")


def test_in_a_script_of_a_job_it_is_the_trials() -> None:
    trial, _ = run_of(plan())
    by_hand.set_run_of_trial(trial)
    try:
        assert run(minimize="loss") is trial
        with pytest.raises(InvalidSpec, match="asks for maximize auc, but the job is to minimize loss"):
            run(maximize="auc")
    finally:
        by_hand.forget_run_of_trial()
    assert run() is not trial


def test_it_is_seeded() -> None:
    run(seed=1)
    one = torch.rand(3)
    run(seed=1)
    assert torch.equal(one, torch.rand(3))
