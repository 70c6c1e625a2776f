"""The door for a person's own training function, in the process that has it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from whichopt.service import machine
from whichopt.service.db import DatabaseError
from whichopt.service.errors import BudgetNeeded, InvalidSpec, NotResumable, WhichoptError, kind_of
from whichopt.service.jobs import RESUMABLE
from whichopt.service.planning.guest_minutes import budget_lines
from whichopt.service.spec import ResolvedSpec
from whichopt.service.spec.digest import digest
from whichopt.service.states import JobState
from whichopt.service.views import JobView
from whichopt.workers import jobs
from whichopt.workers.engine import numerics
from whichopt.workers.guests.by_hand import is_in_a_trial
from whichopt.workers.guests.executor import GuestExecutor, Isolation
from whichopt.workers.guests.functions import Functions
from whichopt.workers.guests.offered import source_of_named
from whichopt.workers.guests.rehearsal import Check
from whichopt.workers.guests.source import source_of
from whichopt.workers.guests.target import is_importing
from whichopt.workers.tune import tuned
from whichopt.workers.tune.asked import Asked, Function, Train, identity, spec_of
from whichopt.workers.tune.folder import Folder, opened
from whichopt.workers.tune.means import check_means
from whichopt.workers.tune.others import Others
from whichopt.workers.tune.progress import Progress, Say, rehearsed, rehearsing, to_stderr
from whichopt.workers.tune.ring import Here
from whichopt.workers.tune.tuned import Tuned

OTHERS_S = 0.5
"""Seconds between two looks at a job of which other processes train what is left of a round."""

MOST_JOBS = 1000
"""Most jobs that ask the same question, one after the other: failed ones, and those with `fresh`."""


def tune(
    train: Train,
    *,
    minimize: str | None = None,
    maximize: str | None = None,
    optimizers: Sequence[Asked] | None = None,
    minutes: float | None = None,
    trials: int | None = None,
    replicates: int = 3,
    epochs: int = 20,
    confirm_seeds: int = 10,
    risk: float | None = None,
    margin: Mapping[str, float] | None = None,
    today: Mapping[str, Any] | None = None,
    pruning: Mapping[str, Any] | None = None,
    schedule: str | Mapping[str, Any] | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    baseline: float | None = None,
    name: str | None = None,
    version: str | None = None,
    fresh: bool = False,
    processes: int | None = None,
    isolation: Isolation = "auto",
    check: Check = "error",
    arguments: Sequence[str] = (),
    report: str | Path | None = None,
    data: str | Path = "whichopt-data",
    say: Say | None = None,
) -> Tuned:
    """Find the optimizer and the hyperparameters that suit a training function, and how sure that is.

    The function is called with a `Run`, once for each trial. Interrupted or killed, the same call goes on
    where it stood; finished, it returns what is known. An edited function is a new job.

    Args:
        train: the function, or its name: `train.py:fit`, `package.module:fit`, or a script, `train.py`.
        minimize: the metric that it reports, if less of it is better.
        maximize: the metric, if more of it is better.
        optimizers: names, choices as in a job, or candidates; six by default.
        minutes: minutes until the answer, about. Either these or `trials` are needed.
        trials: search trials of each optimizer.
        replicates: independent studies of each optimizer; 1 leaves out the verdict on optimizers.
        epochs: reports of a full trial.
        confirm_seeds: fresh seeds for each finalist on average, at most.
        risk: as in a job's budget.
        margin: as in a job: the least difference that matters.
        today: what is used today, `{"name": "adamw", "config": {"lr": 3e-4}}`; the answer then says first
            whether to keep it or to switch. What the config leaves out has the defaults of torch's class.
        pruning: as in a job.
        schedule: the schedule of the learning rate, for functions that use `run.scheduler`.
        seed: seed of the job.
        options: JSON that the function finds as `run.options`.
        baseline: score of a model that has learned nothing, which stands in for a run that diverged.
        name: name of the job.
        version: version of what the function reads, such as its data: another one is another job.
        fresh: whether to begin anew, whatever is known.
        processes: trials at once; as many as there are cores by default.
        isolation: `auto`, `fork`, `spawn` or `inline`; see `GuestExecutor`.
        check: `warn` goes on despite a finding of the rehearsal that spoils the job, if it can.
        arguments: the command line of a script.
        report: file to save the evidence in at the end, as `Tuned.save_report` does.
        data: folder of the jobs, which `whichopt up --data` shows.
        say: takes each line about the progress; the standard error by default.

    Returns:
        The answer.

    Raises:
        InvalidSpec: an argument is unknown or out of bounds; the error names it.
        BudgetNeeded: neither minutes nor trials are given; the text says what some would buy.
        FunctionFailed: the function raised, or the rehearsal found what spoils the job.
        Exception: what the function raised, if it runs in this process.

    Example:
        >>> import tempfile, torch, whichopt
        >>> def train(run):
        ...     model = torch.nn.Linear(4, 1)
        ...     optimizer = run.optimizer(model)
        ...     for epoch in run.epochs:
        ...         loss = (model(torch.randn(32, 4)) - 1).square().mean()
        ...         optimizer.zero_grad()
        ...         loss.backward()
        ...         optimizer.step()
        ...         run.report(loss=loss)
        >>> best = whichopt.tune(
        ...     train, minimize="loss", optimizers=["sgd"], trials=2, replicates=1, epochs=2, confirm_seeds=3,
        ...     data=tempfile.mkdtemp(), say=lambda line: None,
        ... )
        >>> best.recommendation.optimizer, sorted(best.config)[:2]
        ('sgd', ['lr', 'momentum'])
        >>> optimizer = best.optimizer(torch.nn.Linear(4, 1))
    """
    say = say or to_stderr()
    _refuse_inside()
    function = Function.of(train)
    check_means(processes, isolation, check, options, optimizers, report)
    body = _body(locals())
    spec = spec_of(body, optimizers)
    executor = GuestExecutor(processes=_processes(processes), isolation=isolation)
    functions = Functions(executor, function.function, None, tuple(arguments), check, is_own=True)
    numerics.repeat_to_the_bit()
    try:
        with _only_warnings():
            if minutes is None and trials is None:
                raise _needs_budget(functions, spec, say)
            source = _source(functions, spec)
            with opened(Path(data)) as folder:
                executor.folder = folder.runs
                asks = identity(spec, source, optimizers)
                uid = _find_or_add(folder, spec, f"tune-{asks}", fresh=fresh, say=say)
                _until_it_ends(folder, functions, uid, say)
                found = tuned.read(folder, uid)
    finally:
        executor.end()
    if report is not None:
        say(f"the evidence is in {found.save_report(report)}, which 'whichopt verify' checks")
    return found


def _refuse_inside() -> None:
    """Refuse a call that training itself makes: each trial, or each process, would tune anew without end."""
    if is_in_a_trial():
        raise InvalidSpec(
            "whichopt.tune is called in the middle of a trial, as the function or the script that is tuned "
            "calls it: give the function alone, such as train.py:fit, and call tune outside of it"
        )
    if is_importing():
        raise InvalidSpec(
            "whichopt.tune is called while the function's module is imported: each process that trains "
            "imports it, and would tune anew. Put the call under if __name__ == '__main__':"
        )


def _body(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the job's body by the arguments of `tune`."""
    function: Function = given["function"]
    budget = {
        key: given[key] for key in ("minutes", "trials", "replicates", "epochs", "confirm_seeds", "risk")
    }
    if budget["minutes"] is None and budget["trials"] is None:
        budget["minutes"] = 60.0  # in place of what the rehearsal is to tell
    workload = {
        "function": {"name": function.name, "options": dict(given["options"] or {})},
        **{key: given[key] for key in ("minimize", "maximize", "baseline", "version")},
    }
    keys = ("margin", "today", "pruning", "schedule", "name")
    optional = {key: given[key] for key in keys if given[key] is not None}
    return {
        "workload": {key: value for key, value in workload.items() if value is not None},
        "budget": {key: value for key, value in budget.items() if value is not None},
        "seed": given["seed"],
        **optional,
    }


