"""Whether the trials of a person's own function were paired: by seed, what each of them started from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from whichopt.service.evidence.analysis.shapes import Pairing, SeedStarts
from whichopt.service.guests import Start
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import Trial

METHOD = (
    "At the first step of every trial, hooks of its optimizer hash the params, the first gradient and the "
    "state of each random generator. Trials with the same seeds are paired if all of these agree. A trial "
    "that took no step has no start."
)

WORDS = ((Phase.SEARCH, "study", "studies"), (Phase.CONFIRM, "fresh seed", "fresh seeds"))

STARTED = "started from the same params and the same first gradient"


def pairing(spec: ResolvedSpec, trials: Sequence[Trial]) -> Pairing | None:
    """Return the starts by seed, and a sentence about them; None for entries of the catalog."""
    if spec.guest is None:
        return None
    by_seed: dict[tuple[Phase, int], list[Start | None]] = defaultdict(list)
    for trial in trials:
        if trial.result is not None:
            number = trial.plan.replicate if trial.plan.phase is Phase.SEARCH else trial.plan.number
            by_seed[trial.plan.phase, number or 0].append(trial.result.start)
    rows = [
        _row(phase, number, by_seed[phase, number])
        for phase in Phase
        for number in sorted(of for of_phase, of in by_seed if of_phase is phase)
    ]
    known = [start for starts in by_seed.values() for start in starts if start is not None]
    return Pairing(
        seeds=rows,
        paired=all(row.paired for row in rows),
        distinct_params=len({start.params for start in known}),
        statement=_statement(spec, rows),
    )


def _row(phase: Phase, number: int, starts: Sequence[Start | None]) -> SeedStarts:
    known = [start for start in starts if start is not None]
    params = len({start.params for start in known})
    gradients = len({start.gradient for start in known})
    generators = len({tuple(sorted(start.generators.items())) for start in known})
    return SeedStarts(
        phase=phase,
        number=number,
        trials=len(starts),
        without_start=len(starts) - len(known),
        params=params,
        gradients=gradients,
        generators=generators,
        paired=max(params, gradients, generators) <= 1,
    )


def _statement(spec: ResolvedSpec, rows: Sequence[SeedStarts]) -> str:
    apart = [row for row in rows if not row.paired]
    if not any(row.trials > row.without_start for row in rows):
        return "No trial took a step, so nothing is known of what they started from."
    if not apart:
        parts = []
        for phase, one, many in WORDS:
            of = [row for row in rows if row.phase is phase]
            if of:
                trials = sum(row.trials - row.without_start for row in of)
                parts.append(f"{trials} trials of {len(of)} {one if len(of) == 1 else many}")
        first = next(row for row in rows if row.trials > row.without_start)
        example = f"The {first.trials - first.without_start} trials of {_seed(first)} {STARTED}"
        others = ", and so did those of every other seed" if len(rows) > 1 else ""
        return f"Trials were paired: {' and '.join(parts)}. {example}{others}."
    ours = ", ".join(map(_seed, apart[:3])) + (" and more" if len(apart) > 3 else "")
    row = apart[0]
    whose = "optimizers" if len(spec.labels) > 1 else "configs"
    return (
        f"Trials were not paired for {len(apart)} of {len(rows)} seeds ({ours}): the "
        f"{row.trials - row.without_start} trials of {_seed(row)} started from {row.params} sets of params, "
        f"{row.gradients} first gradients and {row.generators} states of the random generators. "
        f"Differences between {whose} then hold the luck of the start as well."
    )


def _seed(row: SeedStarts) -> str:
    return f"study {row.number}" if row.phase is Phase.SEARCH else f"fresh seed {row.number}"
