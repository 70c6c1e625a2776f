"""Checkpoints and leases of a function follow from its rehearsal, and checkpoints keep to their share."""

from __future__ import annotations

import resource
import time
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.builders.guests import guest_spec, rehearsed
from tests.builders.jobs import add_job, add_round, must_claim
from tests.builders.training_functions import ROWS, epoch, guest, score
from whichopt.service.db import Store
from whichopt.service.settings import Settings
from whichopt.service.spec import ResolvedSpec
from whichopt.workers import checkpoints
from whichopt.workers.guests.executor import GuestExecutor, Isolation
from whichopt.workers.guests.functions import Functions
from whichopt.workers.guests.rehearsal import rehearse
from whichopt.workers.guests.run import Run
from whichopt.workers.lease import Lease


def keeps(run: Run) -> None:
    fitted, validation = run.split(ROWS)
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    run.keep(model=model, optimizer=optimizer)
    for _ in run.epochs:
        epoch(model, optimizer, fitted)
        run.report(loss=score(model, validation))


def known(**facts: Any) -> ResolvedSpec:
    spec = guest_spec()
    assert spec.guest is not None
    return spec.model_copy(update={"workload": spec.guest.with_rehearsal(rehearsed(spec, **facts))})


def host(isolation: Isolation, processes: int = 1) -> Functions:
    return Functions(GuestExecutor(isolation=isolation, processes=processes), given=keeps)


def test_a_rehearsal_tells_what_a_checkpoint_takes() -> None:
    spec = guest_spec()
    for function, is_kept in ((keeps, True), (lambda run: _without_keep(run), False)):
        told = rehearse(guest(function), spec.optimizers[:1], GuestExecutor())
        assert (told.keep_seconds is not None) == is_kept
        assert told.keep_seconds is None or told.keep_seconds > 0


def _without_keep(run: Run) -> None:
    model = nn.Linear(3, 1)
    optimizer = run.optimizer(model)
    fitted, validation = run.split(ROWS)
    for _ in run.epochs:
        epoch(model, optimizer, fitted)
        run.report(loss=score(model, validation))


def test_the_first_checkpoint_waits_until_its_share_of_the_time_has_passed() -> None:
    settings = Settings(checkpoint_s=20.0)
    for keep_seconds, processes, expected in (
        (None, 4, 20.0),
        (0.01, 4, 20.0),
        (3.0, 1, 300.0),
        (3.0, 4, 1200.0),  # the cohort's copy has four of them
    ):
        spec = known(keep_seconds=keep_seconds)
        found = host("fork", processes).settings_of(spec, settings)
        assert found.checkpoint_s == pytest.approx(expected)


def test_a_lease_outlasts_an_epoch_that_runs_in_the_process_that_renews_it() -> None:
    settings = Settings()
    spec = known(epoch_seconds={"adamw": 100.0, "sgd": 40.0}, fixed_seconds={"adamw": 5.0, "sgd": 5.0})
    assert host("inline").settings_of(spec, settings).lease_s == 210.0
    assert host("fork").settings_of(spec, settings).lease_s == settings.lease_s
    assert host("inline").settings_of(guest_spec(), settings).lease_s == settings.lease_s, "short epochs"


def test_a_cohorts_checkpoints_keep_to_their_share_of_the_time(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, _ = add_job(store)
    claimed = must_claim(store, add_round(store, job_id)[0])
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    lease = Lease(store, claimed, Settings(blobs=tmp_path / "blobs", checkpoint_s=2.0))
    kept_at: list[float] = []

    def large() -> dict[str, torch.Tensor]:
        nonlocal now
        kept_at.append(now)
        now += 0.5  # which is 1 % of 50 s
        return {"kept": torch.zeros(1)}

    for _ in range(1000):
        now += 0.25
        lease.checkpoint(large)
    gaps = [later - earlier for earlier, later in pairwise(kept_at)]
    assert kept_at[0] == 1002.0
    assert set(gaps) == {0.5 + 0.5 / checkpoints.SHARE}
    assert 0.5 * len(kept_at) <= checkpoints.SHARE * (now - 1000.0) + 0.5, "the first one may come early"


def test_a_large_checkpoint_is_written_without_a_copy_in_memory(tmp_path: Path) -> None:
    large = torch.arange(4_000_000, dtype=torch.float32)
    tracemalloc.start()
    try:
        name = checkpoints.save(tmp_path, {"kept": large})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < large.nbytes / 4, "buffers alone"
    saved = checkpoints.load(tmp_path, name)
    assert saved is not None
    assert torch.equal(saved["kept"], large)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_disk_that_takes_no_more_is_told_and_keeps_no_part(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            checkpoints.save(tmp_path, {"kept": torch.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_costs_no_more_time_than_one_that_is_not(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, _ = add_job(store)
    claimed = must_claim(store, add_round(store, job_id)[0])
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    (tmp_path / "file").touch()
    lease = Lease(store, claimed, Settings(blobs=tmp_path / "file", checkpoint_s=2.0))
    tried = 0

    def large() -> dict[str, torch.Tensor]:
        nonlocal now, tried
        now, tried = now + 0.5, tried + 1
        return {}

    for _ in range(100):
        now += 0.25
        lease.checkpoint(large)
    assert tried == 1