def _processes(asked: int | None) -> int:
    return machine.cores() if asked is None else asked


def _source(functions: Functions, spec: ResolvedSpec) -> str:
    if functions.given is not None:
        return source_of(functions.given).sha256
    return source_of_named(functions.guest(spec, checkpoint_s=float("inf")))


def _needs_budget(functions: Functions, spec: ResolvedSpec, say: Say) -> BudgetNeeded:
    say(rehearsing(spec))
    lines = budget_lines(functions.rehearsed(spec), processes=functions.executor.processes)
    return BudgetNeeded(
        "\n".join(["give minutes or trials.", *lines]), field="budget", allowed="minutes or trials"
    )


@contextmanager
def _only_warnings() -> Iterator[None]:
    """Leave out of a person's output what a service logs, unless they have set up structlog themselves.

    What is set is for the whole process, so it is undone at the end: their own logs are theirs.
    """
    if structlog.is_configured():
        yield
        return
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.reset_defaults()


# -- the job -----------------------------------------------------------------------------------------------


def _find_or_add(folder: Folder, spec: ResolvedSpec, key: str, *, fresh: bool, say: Say) -> str:
    """Return the job that asks this: the last one that has not failed, or a new one."""
    for number in range(MOST_JOBS):
        own = f"{key}/{number}" if number else key
        with folder.store.transaction() as tx:
            known = tx.jobs.by_idempotency(folder.key_id, own)
            if known is None:
                edited = tx.jobs.last_about(spec.workload.title)
                _, uid = tx.jobs.add(
                    spec, queue=None, api_key_id=folder.key_id, idempotency_key=own, body_digest=digest(spec)
                )
                break
            uid = known[0]
            view = tx.views.job(uid, alive_s=0)
            assert view is not None
            failed = view.error is not None and view.error.code not in RESUMABLE
            if not (failed or view.state is JobState.CANCELLED or (fresh and view.state.ended)):
                _say_known(view, say)
                if view.state is JobState.FAILED and tx.lost.resume(tx.jobs.id_of(uid) or 0) is None:
                    raise NotResumable(
                        f"another process is still ending its part of job {uid}; try again in a moment",
                        field="state",
                    )
                return uid
    else:
        raise WhichoptError(f"{MOST_JOBS} jobs have asked this already; give another data folder")
    if edited is not None and not fresh and not number:
        say(
            f"the question about {spec.workload.title} is not the one asked before, as the function, an "
            "argument or a value that it names differs: a new job begins"
        )
    say(f"job {uid} in {folder.path}")
    return uid


