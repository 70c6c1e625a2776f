"""Analyzes the trials of a job beyond its verdict: a pure function of the spec and the trials.

job_data     what all others read                    advice       which optimizer for how many trials
anytime      best so far, by trials and by seconds   tunability   tuned against default, and against searched
expected     the best of k random trials             sensitivity  near configs, their width in lr
incumbents   of a study, over its possible orders    targets      steps and seconds to a value
costs        of a step and in all; train to test     shapes       the shapes of it all
pairing      what a function's trials started from
"""

from __future__ import annotations

from collections.abc import Sequence

from whichopt.service.evidence.analysis import (
    advice,
    anytime,
    costs,
    expected,
    pairing,
    sensitivity,
    targets,
    tunability,
)
from whichopt.service.evidence.analysis.job_data import read
from whichopt.service.evidence.analysis.shapes import Analysis
from whichopt.service.spec import TODAY, ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import Trial

METHODS = {
    "anytime": anytime.METHOD,
    "expected_best": expected.METHOD,
    "tunability": tunability.METHOD,
    "advice": advice.METHOD,
    "sensitivity": sensitivity.METHOD,
    "time_to_target": targets.METHOD,
    "step_cost": costs.STEP_COST,
    "ledger": costs.LEDGER,
    "generalization": costs.GENERALIZATION,
}
"""The method of each part of an Analysis."""


def analyze(
    spec: ResolvedSpec,
    trials: Sequence[Trial],
    *,
    target: float | None = None,
    shows_stand_ins: bool = False,
) -> Analysis:
    """Return all parts of the analysis that `METHODS` describes.

    Args:
        trials: those of both phases, in any order, whatever became of them.
        target: what to measure the time to, on the validation split; by default the second-best
            optimizer's median.
        shows_stand_ins: as version 0.1 did, whose reports are verified by that (see `ConfirmTable`).

    Raises:
        InvalidSpec: `target` is not finite.
    """
    data = read(spec, trials, shows_stand_ins=shows_stand_ins)
    methods = {**METHODS, "tunability": tunability.STAND_INS_METHOD} if shows_stand_ins else METHODS
    if spec.guest is not None:
        methods = {**methods, "pairing": pairing.METHOD, "ledger": costs.GUEST_LEDGER}
    if spec.workload.judged_split == "validation":
        methods = {**methods, "tunability": tunability.VALIDATION_METHOD}
    gaps = [costs.generalization(data, label) for label in spec.labels]
    return Analysis(
        metric=data.metric,
        direction=spec.goal.direction,
        optimizers=list(spec.labels),
        anytime=[anytime.anytime(data, label) for label in spec.labels],
        expected_best=[expected.expected_best(data, label) for label in spec.labels],
        tunability=[tunability.tunability(data, label) for label in spec.labels],
        advice=advice.budget_advice(data),
        sensitivity=[sensitivity.sensitivity(data, label) for label in spec.labels],
        time_to_target=targets.time_to_target(data, target),
        step_cost=[costs.step_cost(data, label) for label in spec.labels],
        ledger=[
            *(costs.ledger(data, label, phase) for phase in Phase for label in spec.labels),
            *([] if spec.today is None else [costs.ledger(data, TODAY, Phase.CONFIRM)]),
        ],
        generalization=[gap for gap in gaps if gap is not None],
        pairing=pairing.pairing(spec, data.trials),
        methods=methods,
    )
