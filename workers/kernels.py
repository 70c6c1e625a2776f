"""Chooses the kernels of a job's optimizers: torch's own, or ones that must be compiled first.

A kernel is compiled once for a machine, which takes as long as many a job, and is kept there. So a job has it
if it is there already, or if the job is long enough to pay for it. The two round differently: which it
is, is decided once, before the first round, and kept with the spec.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
import torch

from adabelief.steps import compiled_kernel
from whichopt.service.spec import ResolvedOptimizer, ResolvedSpec
from whichopt.workers.engine.entries import optimizer

log = structlog.get_logger()

COMPILE_S = 20.0
"""Seconds to compile a kernel on a slow core."""

SAVED_SHARE = 0.1
"""Least share of a step's time that a compiled kernel saves: on dense networks it is a fifth to a third, and
with convolutions the optimizer's share is smaller."""

WORTH = 3.0
"""Least ratio of the saved time to the time of compiling, as either may be misjudged."""

CPU_FLOAT32 = (torch.float32, torch.float32, torch.device("cpu"), False)


@dataclass(frozen=True)
class Compiled:
    """An optimizer's kernel for float32 on a CPU: whether it is on this machine, and whether it can be used,
    which compiles it if it is not."""

    is_kept: Callable[[], bool]
    works: Callable[[], bool]


COMPILED: Mapping[str, Compiled] = {
    "adabelief.AdaBelief": Compiled(
        is_kept=lambda: compiled_kernel.is_kept(*CPU_FLOAT32),
        works=lambda: compiled_kernel.kernel(*CPU_FLOAT32) is not None,
    )
}
"""By the target of the catalog's entry."""


def tell() -> None:
    """Log which kernels AdaBelief's fused step takes here, and what is in the way of the fast ones."""
    is_kept = compiled_kernel.is_kept(*CPU_FLOAT32)
    obstacle = None if is_kept else compiled_kernel.obstacle()
    if obstacle is None:
        log.info(
            "adabelief_kernels", path="compiled", when="at once" if is_kept else "if a job pays for making it"
        )
    else:
        log.warning(
            "adabelief_kernels", path="torch", why=obstacle, means="its steps take about twice as long"
        )


def profiting(spec: ResolvedSpec) -> list[ResolvedOptimizer]:
    """The job's optimizers that have a compiled kernel."""
    return [chosen for chosen in spec.optimizers if optimizer(chosen.name).stepping.compiled]


def choose_kernels(
    spec: ResolvedSpec,
    *,
    on_cpu: bool,
    workers: int,
    step_seconds: Callable[[], Mapping[str, float]],
    compiling: Callable[[], None] = lambda: None,
) -> ResolvedSpec:
    """`spec` with the kernels that its trials use; nothing is compiled but for a job that it pays for.

    If they were asked for, the compiled ones are chosen unless no compiler works, or on a GPU, which they
    are not for.

    Args:
        workers: the processes that train the job.
        step_seconds: what a step of one trial takes by torch's kernels, by label; measured if it matters.
        compiling: called before a kernel is compiled, as that takes long.
    """
    if spec.kernels == "torch":
        return spec
    targets = {optimizer(chosen.name).build.target for chosen in profiting(spec)}
    kernels = [COMPILED[target] for target in sorted(targets)]
    use = on_cpu and bool(kernels)
    if use and not all(kernel.is_kept() for kernel in kernels):
        use = spec.kernels != "auto" or _pays(spec, len(kernels) * COMPILE_S, workers, step_seconds)
        if use:
            compiling()
    use = use and all(kernel.works() for kernel in kernels)
    return spec.model_copy(update={"kernels": "compiled" if use else "torch"})


def _pays(
    spec: ResolvedSpec,
    compiling: float,
    workers: int,
    step_seconds: Callable[[], Mapping[str, float]],
) -> bool:
    """Tell if the compiled kernels shorten the job by much more than the `compiling` that it waits for.

    Of the trials, those of the search are counted as if none were pruned, and those of confirm not at all.
    """
    needed, budget, chosen = WORTH * compiling / SAVED_SHARE, spec.budget, profiting(spec)
    limits = [budget.max_seconds, None if budget.minutes is None else 60 * budget.minutes]
    most = min((limit for limit in limits if limit is not None), default=math.inf)
    if most < needed:
        return False
    if budget.trials is None:  # the optimizers get equal seconds
        stepping = most * len(chosen) / len(spec.optimizers)
    else:
        took, steps = step_seconds(), spec.training.steps(0, spec.length)
        a_step_of_each = math.fsum(took[one.label] for one in chosen)
        stepping = min(most, budget.trials * steps * a_step_of_each / max(1, workers))
    pays = stepping >= needed
    log.info("weighed_compiling", stepping_s=round(stepping), needed_s=round(needed), pays=pays)
    return pays
