"""What the finalists' networks have made, for a report: checked, drawn, and put into its page."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from whichopt.service import samples
from whichopt.service.evidence.report.document import Report
from whichopt.service.figures.figure import Figure
from whichopt.service.made import TITLES, Made, made, parted, shared_extent
from whichopt.service.samples import Maker
from whichopt.service.states import Phase, TrialState
from whichopt.service.trials import Sample, Trial

FIRST = 0
"""Number of the fresh seed on which samples are kept."""

WIDTH = 320
"""Pixels of a figure."""

MOST_OTHERS = 22
"""Samples that the page has besides those that are shown at once; the raw data have all."""


@dataclass(frozen=True)
class ReportSamples:
    """The samples of a report: those that are shown at once, and the others, which are folded.

    `left_out` counts those that the page leaves out. `pictures` has the address of each picture by the id of
    who made it; the address is a `data:` one, which holds the picture itself.
    """

    title: str
    first: Sequence[Made]
    others: Sequence[Made]
    left_out: int
    pictures: Mapping[str, str]

    @property
    def figures(self) -> dict[str, Figure]:
        """The figures of points by the id of who made them."""
        return {one.maker.trial: one.figure for one in (*self.first, *self.others) if one.figure is not None}


def samples_of(report: Report, tones: Mapping[str, int]) -> ReportSamples | None:
    """Return what the finalists' networks have made; None if they make nothing."""
    known = dict(_known(report.trials))
    if not known:
        return None
    found = report.recommendation
    first, others = parted(list(known), found)
    left_out, others = others[MOST_OTHERS:], others[:MOST_OTHERS]
    by_id = {maker.trial: sample for maker, sample in known.items()}
    extent = shared_extent(by_id)

    def shown(makers: Sequence[Maker]) -> list[Made]:
        return [
            made(one, by_id[one.trial], found, tones, extent, name=one.trial, width=WIDTH) for one in makers
        ]

    return ReportSamples(
        title=TITLES[next(iter(known)).kind],
        first=shown(first),
        others=shown(others),
        left_out=len(left_out),
        pictures={
            name: "data:image/png;base64," + base64.b64encode(samples.png(sample)).decode("ascii")
            for name in (one.trial for one in (*first, *others))
            if (sample := by_id[name]).kind == "images" and samples.problem(sample) is None
        },
    )


def contradictions_of_sample(trial: Trial) -> Iterator[str]:
    """Yield what is wrong with a trial's sample; a trial need not have one."""
    if trial.result is None or trial.result.sample is None:
        return
    is_kept = trial.plan.phase is Phase.CONFIRM and trial.plan.number == FIRST
    if not is_kept or trial.state is not TrialState.COMPLETE:
        yield "it has a sample, which only complete confirm runs on the first fresh seed have"
    elif (problem := samples.problem(trial.result.sample)) is not None:
        yield f"its sample cannot be read: {problem}"


def _known(trials: Sequence[Trial]) -> Iterator[tuple[Maker, Sample]]:
    """Yield the finalists that have made something; their ids are good for the page alone."""
    for place, trial in enumerate(trials):
        plan, sample = trial.plan, None if trial.result is None else trial.result.sample
        if plan.phase is Phase.CONFIRM and plan.number == FIRST and sample is not None:
            yield Maker(f"made-{place}", plan.label, plan.replicate, sample.kind), sample
