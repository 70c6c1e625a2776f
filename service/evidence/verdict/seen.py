"""The lead that a job could have seen: the least that each verdict would have named with a chance of 80%.

It is told after the job, by the job's own spreads. Runs are drawn with the covariance that the job's runs
have over their seeds, and for the optimizer verdict with the luck of the studies: the spread of their means,
less what the seeds have in it, pooled over the optimizers, as that of three studies alone says little. If the
leader is better than each rival by x, a test rejects if x exceeds

    critical value * error - what the luck of the draw gives the leader,

which does not depend on x: errors are those of differences, and a lead moves no difference's spread. So each
draw has the lead from which on it would name the leader, at whichever look it is the least, and the quantile
of these over the draws is the answer; nothing has to be searched for. The errors are at least the pooled ones
of the job, as in its verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from whichopt.service.evidence.statistics.estimates import ROUNDING, critical_t, unit_of
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable
from whichopt.service.evidence.verdict.many_tables import welch_parts, worsened_draws
from whichopt.service.evidence.verdict.winners import study_losses
from whichopt.service.planning.looks import ChampionLook, Look
from whichopt.service.spec import Margin
from whichopt.service.views import CouldHaveSeen, SeenLead

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CHANCE = 0.8

DRAWS, FEWEST_DRAWS, MOST_NUMBERS = 512, 128, 4_000_000
"""Draws, fewer if they take more random numbers than that in all."""

_STREAM = 20_260_404
"""First word of the seed of the draws."""


def could_have_seen(
    table: ConfirmTable,
    look: Look,
    *,
    best: int,
    best_label: str | None,
    replicates: int,
    margin: Margin | None,
    seed: int,
) -> CouldHaveSeen | None:
    """Return the leads that the job could have seen; None of a job with nobody to beat, or by rules 1.

    Args:
        best: the arm with the best mean of those that may win.
        best_label: the label with the best mean over its studies; None if no verdict on optimizers was made.
        margin: leads are counted from zero, and what is named exceeds the margin.
        seed: the job's.
    """
    if table.rules < 2 or table.shows_stand_ins or len(table.labels) < 2 or not table.clean:
        return None
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # a margin far beyond the runs: no lead is told then
        config = _config(table, look, best, margin, seed)
        optimizer = None if best_label is None else _optimizer(table, best_label, replicates, margin, seed)
    if config is None and optimizer is None:
        return None
    return CouldHaveSeen(chance=CHANCE, config=config, optimizer=optimizer)


def lead_sentence(lead: SeenLead | None) -> str | None:
    """Say what lead would have been named, for a verdict that names none."""
    if lead is None:
        return None
    spread = (
        "" if lead.deviations is None else f" ({lead.deviations:.2g} standard deviations of a run over seeds)"
    )
    return f"A lead of {lead.lead:.3g}{spread} would have been named with a chance of {CHANCE:.0%}."


def _config(table: ConfirmTable, look: Look, best: int, margin: Margin | None, seed: int) -> SeenLead | None:
    import numpy as np

    arms = [i for i in table.finite if table.arms[i].label not in table.barred]
    rivals = [i for i in table.finite if table.arms[i].label != table.arms[best].label]
    seeds = len(table.seeds)
    if best not in arms or not rivals or seeds < 2:
        return None
    unit = _unit(table)
    rows = np.asarray([table.losses[i] for i in (best, *rivals)]) / unit
    least = np.asarray([table.least_error(i, best) for i in rivals]) * (math.sqrt(seeds) / unit)
    runs = _runs(rows, seeds, seed)
    bar = worsened_draws(runs[:, :, 0] + rows[0].mean(), _in(unit, margin)) - rows[0].mean()
    thresholds = []
    for count, tail in _tests(table, look):
        differences = runs[:, :count, 1:] - bar[:, :count, None]
        errors = np.maximum(differences.std(axis=1, ddof=1), least) / math.sqrt(count)
        needed = critical_t(count - 1, tail) * errors - differences.mean(axis=1)
        thresholds.append(needed.max(axis=1))
    return _lead(np.min(thresholds, axis=0), unit, rows)


def _tests(table: ConfirmTable, look: Look) -> list[tuple[int, float]]:
    """The seeds that each look so far has judged, and the level of a test at it."""
    seeds = len(table.seeds)
    if table.first is None or not isinstance(look, ChampionLook):
        return [(seeds, look.config_level(table.config_alpha))]
    ends = sorted({*(end for end in look.planned[1:] if end <= look.seeds), look.seeds})
    looks = [replace(look, seeds=end) for end in ends]
    return [
        (each.champions, each.config_level(table.config_alpha))
        for each in looks
        if 2 <= each.champions <= seeds
    ]


def _optimizer(
    table: ConfirmTable, best: str, replicates: int, margin: Margin | None, seed: int
) -> SeenLead | None:
    import numpy as np

    losses: Mapping[str, Sequence[Sequence[float]]] = study_losses(table, replicates)
    labels = [best, *(label for label in table.labels if label != best and label not in table.barred)]
    seeds = len(table.finalists.seeds)
    if best in table.barred or len(labels) < 2 or min(replicates, seeds) < 2:
        return None
    unit = _unit(table.finalists)
    rows = np.asarray([losses[label] for label in labels]) / unit
    runs = _runs(rows.reshape(len(labels) * replicates, seeds), seeds, seed)
    draws = len(runs)
    drawn = np.swapaxes(runs, 1, 2).reshape(draws, len(labels), replicates, seeds)
    inner = rows - rows.mean(axis=2, keepdims=True)
    inner = inner - inner.mean(axis=1, keepdims=True)
    noise = (inner**2).sum(axis=(1, 2)) / ((replicates - 1) * (seeds - 1))
    luck = math.sqrt(max(float((rows.mean(axis=2).var(axis=1, ddof=1) - noise / seeds).mean()), 0.0))
    random = np.random.default_rng([_STREAM, seed, replicates])
    drawn = drawn + luck * random.standard_normal((draws, len(labels), replicates, 1))
    level = rows[0].mean()
    bar = worsened_draws(drawn[:, 0].reshape(draws, -1) + level, _in(unit, margin)) - level
    drawn[:, 0] = bar.reshape(draws, replicates, seeds)
    means, errors, critical = welch_parts(drawn, np.zeros(draws, dtype=np.intp))
    needed = (critical * errors - means)[:, 1:].max(axis=1)
    return _lead(needed, unit, rows.reshape(-1, seeds))


def _runs(rows: Floats, seeds: int, seed: int) -> Floats:
    """Draw runs with the rows' covariance over seeds, around zero: draws x seeds x rows.

    The factor is that of a QR decomposition, which no square of a small spread spoils.
    """
    import numpy as np

    count = rows.shape[1]
    residuals = (rows - rows.mean(axis=1, keepdims=True)).T / math.sqrt(count - 1)
    factor = np.linalg.qr(residuals, mode="r")
    numbers = seeds * len(factor)
    draws = max(FEWEST_DRAWS, min(DRAWS, MOST_NUMBERS // numbers))
    random = np.random.default_rng([_STREAM, seed, seeds])
    return np.asarray(random.standard_normal((draws, seeds, len(factor))) @ factor)


def _lead(needed: Floats, unit: float, rows: Floats) -> SeenLead | None:
    """The quantile of the leads that the draws need; None if equal runs tie whatever the lead.

    Equal runs are so within their rounding, as in the verdicts.
    """
    import numpy as np

    lead = float(np.quantile(needed, CHANCE, method="higher")) * unit
    deviation = math.sqrt(float(rows.var(axis=1, ddof=1).mean())) * unit
    if lead <= ROUNDING * float(np.abs(rows).max()) * unit or not math.isfinite(lead):
        return None
    return SeenLead(lead=lead, deviations=lead / deviation if deviation > 0 else None)


def _unit(table: ConfirmTable) -> float:
    """A divisor by which no square of a value overflows or vanishes."""
    return unit_of(max(abs(value) for row in table.values for value in row))


def _in(unit: float, margin: Margin | None) -> Margin | None:
    if margin is None or margin.absolute is None or unit == 1.0:
        return margin
    return Margin(absolute=max(margin.absolute / unit, math.ulp(0.0)))
