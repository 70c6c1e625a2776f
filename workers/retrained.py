"""Trains plans of a report again, by the executors that trained them, on the same data or function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from whichopt.service.environment import Environment
from whichopt.service.errors import InvalidReport
from whichopt.service.evidence.report.document import Report
from whichopt.service.machine import cores
from whichopt.service.seeds import trial_seeds
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers.engine import Unwatched, numerics
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.guest import Guest, TrainingFunction
from whichopt.workers.guests.offered import sources_of_named
from whichopt.workers.guests.source import source_in_a_script, source_of
from whichopt.workers.reported import built_again, facts_otherwise, known_executor
from whichopt.workers.trained_in import training_environment

NEW = "rerun"
"""Use of new seeds: no job ever derives such seeds, so they are fresh for every report."""


@dataclass(frozen=True)
class Retrained:
    """What training plans of a report again gave.

    Attributes:
        results: the results, in the order of the plans.
        here: what trained them.
        other_facts: facts that this version's catalog has otherwise than the report, by optimizer.
        edited: a sentence if the function's source is another than the report's; empty if it is the same.
    """

    results: Sequence[TrialResult]
    here: Environment
    other_facts: Mapping[str, list[str]] = field(default_factory=dict)
    edited: tuple[str, ...] = ()


Train = Callable[[Report, Sequence[TrialPlan]], Retrained]
"""Trains plans of a report."""


def trained_by(data: Path | None, function: TrainingFunction | str | None) -> Train:
    """Return what trains plans of a report here, on that file or by that function; see `retrain`."""
    return lambda report, plans: retrain(report, plans, data=data, function=function)


def retrain(
    report: Report,
    plans: Sequence[TrialPlan],
    *,
    data: Path | None = None,
    function: TrainingFunction | str | None = None,
) -> Retrained:
    """Train the plans from their beginning, each by the executor of its label.

    Args:
        report: the report that the plans are of, or are like.
        plans: what is trained.
        data: the file that was sent, if the job was about a person's own data. Without it they are looked for
            in the folder of blobs.
        function: the training function, if the job was about one: itself, or its name as in `train.py:fit`.

    Raises:
        InvalidReport: this machine lacks the device or the data, or this version an optimizer or an executor;
            or the function is not given.
        UnknownName: this version lacks the dataset, the task or the model.
        UnreadableDataset: the file cannot be read, or holds other data.
    """
    if report.spec.guest is not None:
        return _by_function(report, plans, function)
    if function is not None:
        raise InvalidReport("the report is not about a function: leave --function out", field="spec.workload")
    other = {name: facts_otherwise(report, name) for name in dict.fromkeys(plan.optimizer for plan in plans)}
    places: dict[str, list[int]] = {}
    for place, plan in enumerate(plans):
        places.setdefault(known_executor(report, plan.label), []).append(place)
    device = report.job.queue
    if device == "cuda" and not torch.cuda.is_available():
        raise InvalidReport("the report's trials were trained on a GPU, and there is none here")
    torch.set_num_threads(1)  # as workers train: another number cuts sums at other places
    numerics.repeat_to_the_bit()
    results: dict[int, TrialResult] = {}
    with built_again(report, device, data) as (built, _):
        for executor, own in places.items():
            found = EXECUTORS[executor]().run(built, [plans[place] for place in own], Unwatched())
            results.update(zip(own, found, strict=True))
    return Retrained(
        results=[results[place] for place in range(len(plans))],
        here=training_environment(device),
        other_facts={name: facts for name, facts in other.items() if facts},
    )


def new_plan(report: Report, like: TrialPlan, number: int, *, seed: int | None = None) -> TrialPlan:
    """Return the plan of a run that the report does not have: like that one, on a seed of its own.

    Args:
        report: the report that the run is held against.
        like: one of its confirm runs.
        number: the number of the new seed, from 0.
        seed: the seed that new seeds follow from besides the report's, if whoever asks wants to choose it.
    """
    use = NEW if seed is None else f"{NEW}/{seed}"
    return like.model_copy(
        update={"number": number, "seeds": trial_seeds(report.spec.seed, use, number), "rungs": ()}
    )


def _by_function(
    report: Report, plans: Sequence[TrialPlan], function: TrainingFunction | str | None
) -> Retrained:
    """Train the plans of a function's report, by that function."""
    if function is None:
        raise InvalidReport(
            f"the report is about the function {report.spec.workload.title}, which it does not hold: say "
            "where it is by --function, as in --function train.py:fit",
            field="spec.workload.function",
        )
    if isinstance(function, str):
        guest = replace(Guest.of(report.spec), name=function, source=None)
    else:
        guest = Guest.of(report.spec, function)
    found = _sources(guest)
    executor = GuestExecutor(processes=cores())
    try:
        results = executor.run(guest, plans, Unwatched())
    finally:
        executor.end()
    threads = None if executor.isolated(guest) == "inline" else 1
    asked = report.spec.guest
    same = asked is None or asked.source in (None, *found)
    edited = () if same else (f"the function's source: {found[0][:16]} here, another in the report",)
    here = training_environment(report.job.queue, threads=threads)
    return Retrained(results=results, here=here, edited=edited)


def _sources(guest: Guest) -> tuple[str, str]:
    """Return the hashes of the function's source: as what it is here, and as a script would have it."""
    if guest.function is None:
        return sources_of_named(guest)
    return source_of(guest.function).sha256, source_in_a_script(guest.function).sha256
