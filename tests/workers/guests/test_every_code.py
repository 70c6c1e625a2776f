"""Each code of a rehearsal has a small function that earns it, and one that nearly does and must not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from tests.builders.faults import (
    COUNTER,
    PRETRAINED,
    adapts_a_frozen_network,
    asks_for_threads,
    cycled,
    diverges_with_sgd,
    draws_after_its_first_step,
    draws_nothing,
    draws_the_split_alone,
    exits_with_three,
    exits_with_zero,
    fixes_numpy,
    fixes_python,
    fixes_the_decay,
    frees_biases_of_decay,
    gives_a_result_twice,
    gives_more_metrics_than_one,
    has_a_head_of_its_own_rate,
    holds_back_in_vain,
    holds_nothing_back,
    is_large_but_finite,
    lacks_the_metric,
    leaves_a_thread,
    looks_at_the_clock,
    makes_no_optimizer,
    mute,
    names_the_test_metric_otherwise,
    never_steps,
    noise_that_nobody_sees,
    noisy,
    plays_a_game,
    prints_megabytes,
    raises_at_the_end,
    raises_for_itself,
    raises_in_the_test_part,
    reports_at_the_end,
    reports_before_it_steps,
    reports_on_and_swallows_the_end,
    reports_twice,
    restores_its_best,
    seeds_after_the_model,
    seeds_by_the_clock,
    seeds_by_the_run,
    seeds_itself,
    seeds_numpy_and_python_by_the_run,
    sleeps,
    steps_by_closures,
    steps_with_its_own,
    stops_its_own_way,
    swallows_every_exit,
    trains_what_is_outside,
    tunes_a_pretrained_network,
    warms_up_its_own_way,
)
from tests.builders.rehearsals import Function
from tests.builders.training_functions import fit, guest
from whichopt.service.errors import BudgetNeeded, FunctionFailed, NeedsClosure
from whichopt.workers.candidates import candidate
from whichopt.workers.guests.executor import GuestExecutor, Isolation
from whichopt.workers.guests.findings import Warned
from whichopt.workers.guests.rehearsal import rehearse
from whichopt.workers.tune.asked import spec_of

TABLE: dict[str, tuple[list[Function], list[Function]]] = {
    "function_failed": (
        [
            raises_at_the_end,
            raises_in_the_test_part,
            exits_with_three,
            lacks_the_metric,
            gives_a_result_twice,
        ],
        [
            raises_for_itself,
            exits_with_zero,
            prints_megabytes,
            asks_for_threads,
            restores_its_best,
        ],
    ),
    "function_mute": ([mute], [reports_at_the_end]),
    "function_too_long": (
        [reports_twice, reports_on_and_swallows_the_end],
        [swallows_every_exit, stops_its_own_way],
    ),
    "no_step": (
        [makes_no_optimizer, never_steps, steps_with_its_own],
        [reports_before_it_steps, steps_by_closures, plays_a_game],
    ),
    "seed_fixed": (
        [seeds_itself, seeds_after_the_model, draws_nothing],
        [
            seeds_by_the_run,
            tunes_a_pretrained_network,
            adapts_a_frozen_network,
            draws_the_split_alone,
            draws_after_its_first_step,
        ],
    ),
    "seed_partly_fixed": (
        [fixes_numpy, fixes_python],
        [seeds_numpy_and_python_by_the_run],
    ),
    "not_repeatable": ([trains_what_is_outside], [tunes_a_pretrained_network]),
    "unpaired": ([seeds_by_the_clock], [looks_at_the_clock]),
    "repeats_close": ([noisy(1e-6)], [noise_that_nobody_sees]),
    "repeats_differs": ([noisy(0.5)], [noise_that_nobody_sees]),
    "setting_overridden": (
        [
            cycled(lambda _: 1e-3, cycle_momentum=False),
            cycled(lambda run: run.lr),  # which cycles the momentum, too
            fixes_the_decay,
        ],
        [
            cycled(lambda run: run.lr, cycle_momentum=False),
            frees_biases_of_decay,
            warms_up_its_own_way,
            has_a_head_of_its_own_rate,
        ],
    ),
    "function_stuck": ([sleeps], [leaves_a_thread]),
    "function_changed": ([fit], [fit]),
    "needs_closure": ([fit], [steps_by_closures]),
    "distributed_unsupported": ([fit], [fit]),
    "test_lacks_metric": ([names_the_test_metric_otherwise], [gives_more_metrics_than_one]),
    "diverged": ([diverges_with_sgd], [is_large_but_finite]),
    "test_unused": ([holds_back_in_vain], [holds_nothing_back]),
}


NOT_OF_A_REHEARSAL = {BudgetNeeded.code}
"""Codes of functions that something else tells: the door, before it rehearses for its table."""

LR = {"lr": {"type": "float", "low": 1e-3, "high": 1.0, "log": True}}


class Sharp(torch.optim.SGD):
    """Like SAM's classes, whose step asks for a closure without saying so in its signature."""

    def step(self, closure: Any = None) -> Any:
        assert closure is not None
        return super().step(closure)


