"""Warns the reader of a recommendation about a person's own function: test part, pairing, rehearsal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from whichopt.service.guests import Start
from whichopt.service.spec import ResolvedFunction
from whichopt.service.trials import Seeds, Trial
from whichopt.service.views import JobWarning


def guest_warnings(guest: ResolvedFunction, trials: Sequence[Trial]) -> Iterator[JobWarning]:
    """Yield what is to know of a function: who judged it, what its rehearsal found, if trials were paired."""
    if guest.judged_split == "validation":
        yield JobWarning(
            code="no_test_split",
            detail="Nobody held a test part back, so the fresh seeds were judged on the validation split, by "
            "which the configs were chosen as well. Hold one back by run.split, or score one in run.test.",
        )
    known = guest.rehearsed
    for finding in () if known is None else known.findings:
        yield JobWarning(code=finding.code, detail=finding.detail, optimizer=finding.label)
    found = {finding.code for finding in known.findings} if known is not None else set[str]()
    apart = sum(len(starts) > 1 for starts in _starts(trials).values())
    if apart and "unpaired" not in found:
        yield JobWarning(
            code="unpaired",
            detail=f"For {apart} seed{'s' if apart > 1 else ''}, not all trials started from the same "
            "params, first gradient and random generators, so differences hold the luck of the start, too.",
        )


def stand_in(guest: ResolvedFunction) -> str:
    """Say what a diverged run of the function scores."""
    if guest.baseline is not None:
        return f"the job's baseline, {guest.baseline:g}"
    return "the worst that any confirm run scored"


def _starts(trials: Sequence[Trial]) -> dict[Seeds, set[tuple[object, ...]]]:
    """Return the different starts of the trials with the same seeds."""
    starts: dict[Seeds, set[tuple[object, ...]]] = defaultdict(set)
    for trial in trials:
        if trial.result is not None and trial.result.start is not None:
            starts[trial.plan.seeds].add(_alike(trial.result.start))
    return starts


def _alike(start: Start) -> tuple[object, ...]:
    return (start.params, start.gradient, *sorted(start.generators.items()))
