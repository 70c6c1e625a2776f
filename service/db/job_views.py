"""Reads the answers about jobs from their rows and their counters. Writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from whichopt.service.activity import JobActivity
from whichopt.service.db.activity import Activities
from whichopt.service.db.jobs import UNFINISHED
from whichopt.service.db.paging import page_of
from whichopt.service.db.readable import KeptSpecs, readable
from whichopt.service.db.tables import cohort, fresh_seed, job, tally
from whichopt.service.db.tallies import SUMS
from whichopt.service.db.words import with_words
from whichopt.service.planning.looks import planned_looks
from whichopt.service.spec import ResolvedSpec
from whichopt.service.states import CohortState, Direction, JobState, Phase
from whichopt.service.views import ConfirmProgress, JobError, JobView, LedgerEntry, Page, Progress
from whichopt.service.views.verdict import stored_summary

Row = sa.Row[Any]

_SHOWN = [column for column in job.c if column.name != "recommendation"]
"""All that a job's view needs: a recommendation is longer than the rest of its row."""


_SEARCHED = tally.c.phase == Phase.SEARCH
_LEDGERS = (
    sa.select(
        tally.c.job_id,
        tally.c.label,
        *(sa.cast(sa.func.sum(tally.c[name]), tally.c[name].type).label(name) for name in SUMS),
        sa.func.min(sa.case((_SEARCHED, tally.c.least))).label("least"),
        sa.func.max(sa.case((_SEARCHED, tally.c.most))).label("most"),
    )
    .where(tally.c.job_id.in_(sa.bindparam("ids", expanding=True)))
    .group_by(tally.c.job_id, tally.c.label)
)
"""Made once, as it takes longer to make than to run, and every look of a page's event stream asks it."""

_SPECS = KeptSpecs()


