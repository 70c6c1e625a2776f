"""Holds a claimed cohort while it trains: renews the lease, writes progress, hears of cancel."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from service import blobs
from service.db import OUT_OF_REACH, Store
from service.db.cohorts import Beat, Claim
from service.settings import Settings
from service.trials import Point
from workers import checkpoints
from workers.engine import State
from workers.losses import STUCK

log = structlog.get_logger()


class Lease(threading.Thread):
    """The executor's Watch, and the thread that ticks beside it.

    Use as a context: the ticking ends with the block. `heard` says what the last tick was told.
    """

    def __init__(self, store: Store, claim: Claim, settings: Settings) -> None:
        super().__init__(name=f"lease-{claim.cohort_id}", daemon=True)
        self.store = store
        self.claim = claim
        self.settings = settings
        self.heard = Beat.GO_ON
        self.checkpoint_name = claim.checkpoint
        self._examples: dict[int, int] = {}
        self._curves: dict[int, list[Point]] = {}
        self._lock = threading.Lock()
        self._ticking = threading.Lock()
        self._ended = threading.Event()
        left = claim.seconds_left
        self._ends_at = None if left is None else time.monotonic() + left
        self._moved_at = self._looked_at = self._kept_at = time.monotonic()
        self._kept_examples = 0

    # -- what the executor calls ---------------------------------------------------------------------

    def cancelled(self) -> bool:
        return self.heard is not Beat.GO_ON or self.out_of_time

    @property
    def out_of_time(self) -> bool:
        """Whether the time for the job's search is over."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def progress(self, position: int, examples: int, curve: Sequence[Point]) -> None:
        with self._lock:
            self._examples[position] = examples
            self._curves[position] = list(curve)
            self._moved_at = time.monotonic()

    def checkpoint(self, state: Callable[[], State]) -> None:
        if time.monotonic() - self._kept_at < self.settings.checkpoint_s:
            return
        self._kept_at = time.monotonic()
        try:
            name = checkpoints.save(self.settings.blobs, state())
        except OSError as error:
            # A checkpoint saves time after a crash; without one, nothing but that time is lost.
            log.warning("checkpoint_not_kept", cohort=self.claim.cohort_id, error=str(error))
            return
        with self._lock:
            self._kept_examples = sum(self._examples.values())
            before, self.checkpoint_name = self.checkpoint_name, name
        if self._tick() and before is not None and before != name:
            blobs.discard(self.settings.blobs, before)

    # -- the thread ----------------------------------------------------------------------------------

    def __enter__(self) -> Lease:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(self.settings.tick_s):
            self._tick()
            if self._is_stuck():
                # Nothing can stop a training step that hangs but the end of its process; the pool starts
                # another, and the worker's parent says what it saw.
                log.error("cohort_stuck", cohort=self.claim.cohort_id, seconds=self.settings.stuck_s)
                os._exit(STUCK)
            if self.heard is Beat.LOST:
                return

    def _is_stuck(self) -> bool:
        """Tell if training stands still though this thread does not."""
        now = time.monotonic()
        with self._lock:
            if now - self._looked_at > self.settings.lease_s:
                self._moved_at = now  # whatever stopped this thread has stopped training, too: begin again
            self._looked_at = now
            return now - self._moved_at > self.settings.stuck_s

    def _tick(self) -> bool:
        """Whether the row is written: the claim still holds, and the database answers."""
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
        except OUT_OF_REACH as error:
            # No reason to throw work away: if somebody else goes on with it, the next tick that is heard says
            # so, and what both have trained is the same.
            log.warning("tick_failed", cohort=self.claim.cohort_id, error=str(error))
            return False
        if self.heard is Beat.GO_ON or heard is Beat.LOST:
            self.heard = heard
        return heard is not Beat.LOST
