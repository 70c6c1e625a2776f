"""When confirm may stop: the outcome is settled, so that more fresh seeds would change nothing that
matters."""

from __future__ import annotations

from collections.abc import Sequence

from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, look_at, read_confirm_table
from whichopt.service.evidence.verdict.keep_or_switch import keep_or_switch
from whichopt.service.evidence.verdict.probability import config_probabilities
from whichopt.service.evidence.verdict.winners import config_gaps, config_verdict
from whichopt.service.planning.looks import Look
from whichopt.service.spec import Margin, ResolvedSpec
from whichopt.service.trials import Trial


def reason_to_stop(spec: ResolvedSpec, trials: Sequence[Trial], risk: float | None = None) -> str | None:
    """Why no further seeds are needed after a complete stage, in words; None while the outcome is open.

    They are not needed once no finalist is left that can be deployed, or a winner is named, or all that are
    not beaten are practically equivalent, or the pick is good enough for the job's risk. That a winner has
    become improbable is no reason to stop: the seeds that are left still tell which of the others to pick.

    Args:
        risk: enough, once the pick is not the best one with at most this probability.
    """
    table = read_confirm_table(spec, trials)
    return reason_to_stop_at(table, look_at(spec, table), margin=spec.margin, risk=risk, seed=spec.seed)


def reason_to_stop_at(
    table: ConfirmTable, look: Look, *, margin: Margin | None, risk: float | None, seed: int
) -> str | None:
    """Return the same as `reason_to_stop`, for a table of results.

    With a config of today, the answer about it must be settled as well while there are further looks.
    """
    reason = _reason(table, look, margin=margin, risk=risk, seed=seed)
    if reason is None or table.today is None or not look.further:
        return reason
    verdict = config_verdict(table, alpha=look.config_level, margin=margin)
    answer = keep_or_switch(table, look, verdict, margin)
    return f"{reason}, and the answer about today's config is settled" if answer.settled else None


def _reason(
    table: ConfirmTable, look: Look, *, margin: Margin | None, risk: float | None, seed: int
) -> str | None:
    if table.has_nothing:
        return f"every {table.whose} has diverged on a fresh seed"
    if table.rules > 1 and table.first is None and look.further:
        return None  # champions are to be judged by the seeds that follow
    verdict = config_verdict(table, alpha=look.config_level, margin=margin)
    pick = table.arms[verdict.pick].label
    if verdict.verdict == "winner":
        return f"{pick} is the clear winner"
    if len(table.labels) == 1:
        return None
    if margin is not None and set(verdict.equivalent) <= set(
        config_gaps(table, alpha=look.config_level, margin=margin).within
    ):
        return f"every optimizer that is not beaten is shown to be within the margin ({margin}) of the best"
    if risk is not None:
        probability = config_probabilities(table, seed=seed)[pick]
        reached = f"{pick} is the best with probability {probability:.3g}, and the job accepts a risk of"
        return f"{reached} {risk:g}" if 1 - probability <= risk else None
    return None
