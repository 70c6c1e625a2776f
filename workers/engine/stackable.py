"""Finds whether a job's network can be stacked, if the catalog does not know."""

from __future__ import annotations

import math
from collections.abc import Sequence

import structlog
import torch

from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.failures import in_line
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.trials import TrialPlan
from whichopt.workers.engine.executors import STACKING
from whichopt.workers.engine.python_state import kept_in_python
from whichopt.workers.engine.solo import TrialRun
from whichopt.workers.workload import Workload, build

log = structlog.get_logger()

TOLERANCE = 2e-3
"""Most that two trials may be apart after four steps, as a share of the greatest value.

Rounding made up to 1e-4 of it where it was measured, in networks with batch normalization, which divides by
the deviation of a few values; a network whose trials shared state that should be their own made 3e-2.
"""

TRIED_BATCH = 16
"""Examples of a batch that an optimizer is tried with."""


def why_only_solo(workload: Workload, plans: Sequence[TrialPlan]) -> str | None:
    """Return the reason why trials like `plans` can only be trained solo; None if they can be stacked.

    A network of stacked layers needs no trial. One that keeps something in Python from call to call has it
    once for a whole stack, however alike four steps come out. Any other is tried: two trials of different
    seeds are trained for four steps and evaluated both ways. They are trained by SGD, as the network is in
    question and not an optimizer: Adam makes whole steps of a gradient that is rounding alone, as that of a
    bias before a batch normalization is. Each batch is a step, whether or not the trials' batches grow.
    """
    if STACKING is None or STACKING.made_of_layers(workload):
        return None
    training = plans[0].training.model_copy(update={"growing": None})
    sgd = {"optimizer": "sgd", "config": dict(optimizer("sgd").default), "training": training}
    first = plans[0].model_copy(update=sgd)
    if kept := _counts(workload, first):
        log.warning("counts_in_python", attribute=kept)
        return (
            f"its network keeps {kept!r} in Python and changes it at each call, which a stack has once for "
            "all of its trials; a buffer would be each trial's own"
        )
    return _apart(workload, first, "its network")


def why_optimizer_only_solo(plan: TrialPlan) -> str | None:
    """Return the reason why an optimizer of which the catalog knows nothing can only be trained solo.

    It is tried on a linear network, where no step depends on rounding alone.
    """
    if STACKING is None:
        return None
    simple = {"workload": {"dataset": "wine", "model": "linear"}, "batch_size": TRIED_BATCH}
    spec = resolve(JobSpec.model_validate({**simple, "optimizers": ["sgd"]}))
    training = plan.training.model_copy(update={"batch_size": TRIED_BATCH, "growing": None})
    return _apart(build(spec.cataloged), plan.model_copy(update={"training": training}), "it")


def _counts(workload: Workload, plan: TrialPlan) -> str | None:
    """Return the first attribute of the network that two steps of training change in Python."""
    trial = TrialRun(workload, plan)
    trial.train(plan.training.batch_size)  # what is made at the first call is no count
    before = kept_in_python(trial.model)
    trial.train(2 * plan.training.batch_size)
    after = kept_in_python(trial.model)
    return next((name for name in after if after[name] != before.get(name)), None)


def _apart(workload: Workload, first: TrialPlan, what: str) -> str | None:
    """Return how this trial and one of other seeds come out otherwise in a stack; None if they do not."""
    assert STACKING is not None
    other = first.seeds.model_copy(update={"init": first.seeds.init + 1, "order": first.seeds.order + 1})
    try:
        apart = STACKING.apart(workload, [first, first.model_copy(update={"seeds": other})])
    except torch.OutOfMemoryError as error:
        log.warning("no_memory_for_a_stack", reason=in_line(error))
        return "there was no memory to try a stack"
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        # What vmap cannot run it refuses by errors of these kinds; in the solo trials they would come again.
        log.warning("cannot_be_stacked", reason=in_line(error))
        return f"torch cannot run {what} in a stack ({in_line(error)})"
    if math.isnan(apart) or apart > TOLERANCE:
        log.warning("stack_is_apart", apart=apart, tolerance=TOLERANCE)
        return (
            f"two trials of four steps came out {apart:.2g} apart in a stack and alone, as a share of the "
            f"greatest value, and at most {TOLERANCE:g} is rounding"
        )
    return None
