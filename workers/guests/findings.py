"""What a rehearsal finds, each with the line to change. Pure: it compares accounts of trials."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from whichopt.service.errors import (
    FunctionFailed,
    NoStep,
    NotRepeatable,
    SeedFixed,
    SettingOverridden,
)
from whichopt.service.guests import Start
from whichopt.service.space import Value
from whichopt.service.states import TrialState
from whichopt.workers.guests.account import Account
from whichopt.workers.guests.guest import Guest

CLOSE = 1e-3
"""Relative difference of two runs of the same seeds up to which they are close."""

SAME = 1e-6
"""Relative difference up to which a setting is the one that was searched: some are kept in float32."""

PLACES: Mapping[str, tuple[str, ...]] = {"lr": ("lr", "initial_lr", "max_lr")}
"""Keys of a group that have a searched value, if not its own name alone: schedules keep it there."""

HINTS: Mapping[str, str] = {
    "lr": "leave it to run.optimizer, or give your schedule run.lr, as OneCycleLR(optimizer, "
    "max_lr=run.lr, ...)",
    "betas": "OneCycleLR cycles momentum: give it cycle_momentum=False",
    "momentum": "OneCycleLR cycles momentum: give it cycle_momentum=False",
    "weight_decay": "a group of yours or of a trainer sets it: leave it out of the groups, and hand the "
    "trainer the optimizer itself, as Trainer(..., optimizers=(run.optimizer(model), None))",
}


Warned = Literal[
    "diverged", "test_unused", "seed_partly_fixed", "unpaired", "repeats_close", "repeats_differs"
]
"""The codes of what is only warned of."""


@dataclass(frozen=True)
class Found:
    """A finding. `error` is what it raises if findings are errors; None if it is only warned of.

    `ends_it` says that it is one whatever the person asks for: nothing could be searched.
    """

    code: str
    detail: str
    label: str | None = None
    error: type[FunctionFailed] | None = None
    ends_it: bool = False


def _fault(error: type[FunctionFailed], detail: str, label: str | None = None) -> Found:
    return Found(error.code, detail, label, error)


def _warning(code: Warned, detail: str, label: str | None = None) -> Found:
    return Found(code, detail, label)


# -- one run -----------------------------------------------------------------------------------------------


def steps(accounts: Sequence[Account]) -> Iterator[Found]:
    """Yield what is wrong if no optimizer stepped."""
    for account in accounts:
        if account.state is TrialState.COMPLETE and account.start is None:
            made = account.facts["optimizers"]
            detail = (
                "its optimizer never stepped: call optimizer.step() on what run.optimizer returned"
                if made
                else "it made no optimizer: take run.optimizer(model) for torch.optim's"
            )
            yield Found(NoStep.code, detail, account.plan.label, NoStep, ends_it=True)
            return


def ends(accounts: Sequence[Account]) -> Iterator[Found]:
    """Yield what is warned of at the end of a run."""
    for label in dict.fromkeys(one.plan.label for one in accounts if one.state is TrialState.DIVERGED):
        yield _warning("diverged", "its first epoch diverged near its default setting", label)
    whole = [account for account in accounts if account.state is TrialState.COMPLETE]
    if any(account.facts["split"] for account in whole) and judged_on(whole) == "validation":
        yield _warning(
            "test_unused",
            "run.split holds back rows that nobody scores: call run.test(lambda part: ...) at its end, or "
            "run.split(..., test=0)",
        )


def judged_on(whole: Sequence[Account]) -> Literal["split", "test", "validation"]:
    """Return what judges confirm runs like these."""
    if not all(account.facts["tested"] for account in whole):
        return "validation"
    return "split" if all(account.facts["split"] for account in whole) else "test"


# -- seeds -------------------------------------------------------------------------------------------------


def seeds(one: Account, again: Account, elsewhere: Account) -> Iterator[Found]:
    """Yield what is wrong if seed B starts, or ends, where seed A does.

    A pretrained network has the same params for every seed, and is as good if anything else is redrawn.
    """
    del again
    a, b = one.start, elsewhere.start
    if a is None or b is None:
        return
    if a.generators["torch"] == b.generators["torch"]:
        yield _fault(
            SeedFixed,
            "torch's generator stands at the same state for two seeds: seed by run.seed, as "
            "TrainingArguments(seed=run.seed) or seed_everything(run.seed), or leave manual_seed out",
        )
        return
    if (a.params, a.gradient) == (b.params, b.gradient) and _scores(one) == _scores(elsewhere):
        yield _fault(
            SeedFixed,
            "two seeds train the same to the bit: draw something by the seed, as run.split(...) and "
            "shuffle=True do, or make the model inside the function",
        )
        return
    same = [name for name in ("numpy", "python") if a.generators[name] == b.generators[name]]
    if same:
        yield _warning(
            "seed_partly_fixed",
            f"the generator of {' and of '.join(same)} stands at the same state for two seeds: "
            "seed it by run.seed",
        )


def is_pretrained(one: Account, elsewhere: Account) -> bool:
    """Tell if seeds start from the same params, but not from the same gradient."""
    a, b = one.start, elsewhere.start
    return a is not None and b is not None and a.params == b.params and a.gradient != b.gradient


def starts_alike(one: Account, again: Account) -> bool:
    """Tell if two runs of the same seeds are paired."""
    return _paired(one.start) == _paired(again.start)


def _paired(start: Start | None) -> tuple[Any, ...] | None:
    return None if start is None else (start.params, start.gradient, start.generators["torch"])


def repeats(one: Account, again: Account, *, inline: bool) -> Iterator[Found]:
    """Yield what is found if the same seeds start, or end, elsewhere."""
    if not starts_alike(one, again):
        if inline:
            yield _fault(
                NotRepeatable,
                "the same seeds start elsewhere: make the model, its optimizer and its loaders inside the "
                "function, as trials run one after another in this process",
            )
        else:
            yield _warning(
                "unpaired",
                "the same seeds start elsewhere, so trials are not compared on equal starts: something is "
                "drawn from the clock or from a generator that nobody seeds",
            )
    elif (found := agreement(one, again)) != "bits":
        words = "nearly the same" if found == "close" else "other"
        yield _warning(
            "repeats_close" if found == "close" else "repeats_differs",
            f"the same seeds give {words} reports: threads, a GPU's kernels or the clock decide something; a "
            "rerun has a tolerance, and equal trials differ",
        )


def agreement(one: Account, again: Account) -> Literal["bits", "close", "differs"]:
    """Return how far the reports of two runs of the same seeds agree."""
    first, second = _scores(one), _scores(again)
    if repr(first) == repr(second):  # NaN is as good as NaN
        return "bits"
    close = first.keys() == second.keys() and all(_near(first[key], second[key], CLOSE) for key in first)
    return "close" if close else "differs"


def _scores(account: Account) -> dict[str, float]:
    """All that the run has reported, by when and what."""
    told: list[tuple[str, Mapping[str, float]]] = [
        (f"report {number}", metrics) for _, number, metrics in account.reports
    ]
    told += [("result", account.result or {}), ("test", account.test or {})]
    return {f"{when} {name}": value for when, metrics in told for name, value in metrics.items()}


def _near(one: float, other: float, tolerance: float) -> bool:
    return abs(one - other) <= tolerance * max(abs(one), abs(other))


# -- settings ----------------------------------------------------------------------------------------------


def absent(guest: Guest, searched: Collection[str], account: Account) -> list[str]:
    """Return the searched hyperparameters whose value is in no group of the run's first step."""
    if account.start is None:
        return []
    config = account.plan.config
    return [
        name
        for name in searched
        if (seen := _seen(guest, name, account)) and not any(_is(value, config[name]) for value in seen)
    ]


