"""`python -m whichopt.workers.rerun report.json`: trains a reported config again, and judges the outcome.

First on the confirm seeds of the report, by the executor that trained them: the same bits on a like machine.
On another one the last bit of a product differs, and training near the edge of stability amplifies that; such
a run still agrees if it differs from the reported one by at most TOLERANCE of the spread between seeds,
which moves no conclusion that rests on that spread.

Then on new seeds, which no job has. They follow from the report's seed and, if whoever asks gives one, from
that seed, which nobody can have foreseen. If the reported runs were typical, all N new values lie in

    mean +- t(1 - 0.05 / (2 N), n - 1) * s * sqrt(1 + 1 / n)

of the n reported ones with probability 95% or more: Student's prediction interval for one future value,
made simultaneous for N of them by Bonferroni (Hahn and Meeker 1991, Statistical Intervals, section 4.8).
A new run that diverged lies outside.

With `--arms winner,runner-up`, it repeats the comparison on new seeds instead: `whichopt.workers.arms`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from whichopt.service.environment import Environment
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.report.files import read_report
from whichopt.service.evidence.statistics.estimates import mean
from whichopt.service.records import RecordedTrial
from whichopt.service.trials import TrialResult
from whichopt.workers.arms import Comparison, compare, comparison_table
from whichopt.workers.guests.guest import TrainingFunction
from whichopt.workers.report_command import answered, report_parser
from whichopt.workers.reported import Agreement, agreement, confirmed, executor_of, spread, tolerance_of
from whichopt.workers.retrained import new_plan, retrain

ALPHA = 0.05

FEW_SEEDS = 5
"""Number of reported runs below which their prediction interval is too wide to say much.

