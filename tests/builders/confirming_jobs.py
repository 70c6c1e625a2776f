"""Jobs in the database whose trials are invented: in the midst of confirm, or concluded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.builders.jobs import add_job, must_claim, planning
from tests.builders.trials import Confirm, Outcome, confirm, search, spec_of
from whichopt.service.db import Store
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.planning.finalists import Finalist, finalists
from whichopt.service.planning.looks import planned_looks
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import Phase
from whichopt.service.trials import Trial

SIX = ("adabelief", "adamw", "nadam", "radam", "adam", "sgd")


def race_spec(*optimizers: str, seeds: int = 10, **rest: object) -> ResolvedSpec:
    """A job by today's rules."""
    return spec_of(*(optimizers or SIX), trials=9, seeds=seeds, rules=2, **rest)  # type: ignore[arg-type]


def searched(spec: ResolvedSpec) -> list[Trial]:
    """The search of that job: the default is the worst, and later optimizers are a little worse."""
    random = np.random.default_rng(7)
    each = (spec.budget.trials or 9) // spec.budget.replicates
    return search(
        spec,
        {
            label: [
                [0.4 + 0.02 * place if number == 0 else _luck(random, place) for number in range(each)]
                for _ in range(spec.budget.replicates)
            ]
            for place, label in enumerate(spec.labels)
        },
    )


def _luck(random: np.random.Generator, place: int) -> float:
    return float(round(0.06 + 0.01 * place + 0.02 * random.random(), 6))


def close_race(spec: ResolvedSpec, *, lead: float = 0.006) -> Confirm:
    """Each optimizer is worse by `lead` than the one before it; the default is far behind."""

    def value(arm: Finalist, seed: int) -> Outcome:
        place = spec.labels.index(arm.label) if arm.label in spec.labels else 2
        of_seed = np.random.default_rng([seed, 1])
        own = np.random.default_rng([seed, place, arm.replicate or 7])
        base = 0.062 + lead * place + (0.2 if arm.is_default else 0.0)
        return float(round(base + 0.008 * of_seed.standard_normal() + 0.006 * own.standard_normal(), 6))

    return value


def confirming_job(
    store: Store, spec: ResolvedSpec | None = None, *, seeds: int | None = None, value: Confirm | None = None
) -> tuple[int, str, list[Trial]]:
    """A job that has run so many fresh seeds, and goes on; its id, its uid and its trials with a result.

    Each stage of confirm is a round; of one that is not done, the rest is queued.
    """
    spec = spec or race_spec()
    first = searched(spec)
    planned = planned_looks(spec, len(finalists(spec, first)))
    done = planned[-1] if seeds is None else seeds
    end = next(stage for stage in planned if stage >= done)
    trials = confirm(spec, first, value or close_race(spec), seeds=end)
    job_id, uid = add_job(store, spec)
    write(store, job_id, [trial for trial in trials if trial.plan.phase is Phase.SEARCH])
    before = 0
    for stage in planned:
        own = [t for t in trials if t.plan.phase is Phase.CONFIRM and before <= t.plan.number < stage]
        if own:
            write(store, job_id, *parted(own, done))
        before = stage
    return job_id, uid, [t for t in trials if t.plan.phase is Phase.SEARCH or t.plan.number < done]


def parted(trials: Sequence[Trial], done: int) -> tuple[list[Trial], list[Trial]]:
    """Return the trials of the first seeds, which are done, and the others."""
    return [t for t in trials if t.plan.number < done], [t for t in trials if t.plan.number >= done]


def decided_job(
    store: Store, spec: ResolvedSpec | None = None, *, seeds: int | None = None, value: Confirm | None = None
) -> str:
    """A job that has concluded from so many fresh seeds, by default all; its uid."""
    job_id, uid, trials = confirming_job(store, spec, seeds=seeds, value=value)
    planned = planning(store, job_id)
    assert planned is not None
    with store.transaction() as tx:
        assert tx.jobs.conclude(planned, recommend(uid, planned.spec, trials))
    return uid


def decided_from(store: Store, spec: ResolvedSpec, trials: Sequence[Trial]) -> str:
    """A job that has concluded from these trials; its uid."""
    job_id, uid = add_job(store, spec)
    for phase in Phase:
        write(store, job_id, [trial for trial in trials if trial.plan.phase is phase])
    planned = planning(store, job_id)
    assert planned is not None
    with store.transaction() as tx:
        assert tx.jobs.conclude(planned, recommend(uid, planned.spec, trials))
    return uid


def write(store: Store, job_id: int, done: Sequence[Trial], queued: Sequence[Trial] = ()) -> None:
    """Write a round of these trials: a cohort with results, and one that waits."""
    planned = planning(store, job_id)
    assert planned is not None
    cohorts = [[trial.plan for trial in trials] for trials in (done, queued) if trials]
    with store.transaction() as tx:
        ids = tx.jobs.add_round(planned, cohorts, spec=planned.spec.with_executor("stacked"), cut_short=False)
    assert ids is not None
    if not done:
        return
    claimed = must_claim(store, ids[0])
    with store.transaction() as tx:
        assert tx.cohorts.finish(claimed, [trial.result for trial in done if trial.result is not None])
