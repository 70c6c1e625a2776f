"""The practical margin: the least difference that matters to the user, in units or in percent of the best.

A rival is beaten if it is shown to be worse by more than the margin, and practically equivalent if it
is shown to be worse by no more than it: tests of a difference shifted by the margin (Schuirmann 1987, Journal
of Pharmacokinetics and Biopharmaceutics 15: 657-680). In percent, the shift is taken run by run from the one
it is compared with, so that the test of a ratio is a t-test of a linear contrast (Fieller 1954, Journal of
the Royal Statistical Society B 16: 175-185), and the error of the percentage's base is in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from whichopt.service.evidence.statistics.estimates import mean
from whichopt.service.spec import Margin


def worsened(losses: Sequence[float], margin: Margin | None) -> Sequence[float]:
    """The losses of one row of runs, each made worse by the margin."""
    if margin is None:
        return losses
    if margin.percent is None:
        assert margin.absolute is not None
        return [loss + margin.absolute for loss in losses]
    factor = 1 + (margin.percent / 100 if mean(losses) >= 0 else -margin.percent / 100)
    return [loss * factor for loss in losses]


def worsened_rows(rows: Sequence[Sequence[float]], margin: Margin | None) -> Sequence[Sequence[float]]:
    """Worsen the rows of one label's studies like `worsened`; their common mean has the sign."""
    if margin is None or margin.percent is None:
        return [worsened(row, margin) for row in rows]
    positive = mean([mean(row) for row in rows]) >= 0
    factor = 1 + (margin.percent / 100 if positive else -margin.percent / 100)
    return [[loss * factor for loss in row] for row in rows]
