"""What an optimizer's entry means for a job, in words."""

from __future__ import annotations

from whichopt.service.batches import grows
from whichopt.service.catalog.optimizer_entry import OptimizerEntry


def capabilities(entry: OptimizerEntry) -> list[str]:
    """Say in sentences what a job can do with the optimizer, and what it cannot.

    Example:
        >>> from whichopt.service.catalog.optimizers import optimizer
        >>> capabilities(optimizer("sgd"))[0]
        'Many trials of it train side by side in one stack.'
    """
    stacked = "Many trials of it train side by side in one stack."
    alone = "Its trials train one at a time, not in a stack."
    said = [stacked if entry.stackable else alone]
    if entry.modes:
        said.append("It is evaluated at other params than those that its gradients are taken at.")
    if entry.build.matrices:
        said.append(
            f"Params of two dimensions or more are a group of their own, with {entry.build.matrices}=True; "
            "the code to paste makes both groups."
        )
    if grows(entry.of_training(entry.default)):
        said.append("Its batches grow with the noise of the gradient, so that it takes no batch size.")
    if entry.own_schedule:
        said.append(
            "It brings a schedule of the learning rate: the job's is not for it, and its space takes neither "
            "schedule nor warmup."
        )
    if entry.needs_closure:
        said.append("Its step computes the loss again: only a training function of your own can pass that.")
    if entry.stepping.compiled:
        said.append("A compiled kernel steps it faster, if the machine has a compiler.")
    said += [f"{switch} needs {name} above 0." for switch, name in entry.needs.items()]
    return said
