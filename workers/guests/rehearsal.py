"""The rehearsal: one epoch with every optimizer through the whole function, before anything is spent.

The first optimizer runs three times, with seeds A, A and B: the second run tells if the same seeds repeat,
and the third if other seeds change anything. All runs are as those of confirm, so that the test part is
scored, too; what it scores is dropped.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from whichopt.service.errors import DistributedUnsupported, FunctionFailed
from whichopt.service.guests import Finding, Rehearsed
from whichopt.service.space import Config, Dimension, Float
from whichopt.service.spec.resolved import ResolvedOptimizer
from whichopt.service.states import Origin, Phase, TrialState
from whichopt.service.trials import Schedule, Seeds, Training, TrialPlan
from whichopt.workers.engine import Unwatched, Watch
from whichopt.workers.guests import findings
from whichopt.workers.guests.account import Account
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.findings import Found
from whichopt.workers.guests.guest import Guest
from whichopt.workers.guests.source import source_of

Check = Literal["error", "warn"]

SEEDS = (1, 2)
"""Seeds A and B: as every job has the same ones, a rehearsal says the same each time."""

OFF = 0.83
"""Factor by which settings are off the default ones: those a person may have written by hand, too."""


def rehearse(
    guest: Guest,
    optimizers: Sequence[ResolvedOptimizer],
    executor: GuestExecutor,
    *,
    schedule: Schedule | None = None,
    check: Check = "error",
    watch: Watch | None = None,
) -> Rehearsed:
    """Run the function for one epoch with each optimizer, and return what that tells.

    Args:
        guest: the function.
        optimizers: the optimizers of the job, by label.
        executor: what runs its trials.
        schedule: the job's schedule of the learning rate.
        check: what is done about a finding that spoils the job: `error` raises it, `warn` records it, if the
            job can go on at all.
        watch: the interface by which the outside stops the rehearsal.

    Raises:
        FunctionFailed: it raised, or one of the kinds of `whichopt.workers.guests.errors`.
        Cancelled: the watch asked to stop.
    """
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise DistributedUnsupported(
            f"{guest.name} is started in {os.environ['WORLD_SIZE']} processes (WORLD_SIZE): start it in one"
        )
    watch = watch or Unwatched()
    rehearsed = replace(guest, tests=False, checkpoint_s=0.0)  # so that what run.keep cannot keep is seen
    first, *others = (_plan(one, probing(one), SEEDS[0], schedule) for one in optimizers)
    alone = executor.accounts(rehearsed, [first], watch)  # what it raises is told before more is started
    again, elsewhere = first, _seeded(first, SEEDS[1])
    accounts = [*alone, *executor.accounts(rehearsed, [again, elsewhere, *others], watch)]
    _demand_one_that_is_whole(guest, accounts)
    found = [
        *findings.steps(accounts),
        *findings.ends(accounts),
        *findings.seeds(*accounts[:3]),
        *findings.repeats(*accounts[:2], inline=executor.isolated(guest) == "inline"),
        *_overridden(rehearsed, optimizers, [accounts[0], *accounts[3:]], executor, watch),
    ]
    for one in found:
        if one.error is not None and (check == "error" or one.ends_it):
            raise one.error(f"{guest.name}: {one.detail}", label=one.label)
    return _told(guest, accounts, found)


def probing(optimizer: ResolvedOptimizer, off: float = OFF, only: Sequence[str] | None = None) -> Config:
    """Return the default setting, with its searched numbers a little off; those of `only` by default all."""
    config = dict(optimizer.default)
    for name, dimension in optimizer.searched.items():
        if only is None or name in only:
            config[name] = _off(config[name], dimension, off)
    return config


def _off(value: object, dimension: Dimension, off: float) -> float | int | str | bool:
    if not isinstance(dimension, Float):
        return value  # type: ignore[return-value]
    at = float(value)  # type: ignore[arg-type]
    if dimension.scale == "log":
        near = at * off if at > 0 else (dimension.low * dimension.high) ** 0.5 * off
    elif dimension.scale == "log1m":
        near = 1 - (1 - at) / off
    else:
        near = at - (1 - off) * (dimension.high - dimension.low)
    inside = min(max(near, dimension.low), dimension.high)
    return inside if inside != at else (dimension.low + dimension.high) / 2


def _plan(optimizer: ResolvedOptimizer, config: Config, seed: int, schedule: Schedule | None) -> TrialPlan:
    return TrialPlan(
        label=optimizer.label,
        optimizer=optimizer.name,
        config=config,
        training=Training(batch_size=1, schedule=schedule or Schedule()),
        seeds=Seeds(init=seed, order=seed, split=seed),
        length=1,
        evaluations=(1,),
        phase=Phase.CONFIRM,
        origin=Origin.DEFAULT,
        replicate=0,
        number=0,
    )


def _seeded(plan: TrialPlan, seed: int) -> TrialPlan:
    return plan.model_copy(update={"seeds": Seeds(init=seed, order=seed, split=seed)})


def _demand_one_that_is_whole(guest: Guest, accounts: Sequence[Account]) -> None:
    if not any(account.state is TrialState.COMPLETE for account in accounts):
        raise FunctionFailed(
            f"{guest.name}: its first epoch diverged with every optimizer near its default setting: look for "
            f"a loss that is not finite, or for a {guest.goal.metric} that is computed over no rows"
        )


def _overridden(
    guest: Guest,
    optimizers: Sequence[ResolvedOptimizer],
    accounts: Sequence[Account],
    executor: GuestExecutor,
    watch: Watch,
) -> list[Found]:
    """Return the searched values that are not those that train.

    One that is in no group may still be what a schedule of the person's goes by: then another value shows.
    """
    pairs = zip(optimizers, accounts, strict=True)
    absent = [findings.absent(guest, one.searched, account) for one, account in pairs]
    again = [at for at, names in enumerate(absent) if names]
    plans = [
        accounts[at].plan.model_copy(
            update={"config": {**accounts[at].plan.config, **_moved(optimizers[at], absent[at])}}
        )
        for at in again
    ]
    moved = executor.accounts(guest, plans, watch) if plans else []
    return [
        found
        for at, account in zip(again, moved, strict=True)
        for found in findings.overridden(guest, absent[at], accounts[at], account)
    ]


def _moved(optimizer: ResolvedOptimizer, names: Sequence[str]) -> dict[str, float | int | str | bool]:
    config = probing(optimizer, OFF**3, names)
    return {name: config[name] for name in names}


def _told(guest: Guest, accounts: Sequence[Account], found: Sequence[Found]) -> Rehearsed:
    whole = [account for account in accounts if account.state is TrialState.COMPLETE]
    first = whole[0]
    names = dict.fromkeys(name for account in whole for name in account.names)
    source = first.source if guest.function is None else source_of(guest.function).sha256
    assert source is not None
    start = first.start
    return Rehearsed(
        source=source,
        metrics=tuple(names),
        epoch_seconds=_least(accounts, {at: account.epoch_seconds for at, account in enumerate(accounts)}),
        fixed_seconds=_least(accounts, {at: account.fixed_seconds for at, account in enumerate(accounts)}),
        keep_seconds=max((one.kept_in for one in accounts if one.kept_in is not None), default=None),
        judged_on=findings.judged_on(whole),
        parts=first.parts,
        scheduled=any(account.facts["scheduled"] for account in whole),
        closure=start is not None and start.closure,
        pretrained=findings.is_pretrained(accounts[0], accounts[2]),
        params=0 if start is None else start.count,
        repeats=findings.agreement(*accounts[:2]),
        paired=findings.starts_alike(*accounts[:2]),
        findings=tuple(Finding(code=one.code, detail=one.detail, label=one.label) for one in found),
    )


def _least(accounts: Sequence[Account], seconds: Mapping[int, float]) -> dict[str, float]:
    """Return the least by label: what is more was the first one's, or the company's."""
    labels = dict.fromkeys(account.plan.label for account in accounts)
    return {
        label: min(seconds[at] for at, account in enumerate(accounts) if account.plan.label == label)
        for label in labels
    }
