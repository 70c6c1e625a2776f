"""Finds the agreement of results on this machine: to the bit, if a trial's company changes no bit."""

from __future__ import annotations

from functools import cache

from whichopt.service.states import Agreement
from whichopt.workers.engine.executors import STACKING


@cache
def agreement(device: str = "cpu") -> Agreement:
    """Return whether results are the same to the bit whatever company a trial has; probed once a process.

    A trial that is trained alone has no company.
    """
    same = STACKING is None or STACKING.company_changes_no_bit(device)
    return Agreement.BITS if same else Agreement.CLOSE
