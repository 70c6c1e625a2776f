"""The optimizers of a stack: each row takes its own step, with its own config, to the bit as its class would.

`ClassSteps` is the class itself, over views of the rows: it serves every optimizer. If the class's Python
costs more than the arithmetic, the catalog's entry names a way that does without: `KernelSteps` hands the
tensors of the class's own state to the kernel that the class would call; `adabelief_steps` takes the rows as
matrices and the hyperparameters as columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from whichopt.workers.engine.stacked.adabelief_steps import adabelief_steps
from whichopt.workers.engine.stacked.class_steps import ClassSteps
from whichopt.workers.engine.stacked.kernel_steps import KernelSteps
from whichopt.workers.engine.stacked.rows import RowGroup, Steps

STEPS: Mapping[str, Callable[[RowGroup], Steps]] = {
    "class": ClassSteps,
    "kernel": KernelSteps,
    "columns": adabelief_steps,
}
"""The ways of stepping, by the name that the catalog's entries give."""