class JobViews:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    # -- jobs ----------------------------------------------------------------------------------------

    def job(self, uid: str, *, alive_s: float) -> JobView | None:
        """The job as we show it; `alive_s` is how recently a worker must have been seen to count."""
        rows = self.connection.execute(sa.select(*_SHOWN).where(job.c.uid == uid)).all()
        return readable(rows[0], self._reader(rows, alive_s)) if rows else None

    def activity(self, uid: str, *, alive_s: float) -> JobActivity | None:
        """Return what the job does or waits for; None if it has ended or does not exist."""
        return Activities(self.connection, alive_s=alive_s).of_job(uid)

    def jobs(
        self,
        *,
        state: JobState | None,
        verdicts: Collection[str] = (),
        text: str | None = None,
        dataset: str | None = None,
        uid_part: str | None = None,
        before: int | None,
        limit: int,
        alive_s: float,
    ) -> Page[JobView]:
        """Jobs, newest first, from the one before id `before` on.

        Args:
            verdicts: what they concluded; empty for any, and for none yet.
            text: what their names, data, models, functions or optimizers have in them, word by word.
            uid_part: what their uids begin or end with.
        """
        wanted = [*with_words(text)]
        if state is not None:
            wanted.append(job.c.state == state)
        if verdicts:
            wanted += [job.c.state == JobState.SUCCEEDED, job.c.verdict.in_(verdicts)]
        if dataset is not None:
            wanted.append(job.c.dataset == dataset)
        if uid_part is not None:
            ends = (job.c.uid.startswith, job.c.uid.endswith)
            wanted.append(sa.or_(*(end(uid_part, autoescape=True) for end in ends)))
        if before is not None:
            wanted.append(job.c.id < before)
        # First which, by the indexes alone: the rows themselves are long.
        which = sa.select(job.c.id).where(*wanted).order_by(job.c.id.desc()).limit(limit + 1)
        query = sa.select(*_SHOWN).where(job.c.id.in_(which)).order_by(job.c.id.desc())
        return page_of(self.connection, query, limit, lambda rows: self._reader(rows, alive_s))

    def these(self, uids: Collection[str], *, alive_s: float) -> Page[JobView]:
        """Return the jobs of these uids that there are, newest first."""
        query = sa.select(*_SHOWN).where(job.c.uid.in_(uids)).order_by(job.c.id.desc())
        return page_of(self.connection, query, len(uids), lambda rows: self._reader(rows, alive_s))

    def _reader(self, rows: Sequence[Row], alive_s: float) -> Callable[[Row], JobView]:
        """Return what makes the view of one of the rows, with all read that they need besides."""
        ids = [row.id for row in rows]
        ledgers = self._ledgers(ids)
        running = self._running(ids)
        fresh = self._fresh_seeds([row.id for row in rows if row.phase == Phase.CONFIRM])
        activities = Activities(self.connection, alive_s=alive_s).of(rows)
        return lambda row: _job_view(
            row, ledgers[row.id], running.get(row.id, (0, 0)), fresh[row.id], activities.get(row.id)
        )

    def _ledgers(self, job_ids: Sequence[int]) -> dict[int, dict[str, Row]]:
        """Per job and label: counts by state, and what was used."""
        ledgers: dict[int, dict[str, Row]] = defaultdict(dict)
        rows: sa.CursorResult[Any] = self.connection.execute(_LEDGERS, {"ids": list(job_ids)})
        for row in rows:
            ledgers[row.job_id][row.label] = row
        return ledgers

    def _fresh_seeds(self, job_ids: Sequence[int]) -> dict[int, dict[int, _Seed]]:
        """Per job: confirm's fresh seeds by number."""
        fresh: dict[int, dict[int, _Seed]] = defaultdict(dict)
        if not job_ids:
            return fresh
        for row in self.connection.execute(
            sa.select(fresh_seed).where(fresh_seed.c.job_id.in_(job_ids)).order_by(fresh_seed.c.number)
        ):
            fresh[row.job_id][row.number] = _Seed(row.runs, row.runs == row.done)
        return fresh

    def _running(self, job_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Per job: cohorts that run, and the examples that they have seen."""
        query = (
            sa.select(cohort.c.job_id, sa.func.count(), sa.func.sum(cohort.c.examples))
            .where(cohort.c.job_id.in_(job_ids), cohort.c.state == CohortState.RUNNING)
            .group_by(cohort.c.job_id)
        )
        return {job_id: (count, examples) for job_id, count, examples in self.connection.execute(query)}

    # -- counts --------------------------------------------------------------------------------------

    def job_counts(self) -> dict[str, int]:
        """Jobs by state."""
        query = sa.select(job.c.state, sa.func.count().label("jobs")).group_by(job.c.state)
        return {row.state: row.jobs for row in self.connection.execute(query)}

    def verdict_counts(self, text: str | None = None) -> dict[tuple[str, str | None], int]:
        """Jobs by (state, verdict); `text` as for `jobs`."""
        query = (
            sa.select(job.c.state, job.c.verdict, sa.func.count())
            .where(*with_words(text))
            .group_by(job.c.state, job.c.verdict)
        )
        return {(state, verdict): count for state, verdict, count in self.connection.execute(query)}

    def cohort_counts(self) -> dict[tuple[str, str], int]:
        """Queued and running cohorts by (queue, state)."""
        query = (
            sa.select(cohort.c.queue, cohort.c.state, sa.func.count())
            .where(cohort.c.state.in_(UNFINISHED))
            .group_by(cohort.c.queue, cohort.c.state)
        )
        return {(queue, state): count for queue, state, count in self.connection.execute(query)}


class _Seed(NamedTuple):
    """A fresh seed: the runs that are planned with it, and if all of them have ended."""

    runs: int
    done: bool


def _job_view(
    row: Row,
    ledger: dict[str, Row],
    running: tuple[int, int],
    fresh: dict[int, _Seed],
    activity: JobActivity | None,
) -> JobView:
    spec = _SPECS.of(row)
    direction = spec.goal.direction
    cohorts_running, examples_running = running
    told = stored_summary(row.summary)
    searching = row.phase is None or row.phase == Phase.SEARCH
    # What time has stopped will not be run; of a job that was cancelled, the total tells what was left.
    end = row.concluded_seeds
    stopped = {label: found.cancelled if row.cut_short or end else 0 for label, found in ledger.items()}
    fresh = {number: seed for number, seed in fresh.items() if end is None or number < end}
    planned = {label: found.total - stopped[label] for label, found in ledger.items()}
    asked = {label: max(planned.get(label, 0), spec.trials_of(label)) for label in spec.labels}
    return JobView(
        id=row.uid,
        name=row.name,
        state=JobState(row.state),
        phase=None if row.phase is None else Phase(row.phase),
        spec=spec,
        queue=row.queue,
        executor=spec.trained_by,
        probe=row.probe,
        progress=Progress(
            trials_done=sum(entry.done for entry in ledger.values()),
            trials_total=sum((asked if searching else planned).values()),
            trials_running=sum(entry.running for entry in ledger.values()),
            cohorts_running=cohorts_running,
            examples=examples_running + sum(entry.examples for entry in ledger.values()),
            confirm=_confirm_progress(spec, fresh) if fresh else None,
        ),
        ledger=[
            _ledger_entry(
                label, ledger.get(label), (asked if searching else planned).get(label, 0), direction
            )
            for label in spec.trained_labels
            if label in spec.labels or label in ledger  # today's config has no trials before confirm
        ],
        activity=activity,
        verdict=None if told is None else told.view,
        odds=row.odds,
        concluded_seeds=end,
        waiting_for=activity.detail if activity is not None and activity.what == "worker" else None,
        error=None if row.error is None else JobError.model_validate(row.error),
        revision=row.revision,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _confirm_progress(spec: ResolvedSpec, fresh: dict[int, _Seed]) -> ConfirmProgress:
    finalists = fresh[min(fresh)].runs - (spec.today is not None)  # each has the first seed, as today's has
    planned = planned_looks(spec, finalists)
    return ConfirmProgress(
        seeds_done=sum(seed.done for seed in fresh.values()),
        seeds_planned=len(fresh),
        seeds_most=planned[-1],
        looks=list(planned),
    )


def _ledger_entry(label: str, row: Row | None, asked: int, direction: Direction) -> LedgerEntry:
    if row is None:
        return LedgerEntry(
            optimizer=label,
            trials=0,
            trials_total=asked,
            pruned=0,
            diverged=0,
            steps=0,
            examples=0,
            seconds=0.0,
            best_value=None,
        )
    return LedgerEntry(
        optimizer=label,
        trials=row.done,
        trials_total=asked,
        pruned=row.pruned,
        diverged=row.diverged,
        steps=row.steps,
        examples=row.examples,
        seconds=row.seconds,
        best_value=row.least if direction is Direction.MINIMIZE else row.most,
    )
