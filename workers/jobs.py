"""The work of a worker: plan a round, train a cohort, make a report. All use of the database is here.

Nothing is held in memory between messages, so a message may come twice, late, or never.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import structlog

from whichopt.service import blobs, plugins, reporting
from whichopt.service.db import OUT_OF_REACH, DatabaseError, Store, passes
from whichopt.service.db.cohorts import Beat, Claim
from whichopt.service.db.jobs import Planning
from whichopt.service.dispatch import Dispatcher
from whichopt.service.errors import (
    BudgetTooShort,
    FunctionFailed,
    PluginFailed,
    UnknownFunction,
    UnreadableRow,
)
from whichopt.service.evidence.forecast.round import of_round
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.failures import failure, in_line
from whichopt.service.functions import check_unchanged
from whichopt.service.planning.cohorts import joined
from whichopt.service.planning.rounds import ended_early, next_round
from whichopt.service.settings import Settings
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.needs import needs_of
from whichopt.service.trial_set import counted
from whichopt.service.trials import TrialResult
from whichopt.service.versions import RULES
from whichopt.service.views import Recommendation
from whichopt.workers import checkpoints, workload
from whichopt.workers.engine import Cancelled
from whichopt.workers.engine.executors import EXECUTORS, NoSuchExecutor
from whichopt.workers.guests.functions import Functions
from whichopt.workers.lease import Lease
from whichopt.workers.patience import until_it_answers
from whichopt.workers.plugins import found
from whichopt.workers.prepare import prepare
from whichopt.workers.sampler import suggest
from whichopt.workers.trained_in import training_environment

log = structlog.get_logger()

OWN_CODE = (FunctionFailed, PluginFailed, UnknownFunction)
"""The errors of a person's own code, which fail its job by what they say."""


@dataclass(frozen=True)
class Context:
    """The resources of a worker process: made once, and handed to every message.

    `functions` runs people's own functions, if this process may. `plugins` are those that it can train with,
    as the needs of jobs are called.
    """

    store: Store
    dispatcher: Dispatcher
    settings: Settings
    worker_name: str
    functions: Functions | None = None
    plugins: frozenset[str] = frozenset()

    @property
    def raises(self) -> bool:
        """Whether what a function raises is raised here, to whoever wrote it."""
        return self.functions is not None and self.functions.is_own

    def lacks(self, needs: Iterable[str]) -> str | None:
        """Return the first of a job's needs that this process cannot meet: a function, a plug-in."""
        known = self.functions
        return next(
            (
                one
                for one in needs
                if one not in self.plugins and (" " in one or known is None or not known.has(one))
            ),
            None,
        )


NEWER_RULES = (
    "A newer version began this job, by rules that this worker does not know. A worker of that version plans "
    "and concludes it; this one only trains. Upgrade the workers."
)


def plan_round(context: Context, job_id: int) -> str | None:
    """Plans the job's next round and rings for its cohorts, or concludes the job.

    Does nothing if the last round still runs, the job has ended, or another planner is first. A job whose
    spec cannot be read fails: nobody could plan it. One that was begun by newer rules is left to a newer
    worker, for which the reaper rings.

    Returns:
        The function or the plug-in that somebody else has to try first, as this process lacks it.
    """
    try:
        with context.store.read() as tx:
            planned = tx.jobs.planning(job_id, alive_s=context.settings.worker_alive_s)
    except UnreadableRow as error:  # the log has it
        with context.store.transaction() as tx:
            tx.jobs.fail(job_id, code=error.code, detail=error.detail)
        return None
    if planned is None:
        return None
    if planned.spec.rules > RULES:
        log.warning("newer_rules", job=planned.uid, rules=planned.spec.rules, known=RULES, detail=NEWER_RULES)
        return None
    if not planned.round and not _is_rehearsed(planned.spec):
        lacking = context.lacks(needs_of(planned.spec.model_dump(mode="json")))
        if lacking is not None:
            return lacking
    if context.functions is not None and context.functions.is_own:
        own = context.functions.executor.processes  # no worker's row tells of it
        planned = replace(planned, workers=own)
    with context.store.transaction() as tx:
        tx.jobs.planner_begins(planned)
    try:
        _plan(context, planned)
    except Exception as error:
        if not passes(error):
            raise
        # No reason to fail the job: the reaper rings for another planner, and this one does not count.
        log.warning("planning_waits", job=planned.uid, round=planned.round, **failure(error))
        try:
            with context.store.transaction() as tx:
                tx.jobs.planner_begins(planned, counts=-1)
        except DatabaseError as error:
            log.warning("planner_counts", job=planned.uid, round=planned.round, **failure(error))
    return None


def _is_rehearsed(spec: ResolvedSpec) -> bool:
    return spec.guest is not None and spec.guest.rehearsed is not None


