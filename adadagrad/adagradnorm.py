"""AdaGradNorm: one step size for all parameters, which falls with the gradients' norms so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, TypeVar, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT, StateDict

__all__ = ["AdaGradNorm"]

Loss = TypeVar("Loss")
Group = dict[str, Any]

SUM = "sum_of_squares"
"""The name of the sum in the state of the first parameter, where it stands for all of them."""


class AdaGradNorm(Optimizer):
    r"""AdaGradNorm: divide the learning rate by the root of all squared gradient norms so far.

    .. math::
        b_t^2 &= b_{t-1}^2 + \|g_t\|^2 \\
        \theta_t &= \theta_{t-1} - \mathrm{lr} \; \frac{g_t}{b_t}

    Where Adagrad has a sum for every entry, this has one number for all parameters of all groups, so that a
    rotation of their space changes nothing, and the state takes no memory. The step goes along the gradient.

    Every argument but ``params`` and ``b0`` is the default of a parameter group, may be set for each group,
    and is kept in the state dict.

    Args:
        params: parameters, named parameters, or dicts of parameter groups.
        lr: the learning rate, >= 0: a number or a tensor of one element.
        b0: the root of the sum at the start, >= 0. At 0 the first step is lr long, whatever the gradient.
        weight_decay: the weight decay, >= 0. It is coupled: ``weight_decay`` times the parameter joins the
            gradient, and with it the norm.
        maximize: whether to ascend.

    Raises:
        ValueError: if a setting is out of its range, a parameter is complex, or no parameters are given.
        TypeError: if ``params`` is not a collection of tensors, named tensors or groups.

    Example:
        >>> import torch
        >>> from adadagrad import AdaGradNorm
        >>> theta = torch.tensor([3.0, -2.0], requires_grad=True)
        >>> optimizer = AdaGradNorm([theta], lr=1.0)
        >>> for _ in range(200):
        ...     optimizer.zero_grad()
        ...     loss = theta.square().sum()
        ...     loss.backward()
        ...     optimizer.step()
        >>> loss.item() < 1e-3
        True

    References:
        Ward et al., AdaGrad stepsizes: Sharp convergence over nonconvex landscapes, ICML 2019,
        https://arxiv.org/abs/1806.01811
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        b0: float = 0.1,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        if not 0 <= b0 < math.inf:
            raise ValueError(f"b0 must be at least 0 and finite, got {b0}")
        self.b0 = b0
        super().__init__(params, {"lr": lr, "b0": b0, "weight_decay": weight_decay, "maximize": maximize})

    def __setstate__(self, state: StateDict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("maximize", False)

    def add_param_group(self, param_group: Group) -> None:
        """Add a group, as torch does.

        Raises:
            ValueError: a setting is out of its range, b0 is not that of the others, a parameter is complex.
        """
        super().add_param_group(param_group)
        try:
            self._check(self.param_groups[-1])
        except ValueError:
            del self.param_groups[-1]
            raise

    def _check(self, group: Group) -> None:
        for name in ("lr", "weight_decay"):
            if not 0 <= group[name] < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, got {group[name]}")
        if group["b0"] != self.b0:
            raise ValueError(f"b0 is one number for all groups, {self.b0}, got {group['b0']} for one of them")
        for param in group["params"]:
            if param.is_complex():
                raise ValueError(
                    f"AdaGradNorm needs real parameters, got one of dtype {param.dtype}: give it "
                    "torch.view_as_real(parameter)"
                )

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Take over a state: the sum keeps its own dtype, whatever that of the parameter is."""
        super().load_state_dict(state_dict)
        self.b0 = self.param_groups[0]["b0"]
        saved = state_dict["state"].get(state_dict["param_groups"][0]["params"][0], {})
        if SUM in saved:
            self._first_state()[SUM] = saved[SUM].detach().clone().to(self._first().device)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], Loss]) -> Loss: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], Loss] | None = None) -> Loss | None:
        """Take a step, which waits for no value of the device.

        Args:
            closure: computes the loss anew, and its gradients.

        Returns:
            What the closure returned.

        Raises:
            RuntimeError: a gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        descents = list(self._descents())
        if descents:
            scale = self._added(descents)
            for group, params, grads in descents:
                self._descend(group, params, grads, scale)
        return loss

    def _descents(self) -> Iterator[tuple[Group, list[Tensor], list[Tensor]]]:
        """Yield each group with its parameters that have a gradient, and those, the decay added."""
        for group in self.param_groups:
            params = [param for param in group["params"] if param.grad is not None]
            if not params:
                continue
            grads = [param.grad for param in params]
            for grad in grads:
                if grad.layout != torch.strided:
                    raise RuntimeError(
                        f"AdaGradNorm needs dense gradients, got one of layout {grad.layout}: use "
                        "sparse=False in the embedding"
                    )
            if group["maximize"]:
                grads = list(torch._foreach_neg(grads))
            if group["weight_decay"] != 0:
                grads = list(torch._foreach_add(grads, params, alpha=group["weight_decay"]))
            yield group, params, grads

    def _added(self, descents: list[tuple[Group, list[Tensor], list[Tensor]]]) -> Tensor:
        """Add the squared norm of all gradients to the sum; return 1 / b_t, which is 0 while b_t is."""
        together = [grad for _, _, grads in descents for grad in grads]
        # Squares of half precision overflow at 256; float64 is kept for those who have it.
        dtype = reduce(torch.promote_types, {grad.dtype for grad in together}, torch.float32)
        state = self._first_state()
        if SUM not in state:
            state[SUM] = torch.full((), self.b0**2, dtype=dtype, device=self._first().device)
        total = state[SUM]
        norms = [norm.to(total.device) for norm in torch._foreach_norm(together, 2, dtype)]
        total.add_(torch.stack(norms).square_().sum())
        return torch.where(total > 0, total.rsqrt(), 0)

    def _descend(self, group: Group, params: list[Tensor], grads: list[Tensor], scale: Tensor) -> None:
        factor = scale * group["lr"]
        for device in dict.fromkeys(grad.device for grad in grads):
            chosen = [i for i, grad in enumerate(grads) if grad.device == device]
            there = factor.to(device)
            updates = torch._foreach_mul([grads[i] for i in chosen], there)
            torch._foreach_sub_([params[i] for i in chosen], list(updates))

    def _first(self) -> Tensor:
        first: Tensor = self.param_groups[0]["params"][0]
        return first

    def _first_state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.state[self._first()]
        return state
