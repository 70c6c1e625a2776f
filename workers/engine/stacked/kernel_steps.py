"""The step of torch's own optimizers without their Python: the kernel that the class would call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch.optim import Optimizer

from whichopt.workers.engine.stacked.class_steps import ClassSteps
from whichopt.workers.engine.stacked.rows import RowGroup, all_step

Kernel = Callable[[float], None]
"""Takes one step of one row at that learning rate."""


class KernelSteps(ClassSteps):
    """Steps by torch's fused kernels, on the state that the classes have made in their own first step."""

    def __init__(self, group: RowGroup) -> None:
        super().__init__(group)
        self.make = KERNELS[group.entry.build.target]
        self.count = torch.zeros((), device=group.rows[0].joined_params.device)
        self.kernels: list[Kernel] = []
        if group.states:
            self._take_over()

    def step(self, shares: Sequence[float | None]) -> None:
        if not self.kernels:
            super().step(shares)
            self._take_over()
            return
        self.count.add_(1)
        for kernel, (lr,), share in zip(self.kernels, self.lrs, all_step(shares), strict=True):
            kernel(lr * share)

    def _take_over(self) -> None:
        states = [state for optimizer in self.optimizers for state in optimizer.state.values()]
        for state in states:
            if "step" in state:
                self.count.copy_(state["step"])
                state["step"] = self.count  # one for all, so that it is counted on once
        self.kernels = [self.make(optimizer) for optimizer in self.optimizers]


def _adam(optimizer: Optimizer) -> Kernel:
    """`torch.optim.Adam` and `AdamW`, fused."""
    (group,) = optimizer.param_groups
    params, grads, means, squares, maxima, counts = ([] for _ in range(6))  # type: ignore[var-annotated]
    optimizer._init_group(group, params, grads, means, squares, maxima, counts)  # type: ignore[attr-defined]
    beta1, beta2 = group["betas"]
    kernel = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_

    def step(lr: float) -> None:
        kernel(
            params,
            grads,
            means,
            squares,
            maxima,
            counts,
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )

    return step


def _sgd(optimizer: Optimizer) -> Kernel:
    """`torch.optim.SGD`, fused."""
    (group,) = optimizer.param_groups
    params, grads, means = ([] for _ in range(3))  # type: ignore[var-annotated]
    optimizer._init_group(group, params, grads, means)  # type: ignore[attr-defined]
    momentum = group["momentum"]

    def step(lr: float) -> None:
        torch._fused_sgd_(
            params,
            grads,
            means if momentum else [],
            weight_decay=group["weight_decay"],
            momentum=momentum,
            lr=lr,
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=False,
            is_first_step=False,
        )

    return step


KERNELS: Mapping[str, Callable[[Optimizer], Kernel]] = {
    "torch.optim.SGD": _sgd,
    "torch.optim.Adam": _adam,
    "torch.optim.AdamW": _adam,
}
"""Return the function that the class at an entry's target calls for its step, once it has a state."""