For 5 new seeds it reaches 11 standard deviations from the mean with 3 runs, and 5 with 5.
"""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Repeated(_Frozen):
    """One confirm seed of the report, trained again; a value is null if the run diverged."""

    seed: int
    reported: float | None
    again: float | None
    outcome: Agreement


class New(_Frozen):
    seed: int = Field(description="from 0: the seeds derive from the spec's and from this number")
    value: float | None
    inside: bool


class Rerun(_Frozen):
    job_id: str
    optimizer: str
    executor: str
    metric: str
    statement: str
    holds: bool
    repeated: list[Repeated]
    tolerance: float | None = Field(
        description="the most that a repeated value may differ; null with one seed"
    )
    interval: tuple[float, float] | None = Field(description="for all new values; null with one reported run")
    new: list[New]
    unlike: list[str] = Field(description="where this machine is not the one that trained the report")
    other_facts: list[str] = Field(
        description="facts about the optimizer that this version's catalog has otherwise than the report"
    )


def rerun(
    report: Report,
    *,
    new_seeds: int = 5,
    data: Path | None = None,
    function: TrainingFunction | str | None = None,
    seed: int | None = None,
) -> Rerun:
    """Trains the recommended config on its confirm seeds and on `new_seeds` new ones.

    Args:
        report: the report of a job.
        new_seeds: the number of seeds that nobody has trained on yet.
        data: the file that was sent, if the job was about a person's own data. Without it they are looked for
            in the folder of blobs.
        function: the training function, if the job was about one: itself, or its name as in `train.py:fit`.
        seed: the seed that new seeds follow from besides the report's, if whoever asks wants to choose it.

    Raises:
        InvalidReport: the report has no confirm runs of what it recommends, or this machine lacks the device
            or the data, or this version the optimizer; or the function is not given.
        UnknownName: this version lacks the dataset, the task or the model.
        UnreadableDataset: the file cannot be read, or holds other data.
    """
    trials = confirmed(report)
    plans = [trial.plan for trial in trials]
    more = [new_plan(report, plans[0], number, seed=seed) for number in range(new_seeds)]
    found = retrain(report, [*plans, *more], data=data, function=function)
    judged = _judged(report, trials, found.results[: len(plans)], found.results[len(plans) :], found.here)
    other_facts = found.other_facts.get(plans[0].optimizer, [])
    return judged.model_copy(update={"other_facts": other_facts, "unlike": [*found.edited, *judged.unlike]})


# -- judged --------------------------------------------------------------------------------------------


def _judged(
    report: Report,
    trials: Sequence[RecordedTrial],
    again: Sequence[TrialResult],
    new: Sequence[TrialResult],
    here: Environment,
) -> Rerun:
    goal = report.spec.goal
    reported = [trial.result for trial in trials if trial.result is not None]
    values = [result.value for result in reported if result.value is not None]
    tolerance = tolerance_of(values)
    repeated = [
        Repeated(
            seed=trial.plan.number,
            reported=before.value,
            again=after.value,
            outcome=agreement(before, after, tolerance),
        )
        for trial, before, after in zip(trials, reported, again, strict=True)
    ]
    interval = prediction_interval(values, len(new)) if new else None
    judged = [
        New(seed=number, value=result.value, inside=_inside(result.value, interval))
        for number, result in enumerate(new)
    ]
    holds = all(one.outcome != "differs" for one in repeated) and all(one.inside for one in judged)
    places = {trial.environment for trial in trials if trial.environment is not None}
    unlike = [
        difference for place in sorted(places) for difference in report.environments[place].unlike(here)
    ]
    return Rerun(
        job_id=report.job.id,
        optimizer=trials[0].plan.label,
        executor=executor_of(report, trials[0].plan.label),
        metric=goal.metric,
        statement=_statement(repeated, judged, interval, seeds=len(values), holds=holds),
        holds=holds,
        repeated=repeated,
        tolerance=tolerance,
        interval=interval,
        new=judged,
        unlike=list(dict.fromkeys(unlike)),
        other_facts=[],
    )


def prediction_interval(values: Sequence[float], future: int) -> tuple[float, float] | None:
    """Return the interval that holds all of `future` further values with probability 1 - ALPHA or more."""
    if len(values) < 2:
        return None
    from scipy.special import stdtrit

    reach = -float(stdtrit(len(values) - 1, ALPHA / (2 * future))) * spread(values)
    reach *= math.sqrt(1 + 1 / len(values))
    return mean(values) - reach, mean(values) + reach


def _inside(value: float | None, interval: tuple[float, float] | None) -> bool:
    return value is not None and (interval is None or interval[0] <= value <= interval[1])


def _statement(
    repeated: Sequence[Repeated],
    new: Sequence[New],
    interval: tuple[float, float] | None,
    *,
    seeds: int,
    holds: bool,
) -> str:
    same = sum(one.outcome == "same bits" for one in repeated)
    near = sum(one.outcome == "within tolerance" for one in repeated)
    repeats = f"of {len(repeated)} confirm runs trained again {same} gave the same bits"
    repeats += f" and {near} the same within the tolerance" if near else ""
    fresh = ""
    if new and interval is not None:
        inside = sum(one.inside for one in new)
        fresh = (
            f" Of {len(new)} new seeds {inside} lie within the interval {interval[0]:.4g} to "
            f"{interval[1]:.4g} that the reported runs predict for all of them"
        )
        fresh += f"; with {seeds} seeds this interval says little." if seeds < FEW_SEEDS else "."
    return f"{'It holds' if holds else 'It does not hold'}: {repeats}.{fresh}"


# -- the command ---------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("whichopt.workers.rerun", "Train a report's recommended config again.")
    parser.add_argument("--new-seeds", type=int, default=5, help="fresh seeds besides those of the report")
    parser.add_argument("--arms", help="arms to compare on the new seeds, such as winner,runner-up,default")
    parser.add_argument("--seed", type=int, help="a seed of your own that the new seeds follow from")
    return answered(parser, arguments, _asked, _shown)


def _shown(result: Rerun | Comparison) -> str:
    return comparison_table(result) if isinstance(result, Comparison) else _table(result)


def _asked(options: argparse.Namespace) -> Rerun | Comparison:
    report, new_seeds = read_report(options.file), max(0, options.new_seeds)
    data, function, seed = options.data, options.function, options.seed
    if options.arms is None:
        return rerun(report, new_seeds=new_seeds, data=data, function=function, seed=seed)
    arms = [name.strip() for name in options.arms.split(",")]
    return compare(report, arms, new_seeds=new_seeds, data=data, function=function, seed=seed)


def _table(result: Rerun) -> str:
    lines = [f"{result.optimizer}, test {result.metric}, executor {result.executor}", ""]
    lines.append(f"{'seed':>8}  {'reported':>12}  {'again':>12}")
    lines += [
        f"{one.seed:>8}  {_number(one.reported):>12}  {_number(one.again):>12}  {one.outcome}"
        for one in result.repeated
    ]
    lines += [
        f"{f'new {one.seed}':>8}  {'':>12}  {_number(one.value):>12}  {'inside' if one.inside else 'outside'}"
        for one in result.new
    ]
    lines += ["", result.statement]
    if result.other_facts:
        lines.append(f"This version says otherwise of {result.optimizer}: {', '.join(result.other_facts)}.")
    if result.unlike and any(one.outcome != "same bits" for one in result.repeated):
        lines.append("This is not the machine that trained the report:")
        lines += [f"  {difference}" for difference in result.unlike]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "diverged" if value is None else f"{value:.6g}"


if __name__ == "__main__":
    sys.exit(main())