def overridden(guest: Guest, names: Sequence[str], one: Account, moved: Account) -> Iterator[Found]:
    """Yield the hyperparameters that train with the same value, whatever value was searched."""
    for name in names:
        seen = _seen(guest, name, one)
        if seen == _seen(guest, name, moved):
            asked, argument = one.plan.config[name], _argument(guest, name, one)[0]
            hint = HINTS.get(argument, "leave it out of the groups of params")
            yield _fault(
                SettingOverridden,
                f"{name} is searched, but trains as {_listed(seen)}, and the trial has {_shown(asked)}: "
                f"{hint}",
                one.plan.label,
            )


def _seen(guest: Guest, name: str, account: Account) -> list[Any]:
    """The values that the groups have for a hyperparameter."""
    argument, place = _argument(guest, name, account)
    start = account.start
    values = (
        []
        if start is None
        else [
            group[key] for group in start.groups for key in PLACES.get(argument, (argument,)) if key in group
        ]
    )
    return values if place is None else [value[place] for value in values]


def _argument(guest: Guest, name: str, account: Account) -> tuple[str, int | None]:
    """Return the class's argument that has the hyperparameter, and its place if that is a tuple."""
    for argument, scalars in guest.facts(account.plan.optimizer).packed.items():
        if name in scalars:
            return argument, scalars.index(name)
    return name, None


def _is(seen: Any, asked: Value) -> bool:
    if isinstance(asked, bool | str) or isinstance(seen, bool | str | None):
        return bool(seen == asked)
    return _near(seen, asked, SAME)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(dict.fromkeys(_shown(value) for value in values))
