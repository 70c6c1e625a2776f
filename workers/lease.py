"""Holds a claimed cohort while it trains: renews the lease, writes progress, hears of cancel."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from whichopt.service import blobs
from whichopt.service.db import DatabaseError, Store, Transaction, passes
from whichopt.service.db.cohorts import Beat, Claim
from whichopt.service.failures import failure, in_line
from whichopt.service.settings import Settings
from whichopt.service.steady import Steady
from whichopt.service.trials import Point
from whichopt.workers import checkpoints
from whichopt.workers.engine import State
from whichopt.workers.losses import STUCK

WrittenT = TypeVar("WrittenT")

KEEP_S = 3600.0
"""For how long it is tried to keep what was trained, while no disk or no database takes it."""

log = structlog.get_logger()


class Lease(Steady):
    """The executor's Watch, and the thread that ticks beside it.

    Use as a context: the ticking ends with the block. `heard` says what the last tick was told.
    """

    def __init__(self, store: Store, claim: Claim, settings: Settings) -> None:
        super().__init__(f"lease-{claim.cohort_id}", settings.tick_s)
        self.store = store
        self.claim = claim
        self.settings = settings
        self.heard = Beat.GO_ON
        self.checkpoint_name = claim.checkpoint
        self._examples: dict[int, int] = {}
        self._curves: dict[int, list[Point]] = {}
        self._told: dict[str, str] = {}
        self._lock = threading.Lock()
        self._ticking = threading.Lock()
        left = claim.seconds_left
        self._ends_at = None if left is None else time.monotonic() + left
        self._moved_at = self._looked_at = self._renewed_at = time.monotonic()
        self._keep_at = self._moved_at + settings.checkpoint_s
        self._kept_examples = 0

    # -- what the executor calls ---------------------------------------------------------------------

    def cancelled(self) -> bool:
        return self.heard is not Beat.GO_ON or self.out_of_time

    @property
    def out_of_time(self) -> bool:
        """Tell if the time for the job's search is over."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def progress(self, position: int, examples: int, curve: Sequence[Point]) -> None:
        with self._lock:
            self._examples[position] = examples
            self._curves[position] = list(curve)
            self._moved_at = time.monotonic()

    def checkpoint(self, state: Callable[[], State]) -> None:
        began = time.monotonic()
        if began < self._keep_at:
            return
        try:
            self._keep(state)
        finally:
            now = time.monotonic()
            self._keep_at = now + max(self.settings.checkpoint_s, (now - began) / checkpoints.SHARE)

    def _keep(self, state: Callable[[], State]) -> None:
        try:
            name = checkpoints.save(self.settings.blobs, state())
        except OSError as error:
            # A checkpoint saves time after a crash; without one, nothing but that time is lost.
            log.warning("checkpoint_not_kept", cohort=self.claim.cohort_id, **failure(error))
            return
        with self._lock:
            self._kept_examples = sum(self._examples.values())
            before, self.checkpoint_name = self.checkpoint_name, name
        try:
            renewed = self._tick()
        except Exception as error:  # noqa: BLE001
            self.failed(error)  # the cohort is lost to us, but no fault of its training
            return
        if renewed and before is not None and before != name:
            blobs.discard(self.settings.blobs, before)

    # -- the thread ----------------------------------------------------------------------------------

    def __enter__(self) -> Lease:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self.join()

    def step(self) -> None:
        self._tick()
        if self._is_stuck():
            # Nothing can stop a training step that hangs but the end of its process; the pool starts
            # another, and the worker's parent says what it saw.
            log.error("cohort_stuck", cohort=self.claim.cohort_id, seconds=self.settings.stuck_s)
            os._exit(STUCK)
        if self.heard is Beat.LOST:
            self.end()

    def failed(self, error: Exception) -> None:
        """A tick has raised what it should not: a cohort that nobody renews may not train on."""
        super().failed(error)
        self.heard = Beat.LOST
        self.end()

    def keep(self, write: Callable[[Transaction], WrittenT]) -> WrittenT:
        """Return what `write` does in a transaction; while no disk or no database takes it, try again.

        What it writes is fenced by the claim: it may come late, but not twice. To be called within the block:
        the lease is renewed as soon as that can be done again.

        Raises:
            DatabaseError: there is another reason, or it has been tried for `KEEP_S`.
        """
        since = self._moved_at = time.monotonic()
        while True:
            try:
                with self.store.transaction() as tx:
                    return write(tx)
            except DatabaseError as error:
                if not passes(error) or self._moved_at - since > KEEP_S:
                    raise
                self._tell("cohort_waits_to_be_kept", error)
            time.sleep(self.pause_s)
            self._moved_at = time.monotonic()  # it is no training that hangs

    def _is_stuck(self) -> bool:
        """Tell if training stands still though this thread does not.

        A person's own function is ended by its executor, and never with the process that called it.
        """
        if self.claim.spec.guest is not None:
            return False
        now = time.monotonic()
        with self._lock:
            if now - self._looked_at > self.settings.lease_s:
                self._moved_at = now  # whatever stopped this thread has stopped training, too: begin again
            self._looked_at = now
            return now - self._moved_at > self.settings.stuck_s

    def _tick(self) -> bool:
        """Tell if the row was written: the claim still holds, and the database answers."""
        with self._ticking:  # one at a time: a late one would name a checkpoint that is no more
            return self._renew()

    def _renew(self) -> bool:
        with self._lock:
            examples, curves = sum(self._examples.values()), dict(self._curves)
            checkpoint, kept_examples = self.checkpoint_name, self._kept_examples
        try:
            with self.store.transaction() as tx:
                heard = tx.cohorts.beat(
                    self.claim,
                    lease_s=self.settings.lease_s,
                    examples=examples,
                    curves=curves,
                    checkpoint=checkpoint,
                    kept_examples=kept_examples,
                )
            self._renewed_at = time.monotonic()
            self._told.clear()
        except DatabaseError as error:
            self._tell("tick_failed", error)
            # What passes is no reason to throw work away: if somebody else goes on with it, the next tick
            # that is heard says so, and what both have trained is the same.
            if not passes(error) and time.monotonic() - self._renewed_at > self.settings.lease_s:
                self.heard = Beat.LOST
            return False
        if self.heard is Beat.GO_ON or heard is Beat.LOST:
            self.heard = heard
        return heard is not Beat.LOST

    def _tell(self, what: str, error: Exception) -> None:
        """Log a failure, unless it is as the last one of its kind: it may come again at each tick."""
        words = in_line(error)
        if self._told.get(what) != words:
            log.warning(what, cohort=self.claim.cohort_id, **failure(error))
        self._told[what] = words