def _say_known(view: JobView, say: Say) -> None:
    if view.state is JobState.SUCCEEDED:
        say(f"job {view.id} has answered this already; fresh=True asks anew")
    else:
        done, total = view.progress.trials_done, view.progress.trials_total
        say(f"job {view.id} goes on: {done} of {total or 'its'} trials are there")


def _until_it_ends(folder: Folder, functions: Functions, uid: str, say: Say) -> None:
    """Plan and train until the job has ended; beside others, if they work on it, too.

    Raises:
        WhichoptError: it has failed, or was cancelled.
    """
    ring = Here()
    progress = Progress(say, lambda: _view(folder, uid))
    functions = replace(functions, tick=progress.tick)
    context = jobs.Context(folder.store, ring, folder.settings, f"here-{uid}", functions)
    with folder.store.read() as tx:
        job_id = tx.jobs.id_of(uid)
        view = tx.views.job(uid, alive_s=0)
    assert job_id is not None
    assert view is not None
    if view.state is JobState.SUCCEEDED:
        return
    others = Others(folder, uid, job_id)
    try:
        others.take_back()
        unrehearsed = view.spec.guest is not None and view.spec.guest.rehearsed is None
        if unrehearsed:
            say(rehearsing(view.spec))
        while True:
            rung = ring.take()
            if rung is not None:
                does = {"plan": jobs.plan_round, "train": jobs.run_cohort, "report": jobs.make_report}
                does[rung.what](context, rung.row)
            with folder.store.read() as tx:
                view = tx.views.job(uid, alive_s=0)
                queued = tx.cohorts.queued_of(job_id)
            assert view is not None
            if unrehearsed and view.spec.guest is not None and view.spec.guest.rehearsed is not None:
                unrehearsed = False
                for line in rehearsed(view.spec.guest.rehearsed):
                    say(line)
            progress.tick()
            if view.state.ended:
                progress.tell(view)
                while (rung := ring.take()) is not None:
                    if rung.what == "report":
                        jobs.make_report(context, rung.row)
                break
            if not ring.waiting(""):
                if queued:
                    ring.cohorts(queued, view.queue)
                elif view.progress.cohorts_running:
                    time.sleep(OTHERS_S)  # another process trains them
                    others.take_back()
                else:
                    ring.plan(job_id)
    except KeyboardInterrupt:
        progress.end()
        say("interrupted: the same call goes on where it stood")
        raise
    finally:
        progress.end()
        others.leave(for_good=view is not None and view.state.ended)
    if view.state is not JobState.SUCCEEDED:
        raise _failure(view)


def _view(folder: Folder, uid: str) -> JobView | None:
    """Return the job; None if it cannot be read now, which is no reason to stop what trains."""
    try:
        with folder.store.read() as tx:
            return tx.views.job(uid, alive_s=0)
    except DatabaseError:
        return None


def _failure(view: JobView) -> WhichoptError:
    if view.error is None:
        return WhichoptError(f"job {view.id} was cancelled; fresh=True begins anew")
    kind = kind_of(view.error.code) or WhichoptError
    return kind(f"job {view.id} failed: {view.error.detail}")
