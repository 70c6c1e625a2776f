"""A place of the executor with the child that runs in it: how long it may be silent, and why it was lost."""

from __future__ import annotations

import signal
import time

from whichopt.service.errors import FunctionFailed, FunctionStuck
from whichopt.workers.guests import child as children
from whichopt.workers.guests.account import Account
from whichopt.workers.guests.child import Child
from whichopt.workers.losses import memory_kills

OVER_S = 10.0
"""Seconds that a function has to end once its trial is over: its result stands, whatever it does then."""

LAST_S = 2.0
"""Seconds that a process has to end once its function has."""


class Slot:
    """A child, the account of its trial, and what it is waited for."""

    def __init__(
        self, stuck_s: float, first_sign_s: float, child: Child, account: Account, place: int
    ) -> None:
        self.child = child
        self.account = account
        self.place = place
        self.heard_at = time.monotonic()
        self._stuck_s = stuck_s
        self._first_sign_s = first_sign_s
        self._is_stuck = self._has_closed = False
        self._kills_before = memory_kills()

    def is_over(self) -> bool:
        """Tell if the child has ended, or is to be ended."""
        if not self.child.receiver.is_open or self.child.has_ended():
            return True
        self.child.bound_log()
        silent = time.monotonic() - self.heard_at
        if self.account.ended is not None:
            return silent > LAST_S
        if self.account.is_over or self.account.decided is not None:
            return silent > OVER_S
        self._is_stuck = silent > (self._stuck_s if self.account.is_alive else self._first_sign_s)
        return self._is_stuck

    def end(self) -> None:
        """End the child, and what it started.

        One that has closed its end of the pipe has time to end by itself, so that its own end is seen.
        """
        if not self.child.receiver.is_open:
            until = time.monotonic() + LAST_S
            while not self.child.has_ended() and time.monotonic() < until:
                time.sleep(0.001)
            self._has_closed = not self.child.has_ended()
        if self.child.receiver.is_open and not self.child.has_ended():
            children.end([self.child])
        else:
            self.child.bury()

    def is_worth_another_try(self) -> bool:
        """Tell if the trial may end otherwise without the company of others: memory, or a signal."""
        if self.account.raised is not None:
            return bool(self.account.raised["memory"])
        status = self.child.status
        lost = not (self._is_stuck or self._has_closed)
        return lost and status is not None and status < 0

    def why_lost(self, output: str) -> FunctionFailed:
        """Return the error of a child that ended, or was ended, without a word."""
        name, label = self.account.guest.name, self.account.plan.label
        printed = f"\n\nIts last output:\n{output}" if output else ""
        if self._is_stuck and not self.account.is_alive:
            detail = (
                f"its process did not reach the function within {self._first_sign_s:g} s: a thread of this "
                "process may hold what the copy waits for. Give isolation='inline', or the function by its "
                "name, as 'train.py:fit', which begins clean processes"
            )
            return FunctionStuck(f"{name} with {label}: {detail}{printed}", label=label, log=output)
        if self._is_stuck:
            detail = (
                f"no report came for {self._stuck_s:g} s. Either it hangs, or an epoch takes longer than "
                "that: report more often, or allow more"
            )
            return FunctionStuck(f"{name} with {label}: {detail}{printed}", label=label, log=output)
        if self._has_closed:
            detail = (
                "it closed the pipe by which its process reports, and went on: close only the files and "
                "descriptors that the function has opened itself"
            )
            return FunctionFailed(f"{name} with {label}: {detail}{printed}", label=label, log=output)
        return FunctionFailed(f"{name} with {label}: {self._end()}{printed}", label=label, log=output)

    def _end(self) -> str:
        status = self.child.status
        if status is None or status >= 0:
            return f"its process ended with exit status {status} before the function did"
        try:
            ended = f"its process was ended by signal {-status} ({signal.Signals(-status).name})"
        except ValueError:
            ended = f"its process was ended by signal {-status}"
        kills = memory_kills()
        if kills is not None and self._kills_before is not None and kills > self._kills_before:
            return f"{ended}, and this machine has run out of memory: try fewer processes, or a smaller batch"
        return ended