NAMED = "tests.builders.training_functions:fit"
BODY = {"workload": {"function": NAMED, "minimize": "loss"}, "budget": {"trials": 3}}

EARNS, NEARLY = 0, 1


def of_code(code: str, side: int, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The settings, of each rehearsal that is to be made, beside its function; one without any by default."""
    if code == "not_repeatable":
        return [{"isolation": "inline"}]
    if code == "function_stuck":
        return [{"stuck_s": 1.0}] if side == EARNS else [{}]
    if code == "diverged":
        return [{"optimizers": ["adamw", "sgd"]}]
    if code == "distributed_unsupported":
        monkeypatch.setenv("WORLD_SIZE", "2" if side == EARNS else "1")
    if code == "function_changed":
        return [{"name": NAMED, "source": "0" * 64 if side == EARNS else None, "optimizers": ["sgd"]}]
    if code == "needs_closure":
        own = [
            candidate(torch.optim.LBFGS, space=LR, default={"lr": 0.1}),
            candidate(Sharp, space=LR, default={"lr": 0.1}, needs_closure=True),
        ]
        return [{"optimizers": [one]} for one in own]
    return [{}]


def told(
    function: Function,
    *,
    optimizers: Any = ("adamw",),
    isolation: Any = "auto",
    stuck_s: float = 600.0,
    **parts: Any,
) -> set[str]:
    """The codes that a rehearsal tells, in spite of which it goes on if it can."""
    spec = spec_of(BODY, list(optimizers))
    facts = {one.name: one.facts for one in spec.optimizers}
    own = guest(None if "name" in parts else function, optimizers=facts, **parts)
    executor = GuestExecutor(isolation=isolation, stuck_s=stuck_s)
    try:
        found = rehearse(own, spec.optimizers, executor, check="warn")
    except FunctionFailed as error:
        return {error.code}
    except Exception:  # noqa: BLE001 -- in this process, what the function raised is raised
        return {FunctionFailed.code}
    return {finding.code for finding in found.findings}


def test_the_line_that_passes_no_closure_is_named() -> None:
    (lbfgs,) = spec_of(BODY, [candidate(torch.optim.LBFGS, space=LR, default={"lr": 0.1})]).optimizers
    assert lbfgs.facts.needs_closure
    own = guest(optimizers={lbfgs.name: lbfgs.facts})
    said = r"fit with lbfgs: .*training_functions\.py, line \d+, passes none: call optimizer\.step\(closure\)"
    ways: tuple[Isolation, ...] = ("fork", "inline")
    for how in ways:
        with pytest.raises(NeedsClosure, match=said) as refused:
            rehearse(own, [lbfgs], GuestExecutor(isolation=how))
        assert refused.value.label == "lbfgs"


def test_a_class_says_that_it_needs_a_closure_and_whoever_knows_better_is_believed() -> None:
    def needs(kind: type[torch.optim.Optimizer], said: bool | None = None) -> bool:
        return candidate(kind, space=LR, default={"lr": 0.1}, needs_closure=said).entry.needs_closure

    assert (needs(torch.optim.LBFGS), needs(torch.optim.SGD), needs(Sharp)) == (True, False, False)
    assert needs(Sharp, True)
    assert not needs(torch.optim.LBFGS, False)


def kinds(of: type[FunctionFailed]) -> Iterator[str]:
    yield of.code
    for kind in of.__subclasses__():
        yield from kinds(kind)


@pytest.fixture(autouse=True)
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COUNTER, str(tmp_path / "runs"))


def test_every_code_has_functions_of_both_kinds() -> None:
    codes = {*kinds(FunctionFailed), *get_args(Warned)} - NOT_OF_A_REHEARSAL
    assert TABLE.keys() == codes
    assert all(earn and nearly for earn, nearly in TABLE.values())


def cases(side: int) -> list[Any]:
    return [
        pytest.param(code, function, id=f"{code}-{function.__name__}")
        for code, functions in TABLE.items()
        for function in functions[side]
    ]


@pytest.mark.parametrize(("code", "function"), cases(EARNS))
def test_a_function_that_earns_the_code(
    code: str, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    for settings in of_code(code, EARNS, monkeypatch):
        assert code in told(function, **settings)


@pytest.mark.parametrize(("code", "function"), cases(NEARLY))
def test_a_function_that_nearly_does(code: str, function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no other fault either, so a false alarm of any kind is seen."""
    before = {name: value.clone() for name, value in PRETRAINED.state_dict().items()}
    for settings in of_code(code, NEARLY, monkeypatch):
        assert told(function, **settings) == set()
    PRETRAINED.load_state_dict(before)
