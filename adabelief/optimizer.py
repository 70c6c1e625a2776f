"""The torch optimizer around the update: its settings, its state, and which tensors it is applied to."""

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from numbers import Real
from typing import Any, TypeVar, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT, StateDict

from adabelief.functional import update_

__all__ = ["AdaBelief"]

Loss = TypeVar("Loss")

_MOMENTS = ("exp_avg", "exp_avg_var", "max_exp_avg_var")
_FLAGS = ("decoupled_weight_decay", "fixed_decay", "rectify", "amsgrad", "maximize")


class AdaBelief(Optimizer):
    r"""AdaBelief: divide each step by how far gradients stray from their running mean, their prediction.

    .. math::
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        s_t &= \beta_2 s_{t-1} + (1 - \beta_2) (g_t - m_t)^2 + \epsilon \\
        \theta_t &= \theta_{t-1} - \mathrm{lr} \; \frac{m_t / (1 - \beta_1^t)}
            {\sqrt{s_t / (1 - \beta_2^t)} + \epsilon}

    Where Adam divides by the size of the gradient, AdaBelief divides by its spread, so a step is not bounded
    by lr: for a constant gradient it grows up to :math:`\mathrm{lr} |g| / (\sqrt{\epsilon / (1 - \beta_2)} +
    \epsilon)`. Clip gradients by norm, never by value. As a rule of thumb its eps is the square of Adam's.

    Every argument but ``params`` is the default of a parameter group, may be set for each group, and is kept
    in the state dict. The moments of a parameter in half precision are kept in float32.

    Args:
        params: parameters, named parameters, or dicts of parameter groups.
        lr: the learning rate, >= 0: a number or a tensor of one element.
        betas: the decay rates of m, in (0, 1), and of s, in [0, 1).
        eps: >= 0; added to s at every step, and once more outside the root. At 0, an entry whose gradient
            has never been anything but 0 becomes nan, as it does in Adam.
        weight_decay: the weight decay, >= 0.
        decoupled_weight_decay: whether the decay shrinks the parameter by ``1 - lr * weight_decay`` (as in
            AdamW) rather than joins the gradient (as in Adam).
        fixed_decay: whether the decoupled decay is ``1 - weight_decay``, whatever the learning rate; without
            a meaning for the coupled one.
        rectify: whether to rectify the step as RAdam does. Its first steps (five at beta2 = 0.999, all at
            beta2 <= 2/3) are then plain SGD, which grow with the gradient.
        amsgrad: whether to divide by the largest s so far.
        maximize: whether to ascend.

    Raises:
        ValueError: if a setting is out of its range, or no parameters are given.
        TypeError: if ``params`` is not a collection of tensors, named tensors or groups.

    Example:
        >>> import torch
        >>> from adabelief import AdaBelief
        >>> theta = torch.tensor([3.0, -2.0], requires_grad=True)
        >>> optimizer = AdaBelief([theta], lr=0.1)
        >>> for _ in range(200):
        ...     optimizer.zero_grad()
        ...     loss = theta.square().sum()
        ...     loss.backward()
        ...     optimizer.step()
        >>> loss.item() < 1e-3
        True

    References:
        Zhuang et al., AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients, NeurIPS
        2020, https://arxiv.org/abs/2010.07468
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = True,
        fixed_decay: bool = False,
        rectify: bool = False,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "fixed_decay": fixed_decay,
            "rectify": rectify,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        _check(defaults)
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; what it does not set is taken from the defaults.

        Args:
            param_group: ``params``, and any of the settings.

        Raises:
            ValueError: if a setting is out of its range, or a parameter is in another group already.
            TypeError: if it is not a dict of tensors or named tensors.
        """
        if isinstance(param_group, dict):
            _check({**self.defaults, **param_group})
        super().add_param_group(param_group)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], Loss]) -> Loss: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], Loss] | None = None) -> Loss | None:
        """Update every parameter that has a gradient.

        Args:
            closure: evaluates the model again, with gradients, and returns the loss.

        Returns:
            What the closure returned, or None.

        Raises:
            RuntimeError: if a gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad, group)
        return loss

    def _update(self, p: Tensor, grad: Tensor, group: Mapping[str, Any]) -> None:
        if grad.layout != torch.strided:
            raise RuntimeError(
                f"AdaBelief needs dense gradients, got one of layout {grad.layout}: rows without a gradient "
                "deviate from their mean too, so every row moves at every step. Use sparse=False in the "
                "embedding, or torch.optim.SparseAdam for it"
            )
        state = self._state(p, group["amsgrad"])
        state["step"] += 1
        m, s = _real(state["exp_avg"]), _real(state["exp_avg_var"])
        lr, (beta1, beta2) = group["lr"], group["betas"]
        # Half precision is computed in float32 and rounded once, when it is copied back.
        stored = _real(p)
        theta = stored.to(_moment_dtype(stored))
        update_(
            theta,
            _real(grad.resolve_conj()).to(theta.dtype),
            m,
            s,
            _real(state["max_exp_avg_var"]) if group["amsgrad"] else None,
            t=state["step"].item(),
            lr=lr.item() if isinstance(lr, Tensor) else lr,
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            decoupled_weight_decay=group["decoupled_weight_decay"],
            fixed_decay=group["fixed_decay"],
            rectify=group["rectify"],
            maximize=group["maximize"],
        )
        if theta.dtype != stored.dtype:
            stored.copy_(theta)

    def _state(self, p: Tensor, amsgrad: bool) -> dict[str, Any]:
        """The state of p, made at its first gradient; s_max is made when amsgrad is first on."""
        state: dict[str, Any] = self.state[p]
        if not state:
            state["step"] = _step_tensor(0.0)
            state["exp_avg"] = _zeros(p)
            state["exp_avg_var"] = _zeros(p)
        if amsgrad and "max_exp_avg_var" not in state:
            state["max_exp_avg_var"] = _zeros(p)
        return state

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load settings and state; the moments of parameters in half precision stay in float32.

        Args:
            state_dict: what ``state_dict()`` of an optimizer with groups of the same sizes returned.

        Raises:
            ValueError: if the groups differ in number or size.
        """
        final: StateDict = {}

        def remember(_: Optimizer, loaded: StateDict) -> None:
            final.update(loaded)

        def restore(_: Optimizer) -> None:
            keys = _params(final["param_groups"])
            for key, p in zip(keys, _params(self.param_groups), strict=True):
                if _moment_dtype(p) != p.dtype:
                    for name, value in final["state"].get(key, {}).items():
                        if name in _MOMENTS:
                            self.state[p][name] = value.to(device=p.device, dtype=_moment_dtype(p))

        # The base class casts every moment to the dtype of its parameter, where an eps of 1e-16 becomes 0.
        # These hooks stand around that cast: after the user's pre-hooks and before the user's post-hooks.
        with (
            self.register_load_state_dict_pre_hook(remember),
            self.register_load_state_dict_post_hook(restore, prepend=True),
        ):
            super().load_state_dict(state_dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name in ("weight_decay", *_FLAGS):  # what other or older checkpoints may lack
                group.setdefault(name, self.defaults[name])
            for p in group["params"]:
                p_state = self.state.get(p, {})
                if p_state and not isinstance(p_state["step"], Tensor):
                    p_state["step"] = _step_tensor(float(p_state["step"]))


def _check(group: Mapping[str, Any]) -> None:
    lr, betas = group["lr"], group["betas"]
    if isinstance(lr, Tensor):
        if lr.numel() != 1:
            raise ValueError(f"Tensor lr must be 1-element, got one of shape {tuple(lr.shape)}")
        lr = lr.item()
    _check_number("lr", lr)
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ValueError(f"betas must be two numbers (beta1, beta2), got {betas!r}")
    if betas[0] == 0:
        raise ValueError(
            f"betas[0] must be a number in (0, 1), got {betas[0]!r}: without memory the gradient is its own "
            "mean, nothing deviates from it, and only eps bounds the step"
        )
    _check_number("betas[0]", betas[0], below=1, interval="(0, 1)")
    _check_number("betas[1]", betas[1], below=1, interval="[0, 1)")
    _check_number("eps", group["eps"])
    _check_number("weight_decay", group["weight_decay"])
    for name in _FLAGS:
        if not isinstance(group[name], bool):
            raise ValueError(f"{name} must be True or False, got {group[name]!r}")


def _check_number(name: str, value: object, below: float = math.inf, interval: str = "[0, inf)") -> None:
    if not isinstance(value, Real) or not 0 <= float(value) < below:  # so that nan is refused as well
        raise ValueError(f"{name} must be a number in {interval}, got {value!r}")


def _params(groups: Iterable[Mapping[str, Any]]) -> Iterable[Any]:
    return chain.from_iterable(group["params"] for group in groups)


def _step_tensor(t: float) -> Tensor:
    # torch's convention: on the CPU, float32 or wider, so that bfloat16 as default cannot stop the count.
    dtype = torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32
    return torch.tensor(t, dtype=dtype, device="cpu")


def _moment_dtype(p: Tensor) -> torch.dtype:
    # bfloat16 would round beta2 * s back to s, and float16 would round eps to 0.
    return torch.promote_types(p.dtype, torch.float32)


def _zeros(p: Tensor) -> Tensor:
    return torch.zeros_like(p, dtype=_moment_dtype(p), memory_format=torch.preserve_format)


def _real(x: Tensor) -> Tensor:
    """A complex tensor as pairs of reals: its axes are parameters of their own."""
    return torch.view_as_real(x) if x.is_complex() else x
