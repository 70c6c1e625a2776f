"""Many trials in one forward and backward, whatever mix of optimizers: what makes a search cheap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import structlog

from whichopt.service.failures import failure
from whichopt.service.states import TrialState
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers.engine import Cancelled, State, Trained, Watch
from whichopt.workers.engine.beats import Beat, Stopped
from whichopt.workers.engine.growing import together
from whichopt.workers.engine.record import selection
from whichopt.workers.engine.stacked.memory import is_full
from whichopt.workers.engine.stacked.nets import Nets, nets
from whichopt.workers.engine.stacked.rehearsal import footprint
from whichopt.workers.engine.stacked.run import Run
from whichopt.workers.workload import Workload

log = structlog.get_logger()

Positions = Sequence[int]
"""Positions of trials in the plans."""


class StackedExecutor:
    """The executor that trains at once what agrees in batch size and evaluations and fits the memory.

    How much that is changes no result. A trial that ends leaves its stack, and the rest go on faster.

    Args:
        most: the most trials in a stack, whatever the memory; None for no limit.

    Example:
        >>> from whichopt.service.planning.rounds import next_round
        >>> from whichopt.service.spec import JobSpec, resolve
        >>> from whichopt.workers import workload
        >>> from whichopt.workers.engine import Unwatched
        >>> from whichopt.workers.engine.stacked import StackedExecutor
        >>> from whichopt.workers.sampler import suggest
        >>> wine = {"dataset": {"name": "wine"}, "model": {"name": "linear"}}
        >>> budget = {"trials": 2, "replicates": 2, "epochs": 1, "confirm_seeds": 3}
        >>> job = {"workload": wine, "optimizers": ["adabelief", "sgd"], "budget": budget}
        >>> spec = resolve(JobSpec.model_validate(job))
        >>> plans = next_round(spec.with_executor("stacked"), [], suggest).cohorts[0]
        >>> results = StackedExecutor().run(workload.build(spec.workload), plans, Unwatched())
        >>> len(results) == len(plans), {result.state.value for result in results}
        (True, {'complete'})
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = most

    def run(
        self,
        workload: Workload,
        plans: Sequence[TrialPlan],
        watch: Watch,
        resume: State | None = None,
    ) -> list[TrialResult]:
        """Train every plan to its end; see `Executor.run`.

        What `resume` holds is told to the watch first, as if just evaluated.

        Args:
            workload: what is trained, on its device.
            plans: the trials, of one workload.
            watch: the interface by which the outside follows the run and stops it.
            resume: a state that `watch.checkpoint` was offered in an earlier run; None begins anew.

        Raises:
            Cancelled: `watch.cancelled()` became true.
            RuntimeError: the memory holds not even one trial, or the device fails.
        """
        if not plans:
            return []
        results: dict[int, TrialResult] = {}
        saved: State | None = None
        if resume is not None:
            results = {int(at): TrialResult.model_validate(found) for at, found in resume["results"].items()}
            saved = resume["stack"]
        for position, done in results.items():
            watch.progress(position, done.examples, done.curves.get(selection(workload), ()))
        kind = nets(workload)
        stacked = [] if saved is None else saved["positions"]
        waiting = [at for at in range(len(plans)) if at not in results and at not in stacked]
        pending: list[tuple[Positions, State | None]] = [(stacked, saved)] if stacked else []
        pending += [(positions, None) for positions in self._stacks(workload, plans, waiting)]
        while pending:
            positions, saved = pending.pop(0)
            try:
                _train(workload, kind, plans, positions, saved, results, watch)
            except (RuntimeError, MemoryError) as error:
                left = [at for at in positions if at not in results]
                if not is_full(error) or len(left) == 1:
                    raise
                half = len(left) // 2
                log.warning("out_of_memory", stacked=len(left), next=half, **failure(error, expected=True))
                # Afresh, or from where the resumed stack stood: half of a step is no state to go on from.
                pending[:0] = [(part, saved) for part in (left[:half], left[half:])]
        return [results[at] for at in range(len(plans))]

    def train(self, workload: Workload, plan: TrialPlan, watch: Watch) -> Trained:
        """Train one plan to its end, and keep its network; see `Executor.train`.

        Args:
            workload: what is trained, on its device.
            plan: the trial.
            watch: the interface by which the outside follows the run and stops it.

        Raises:
            Cancelled: `watch.cancelled()` became true.
        """
        run = Run(workload, nets(workload), [plan], [0], None, footprint(workload, [plan]).block)
        (record,) = run.records.values()
        ended: dict[int, TrialResult] = {}
        while not ended:
            try:
                ended = run.advance(Beat(watch, partial(run.tell, watch)))
            except Stopped:
                raise Cancelled([record.result(TrialState.CANCELLED)]) from None
            if not ended and watch.cancelled():
                raise Cancelled([record.result(TrialState.CANCELLED)])
            watch.progress(0, record.examples, record.selection)
        return Trained(ended[0], run.stack.network(0))

    def _stacks(
        self, workload: Workload, plans: Sequence[TrialPlan], waiting: Positions
    ) -> Iterator[Positions]:
        """Group the plans that train together: like plans, in as few equal parts as possible."""
        alike: dict[object, list[int]] = {}
        for at in waiting:
            plan = plans[at]
            alike.setdefault(together(plan), []).append(at)
        for positions in alike.values():
            most = footprint(workload, [plans[at] for at in positions]).most(workload.device)
            most = min(most, self.most or most)
            count = -(-len(positions) // most)
            for part in range(count):
                yield sorted(positions[part::count], key=lambda at: plans[at].optimizer)


def _train(
    workload: Workload,
    kind: Nets,
    plans: Sequence[TrialPlan],
    positions: Positions,
    saved: State | None,
    results: dict[int, TrialResult],
    watch: Watch,
) -> None:
    """Trains those plans to their ends, from `saved` on if given, and adds to `results`."""
    block = footprint(workload, [plans[at] for at in positions]).block
    run = Run(workload, kind, plans, positions, saved, block)
    if saved is not None:
        run.tell(watch)
    while run.records:
        evaluated, stopped = dict(run.records), False
        try:
            results |= run.advance(Beat(watch, partial(run.tell, watch)))
        except Stopped:
            stopped = True
        if stopped or watch.cancelled():
            under_way = {at: record.result(TrialState.CANCELLED) for at, record in run.records.items()}
            raise Cancelled([(results | under_way).get(at) for at in range(len(plans))])
        for position, record in evaluated.items():
            watch.progress(position, record.examples, record.selection)
        watch.checkpoint(partial(_state, results, run))


def _state(results: Mapping[int, TrialResult], run: Run) -> State:
    return {
        "results": {str(at): result.model_dump(mode="json") for at, result in results.items()},
        "stack": run.state() if run.records else None,
    }
