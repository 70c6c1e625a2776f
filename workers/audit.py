"""`python -m whichopt.workers.audit report.json`: trains trials of a report again that are drawn at random.

`whichopt verify` recomputes: it cannot know whether training gave the numbers that it starts from. Training
them again can tell. So trials are drawn from all of the report, those of the search too, by a seed that the
auditor gives or that the system makes, and each is trained by its plan: its config, seeds and rungs.

A trial agrees if it gives the same bits. If this machine, or the job, does not promise that, it agrees too if
its value differs by at most TOLERANCE of the spread between seeds: that of the confirm runs of each of its
label's configs, pooled, on the split that the value is of. Of a trial that was pruned here or there, the last
evaluation is compared that both have. One that diverged there must diverge here.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from whichopt.service.errors import InvalidQuery, InvalidReport
from whichopt.service.evidence.report.consistency import named
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.draw import chances, draw, drawable
from whichopt.service.evidence.report.files import read_report
from whichopt.service.evidence.report.verify import verify
from whichopt.service.states import TrialState
from whichopt.service.trials import TrialResult
from whichopt.service.versions import RULES
from whichopt.workers.audit_outcome import Audit, Audited, audit_table, statement
from whichopt.workers.guests.guest import TrainingFunction
from whichopt.workers.report_command import answered, report_parser
from whichopt.workers.retrained import Retrained, Train, trained_by
from whichopt.workers.tolerances import Tolerances, promises_bits, trial_agreement, unlike_there

TRIALS = 8
"""Trials that are drawn unless a number is given: nine in ten forgeries of a quarter have one among them."""

SEED_BITS = 32


def audit(
    report: Report,
    *,
    trials: int = TRIALS,
    seed: int | None = None,
    data: Path | None = None,
    function: TrainingFunction | str | None = None,
) -> Audit:
    """Train trials of the report again that are drawn at random, and compare them with what it says of them.

    Args:
        report: the report of a job.
        trials: the number of trials to draw, 1 or more; all, if the report has fewer.
        seed: the seed of the draw, 0 or more. Without it the system makes one that nobody could foresee.
        data: the file that was sent, if the job was about a person's own data. Without it they are looked for
            in the folder of blobs.
        function: the training function, if the job was about one: itself, or its name as in `train.py:fit`.

    Raises:
        InvalidQuery: the number of trials or the seed is out of range.
        InvalidReport: no trial has ended, or this version or this machine cannot train those that are drawn.
        UnknownName: this version lacks the dataset, the task or the model.
        UnreadableDataset: the file cannot be read, or holds other data.
    """
    for field, value, least in (("trials", trials, 1), ("seed", seed, 0)):
        if value is not None and value < least:
            raise InvalidQuery(
                f"--{field} is {value}; allowed: a whole number, {least} or more",
                field=field,
                value=value,
                allowed=f"{least} or more",
            )
    if report.spec.rules > RULES:
        raise InvalidReport(
            f"the job was planned by rules {report.spec.rules}, and this version knows no rules after "
            f"{RULES}: audit the report with the version that made it, or a later one",
            field="spec.rules",
            value=report.spec.rules,
            allowed=f"at most {RULES}",
        )
    asked = secrets.randbits(SEED_BITS) if seed is None else seed
    if verify(report).outcome != "confirmed":  # plans that follow from no spec are not trained
        return _not_consistent(report, asked, trials)
    return audited(report, trials=trials, seed=asked, train=trained_by(data, function))


def audited(report: Report, *, trials: int, seed: int, train: Train) -> Audit:
    """Draw trials of a report that is consistent with itself, have them trained, and compare; see `audit`."""
    places = drawable(report.trials)
    if not places:
        raise InvalidReport("no trial of the report has ended, so there is none to train again")
    drawn = draw(places, trials, seed)
    found = train(report, [report.trials[place].plan for place in drawn])
    tolerances = Tolerances.of(report)
    rows = [
        _audited(report, place, result, found, tolerances)
        for place, result in zip(drawn, found.results, strict=True)
    ]
    told = chances(len(places), len(drawn))
    environments = dict.fromkeys(report.trials[place].environment for place in drawn)
    unlike = [line for one in environments for line in unlike_there(report, one, found)]
    return Audit(
        job_id=report.job.id,
        metric=report.spec.goal.metric,
        seed=seed,
        trials=len(places),
        stopped=len(report.trials) - len(places),
        consistent=True,
        statement=statement(rows, told, len(places)),
        holds=all(row.agrees for row in rows),
        drawn=rows,
        chances=told,
        unlike=list(dict.fromkeys([*found.edited, *unlike])),
        other_facts=dict(found.other_facts),
    )


# -- judged --------------------------------------------------------------------------------------------


def _audited(
    report: Report, place: int, again: TrialResult, found: Retrained, tolerances: Tolerances
) -> Audited:
    trial = report.trials[place]
    before = trial.result
    assert before is not None
    outcome = trial_agreement(
        before, again, tolerances.of_trial(trial), tolerances.of_curve(trial), curve=report.spec.goal.curve
    )
    bits = promises_bits(report, trial, found)
    return Audited(
        place=place,
        trial=named(trial.plan),
        reported=before.value,
        reported_state=TrialState(before.state),
        again=again.value,
        again_state=TrialState(again.state),
        outcome=outcome,
        bits=bits,
        agrees=outcome == "same bits" or (outcome == "within tolerance" and not bits),
    )


def _not_consistent(report: Report, seed: int, trials: int) -> Audit:
    places = drawable(report.trials)
    return Audit(
        job_id=report.job.id,
        metric=report.spec.goal.metric,
        seed=seed,
        trials=len(places),
        stopped=len(report.trials) - len(places),
        consistent=False,
        statement="It does not hold: the report is not consistent with itself, so nothing was trained. "
        "`whichopt verify` says where.",
        holds=False,
        drawn=[],
        chances=chances(len(places), trials) if places else [],
        unlike=[],
        other_facts={},
    )


# -- the command ---------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("whichopt.workers.audit", "Train trials of a report again.")
    parser.add_argument("--trials", type=int, default=TRIALS, help="trials to draw")
    parser.add_argument("--seed", type=int, help="seed of the draw; one that nobody could foresee by default")
    return answered(parser, arguments, _asked, audit_table)


def _asked(options: argparse.Namespace) -> Audit:
    return audit(
        read_report(options.file),
        trials=options.trials,
        seed=options.seed,
        data=options.data,
        function=options.function,
    )


if __name__ == "__main__":
    sys.exit(main())