def _plan(context: Context, planned: Planning) -> None:
    """Write and ring for what follows the job's last round.

    Raises:
        Exception: one that `passes`, if it cannot be planned or written now.
    """
    job_id = planned.job_id
    limit_s = planned.spec.budget.max_seconds
    try:
        with context.store.read() as tx:
            alive_s = context.settings.worker_alive_s
            check_unchanged(tx, planned.spec, queue=planned.queue, within_s=alive_s)
            plugins.check_unchanged(tx, planned.spec, queue=planned.queue, within_s=alive_s)
        prepared = prepare(
            planned,
            blobs=context.settings.blobs,
            root=context.settings.data_root,
            functions=context.functions,
            compiling=lambda: _note_compiling(context, planned),
            limits=context.settings.limits,
        )
        following = None
        if planned.concluded_seeds is None:
            following = next_round(
                prepared.spec,
                planned.trials,
                suggest,
                workers=planned.workers,
                out_of_time=limit_s is not None and planned.running_s > limit_s,
                elapsed_s=planned.elapsed_s,
            )
        if following is not None and context.functions is not None and context.functions.is_own:
            together = context.functions.together(prepared.spec)
            following = replace(following, cohorts=joined(following.cohorts, together))
        is_over = following is None and planned.concluded_seeds is None
        cut_short = planned.cut_short or (is_over and ended_early(prepared.spec, planned.trials))
        outcome = following or _concluded(context, planned, prepared.spec, cut_short=cut_short)
    except BudgetTooShort as error:
        log.info("too_short", job=planned.uid, detail=error.detail)
        with context.store.transaction() as tx:
            tx.jobs.fail(job_id, code=error.code, detail=error.detail, round_=planned.round)
        return
    except OWN_CODE as error:
        if context.raises:
            raise
        log.warning("own_code_failed", job=planned.uid, code=error.code, detail=error.detail)
        with context.store.transaction() as tx:
            tx.jobs.fail(job_id, code=error.code, detail=error.detail, round_=planned.round)
        return
    except workload.DatasetGone as error:
        log.error("dataset_gone", job=planned.uid, detail=str(error))
        with context.store.transaction() as tx:
            tx.jobs.fail(job_id, code="dataset_gone", detail=str(error), round_=planned.round)
        return
    except Exception as error:
        if passes(error) or context.raises:
            raise
        log.exception("planning_failed", job=planned.uid, round=planned.round)
        with context.store.transaction() as tx:
            detail = f"{type(error).__name__}: {in_line(error)}"
            tx.jobs.fail(job_id, code="planning_failed", detail=detail, round_=planned.round)
        return
    if isinstance(outcome, Recommendation):
        with context.store.transaction() as tx:
            first = tx.jobs.conclude(planned, outcome, cut_short=cut_short)
        log.info(
            "concluded", job=planned.uid, verdict=outcome.verdict, optimizer=outcome.optimizer, first=first
        )
        if first:
            context.dispatcher.report(job_id)
            _store_forecast(context, planned, prepared.spec)
        return
    with context.store.transaction() as tx:
        ids = tx.jobs.add_round(
            planned,
            outcome.cohorts,
            spec=prepared.spec,
            probe=prepared.probe,
            cut_short=planned.cut_short or outcome.cut_short,
        )
    if ids is not None:
        log.info("planned", job=planned.uid, round=planned.round, cohorts=len(ids))
        context.dispatcher.cohorts(ids, planned.queue)
        _store_forecast(context, planned, prepared.spec)


def _concluded(context: Context, planned: Planning, spec: ResolvedSpec, *, cut_short: bool) -> Recommendation:
    with context.store.read() as tx:
        environments = tx.records.environments_of(planned.job_id)
        trials = tx.example_values.given_to(planned.job_id, planned.trials)
    return recommend(
        planned.uid,
        spec,
        trials,
        cut_short=cut_short,
        concluded_seeds=planned.concluded_seeds,
        environments=environments,
    )


def _store_forecast(context: Context, planned: Planning, spec: ResolvedSpec) -> None:
    """Store what the results so far tell, so that nobody who asks waits until they are read again.

    The next round is planned and rung for by now, so nobody waits for this, and a failure is only logged.
    """
    if planned.round == 0:
        return
    try:
        trials = counted(planned.trials, planned.concluded_seeds)
        known = of_round(spec, trials, risk=spec.budget.risk)
        with context.store.transaction() as tx:
            tx.forecasts.keep(planned.job_id, planned.round - 1, known)
    except Exception as error:  # noqa: BLE001
        log.error("forecast_failed", job=planned.uid, round=planned.round, **failure(error))


def _note_compiling(context: Context, planned: Planning) -> None:
    """Lets the job say why it stands still; that it cannot is no reason not to go on."""
    log.info("compiling", job=planned.uid)
    try:
        with context.store.transaction() as tx:
            tx.jobs.compiling(planned)
    except OUT_OF_REACH as error:
        log.warning("compiling_not_noted", job=planned.uid, **failure(error))


def make_report(context: Context, job_id: int) -> None:
    """Makes the report of a concluded job, if it is not there yet."""
    reporting.make_missing(context.store, context.settings.blobs, job_id)


