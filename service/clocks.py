"""Checks the clocks: finds times when nobody could renew a lease, and a wrong clock of this host.

Leases run out by the database's clock. A laptop that sleeps, a machine that is paused, a database that is
away and a clock that is set forward let all of them run out at once, though nobody died.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from whichopt.service.db import OUT_OF_REACH, Store, Transaction
from whichopt.service.settings import Settings

SKEW_S = 5.0
"""A host whose clock is further from the database's is told so."""

log = structlog.get_logger()


def ahead_s(tx: Transaction) -> float:
    """Return how far this host's clock is ahead of the database's, but for the time that it takes to ask."""
    before = datetime.now(UTC)
    stored = tx.now()
    after = datetime.now(UTC)
    return float(min((before - stored).total_seconds(), (after - stored).total_seconds(), key=abs))


@dataclass(frozen=True)
class ClockReading:
    """The time by the database's clock, and by one of this process that no clock that is set can move."""

    stored: datetime
    here_s: float


class Clocks:
    """The clocks as one reaper reads them, before each of its sweeps."""

    def __init__(self, settings: Settings) -> None:
        self.lease_s = settings.lease_s
        self.expected_s = settings.reap_s
        self._last: ClockReading | None = None
        self._away_since_s: float | None = None
        self._given_at: datetime | None = None
        self._told = False

    def read(self, store: Store) -> datetime:
        """Return the time by the database's clock; give holders of leases time if they could not renew."""
        try:
            with store.read() as tx:
                this = ClockReading(tx.now(), time.monotonic())
                skew_s = ahead_s(tx)
        except OUT_OF_REACH:
            self._away_since_s = self._away_since_s or time.monotonic()
            raise
        if self._stood_still(this):
            with store.transaction() as tx:
                leases = tx.lost.give_time(self.lease_s)
            self._given_at = this.stored
            log.warning("stood_still", leases_renewed=leases, lease_s=self.lease_s)
        self._last, self._away_since_s = this, None
        self._tell(skew_s)
        return this.stored

    def _stood_still(self, this: ClockReading) -> bool:
        """Tell if nobody could renew a lease for half of one: a holder renews it many times as often."""
        spare_s = self.lease_s / 2
        if self._last is None:  # a reaper that has just started
            return self._away_since_s is not None and this.here_s - self._away_since_s > spare_s
        passed_s = (this.stored - self._last.stored).total_seconds()
        if abs(passed_s - (this.here_s - self._last.here_s)) > spare_s:
            return True  # the machine slept, or the clock was set
        if passed_s - self.expected_s <= spare_s:
            return False
        # This process was stopped, or the database was away. It may also be that every sweep takes so long:
        # what was given must have run out before, or no worker would ever be taken for dead.
        given = self._given_at
        return given is None or (self._last.stored - given).total_seconds() >= self.lease_s

    def _tell(self, skew_s: float) -> None:
        wrong = abs(skew_s) > SKEW_S
        if wrong and not self._told:
            log.warning(
                "clock_skew",
                ahead_s=round(skew_s, 1),
                meaning="this host's clock is not the database's, by which all times are judged: no work is "
                "lost, but times in logs do not fit; set the clocks of all hosts by NTP",
            )
        self._told = wrong