def run_cohort(context: Context, cohort_id: int) -> str | None:
    """Trains the cohort, if nobody else does, and keeps its results; after the last one, plans on.

    Returns:
        The function or the plug-in that the cohort is left for, as this process lacks it.
    """
    settings = context.settings

    def claimed() -> Claim | str | None:
        with context.store.transaction() as tx:
            lacking = context.lacks(tx.cohorts.needs_of(cohort_id))
            if lacking is not None:
                return lacking
            return tx.cohorts.claim(
                cohort_id,
                worker_name=context.worker_name,
                lease_s=settings.lease_s,
                attempts=settings.attempts,
            )

    # Given back at once, the message would come again at once.
    claim = until_it_answers(claimed, what="a cohort")
    if not isinstance(claim, Claim):
        return claim
    log.info("claimed", cohort=cohort_id, job=claim.job_id, attempt=claim.attempt, trials=len(claim.plans))
    if context.functions is not None and claim.spec.guest is not None:
        settings = context.functions.settings_of(claim.spec, settings)
    with Lease(context.store, claim, settings) as lease:
        ended = _trained_and_kept(context, claim, lease)
    if ended and lease.checkpoint_name is not None:
        blobs.discard(settings.blobs, lease.checkpoint_name)
    plan_round(context, claim.job_id)
    return None


def _trained_and_kept(context: Context, claim: Claim, lease: Lease) -> bool:
    """Train, and keep what came of it; return whether nobody will go on with the cohort."""
    cohort_id = claim.cohort_id
    results: list[TrialResult | None]
    try:
        over = lease.out_of_time
        results = [None] * len(claim.plans) if over else [*_train(context, claim, lease)]
    except Cancelled as stopped:
        if not lease.out_of_time or lease.heard is not Beat.GO_ON:
            return _let_go(context, claim, lease)
        results = stopped.results
    except workload.DatasetGone as error:
        detail = str(error)
        log.error("dataset_gone", cohort=cohort_id, job=claim.job_id, detail=detail)
        lease.keep(lambda tx: tx.cohorts.fail(claim, code="dataset_gone", detail=detail))
        return False
    except BaseException as error:
        if context.raises:
            lease.keep(lambda tx: tx.cohorts.give_back(claim))  # for the next call, once the code is mended
            raise
        if not isinstance(error, Exception):
            raise
        if isinstance(error, OWN_CODE):
            code, said = error.code, error.detail
            log.warning(code, cohort=cohort_id, job=claim.job_id, detail=said)
            lease.keep(lambda tx: tx.cohorts.fail(claim, code=code, detail=said))
            return False
        if passes(error):
            # Not the job's fault: the reaper rings for it again, when there may be space.
            log.warning("training_waits", cohort=cohort_id, job=claim.job_id, **failure(error))
            lease.keep(lambda tx: tx.cohorts.give_back(claim))
            return False
        log.exception("training_failed", cohort=cohort_id, job=claim.job_id)
        detail = f"training raised {type(error).__name__}: {in_line(error)}"
        lease.keep(lambda tx: tx.cohorts.fail(claim, code="training_failed", detail=detail))
        return False
    made_with = training_environment(claim.queue, threads=_threads(context, claim.spec))
    is_kept = lease.keep(lambda tx: tx.cohorts.finish(claim, results, made_with))
    log.info("finished", cohort=cohort_id, job=claim.job_id, kept=is_kept)
    return is_kept


def _train(context: Context, claim: Claim, lease: Lease) -> list[TrialResult]:
    blobs = context.settings.blobs
    resume = None if claim.checkpoint is None else checkpoints.load(blobs, claim.checkpoint)
    if claim.spec.guest is not None:
        assert context.functions is not None  # else it would not have been claimed
        guest = context.functions.guest(claim.spec, checkpoint_s=lease.settings.checkpoint_s)
        watch = context.functions.watched(lease)
        return context.functions.executor_of(claim.spec).run(guest, claim.plans, watch, resume)
    if claim.executor not in EXECUTORS:
        raise NoSuchExecutor(claim.executor)
    found.check(claim.spec)
    root = context.settings.data_root
    built = workload.build(claim.spec.cataloged, device=claim.queue, blobs=blobs, root=root)
    return EXECUTORS[claim.executor]().run(built, claim.plans, lease, resume)


def _threads(context: Context, spec: ResolvedSpec) -> int | None:
    """Return the number of threads that trials have; None if it is that of this process."""
    if context.functions is None or spec.guest is None:
        return None
    guest = context.functions.guest(spec, checkpoint_s=0)
    return None if context.functions.executor.isolated(guest) == "inline" else 1


def _let_go(context: Context, claim: Claim, lease: Lease) -> bool:
    """Ends what was not trained to its end, as the last tick was told; whether nobody will go on with it."""
    log.info("let_go", cohort=claim.cohort_id, job=claim.job_id, heard=lease.heard.name)
    if lease.heard is Beat.CANCEL:
        return lease.keep(lambda tx: tx.cohorts.drop(claim))
    if lease.heard is Beat.GIVE_BACK:
        lease.keep(lambda tx: tx.cohorts.give_back(claim))
        context.dispatcher.cohorts([claim.cohort_id], claim.queue)
    return False
