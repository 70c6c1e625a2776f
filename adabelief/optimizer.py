"""The torch optimizer around the update: its settings, its state, and which path its tensors take."""

from collections.abc import Callable, Iterator
from functools import cache
from inspect import Parameter, signature
from typing import Any, Literal, TypeVar, overload

import torch
from torch import Tensor
from torch._C._autograd import _profiler_enabled as profiler_enabled
from torch.optim import optimizer
from torch.optim.optimizer import Optimizer, ParamsT, StateDict, _default_to_fused_or_foreach

from adabelief import checkpoints
from adabelief.checkpoints import count_tensor, moment_dtype, step_tensor
from adabelief.functional import Coefficients, Scalar, coefficients
from adabelief.settings import check, plain
from adabelief.steps.overlaps import Overlaps
from adabelief.steps.param_views import Counts, ParamViews, ViewMaker, real_tensors
from adabelief.steps.paths import run_each, run_fallback, run_fused, run_packed

__all__ = ["AdaBelief"]

Loss = TypeVar("Loss")
Group = dict[str, Any]
Pairs = list[tuple[Tensor, Tensor]]
"""Parameters that have a gradient, each with it."""

_check_graph_capture: Callable[[Optimizer], None] = (
    Optimizer._accelerator_graph_capture_health_check
    if hasattr(Optimizer, "_accelerator_graph_capture_health_check")
    else Optimizer._cuda_graph_capture_health_check  # its name before torch 2.11
)

_SPARSE = (
    "AdaBelief needs dense gradients, got one of layout {layout}: rows without a gradient deviate from their "
    "mean too, so every row moves at every step. Use sparse=False in the embedding, or "
    "torch.optim.SparseAdam for it"
)


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
        rectify: whether to rectify the step as RAdam does. Off, as in the paper's Algorithm 2 and most of its
            experiments; the reference package has it on. On, the first steps (five at beta2 = 0.999, all at
            beta2 <= 2/3) are plain SGD, which grow with the gradient (51 units for one of 1e4 at lr 1e-3),
            and a run of a few hundred steps is throttled to 3 to 40% of its step size.
        rectify_fallback: what those first steps are: ``"sgd"``, as in the reference package, or ``"skip"``,
            which leaves the parameter alone while the moments fill.
        amsgrad: whether to divide by the largest s so far.
        maximize: whether to ascend.
        foreach: whether to update small tensors together: the same bits on CPUs, in fewer calls. None: as
            torch does, on accelerators only.
        fused: whether to run one compiled kernel, which reads and writes each value once: the fastest path,
            equal to the others but for the last bits. It runs the machine's C++ compiler once, for some ten
            to twenty seconds, and keeps the kernel in ``~/.cache/adabelief``. Where there is no compiler it
            warns, and where ``ADABELIEF_COMPILE`` is 0 in the environment it does not: both take torch's own
            kernels where those can do it. ``"torch"``: those from the start, without a compiler; they can do
            float32 on CPUs, and all else is updated as with foreach.
        capturable: whether the step waits for no value of the device, so that a CUDA graph can hold it. The
            counts of steps are then kept on the device, and each tensor is updated by itself.
        differentiable: whether autograd passes through the step, also to a learning rate that is a tensor.

    Raises:
        ValueError: if a setting is out of its range, or no parameters are given.
        RuntimeError: if two of foreach, fused and differentiable are asked for.
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
        rectify_fallback: str = "sgd",
        amsgrad: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | Literal["torch"] | None = None,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults: Group = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "fixed_decay": fixed_decay,
            "rectify": rectify,
            "rectify_fallback": rectify_fallback,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "fused": fused,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        check(defaults)
        super().__init__(params, {**defaults, **plain(defaults)})
        self._views = ViewMaker()
        self._counts = Counts()
        self._overlaps = Overlaps()

    def add_param_group(self, param_group: Group) -> None:
        """Add a group of parameters; what it does not set is taken from the defaults.

        Args:
            param_group: ``params``, and any of the settings.

        Raises:
            ValueError: if a setting is out of its range, or a parameter is in another group already.
            RuntimeError: if two of foreach, fused and differentiable are asked for.
            TypeError: if it is not a dict of tensors or named tensors.

        Example:
            >>> body, head = torch.nn.Linear(4, 3), torch.nn.Linear(3, 1)
            >>> optimizer = AdaBelief(body.parameters(), lr=1e-3)
            >>> optimizer.add_param_group({"params": head.parameters(), "lr": 1e-2})
            >>> [group["lr"] for group in optimizer.param_groups]
            [0.001, 0.01]
        """
        if isinstance(param_group, dict):
            check({**self.defaults, **param_group})
            param_group.update(plain(param_group))
        super().add_param_group(param_group)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], Loss]) -> Loss: ...

    def step(self, closure: Callable[[], Loss] | None = None) -> Loss | None:
        """Update every parameter that has a gradient.

        Args:
            closure: evaluates the model again, with gradients, and returns the loss.

        Returns:
            What the closure returned, or None.

        Raises:
            RuntimeError: if a gradient is sparse.

        Example:
            >>> theta = torch.tensor([1.0], requires_grad=True)
            >>> optimizer = AdaBelief([theta], lr=0.09)
            >>> theta.grad = torch.tensor([5.0])
            >>> optimizer.step()  # the first one is lr / beta1, whatever the size of the gradient
            >>> round(theta.item(), 4)
            0.9
        """
        # torch's wrapper takes a fifth of the step of a small model, and is only for those who listen.
        return self._observed_step(closure) if self._is_observed() else self._step(closure)

    step.hooked = True  # type: ignore[attr-defined]  # so that torch does not wrap it as well

    def _is_observed(self) -> bool:
        """Whether there are hooks on the step, or a profiler."""
        if not torch.compiler.is_compiling() and profiler_enabled():
            return True
        return bool(
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or optimizer._global_optimizer_pre_hooks
            or optimizer._global_optimizer_post_hooks
        )

    def _step(self, closure: Callable[[], Loss] | None = None) -> Loss | None:
        _check_graph_capture(self)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if torch.compiler.is_compiling():
            # As torch's optimizers do: the updates are then a graph of their own, without gradients, in which
            # the compiler writes in place.
            torch._dynamo.graph_break()
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            for group in self.param_groups:
                pairs = [(p, g) for p in group["params"] if (g := p.grad) is not None]
                for _, g in pairs:
                    if g.layout is not torch.strided:
                        raise RuntimeError(_SPARSE.format(layout=g.layout))
                self._update(pairs, group)
        if torch.compiler.is_compiling():
            torch._dynamo.graph_break()
        return loss

    _observed_step = Optimizer.profile_hook_step(_step)

    def _update(self, pairs: Pairs, group: Group) -> None:
        if group["differentiable"] or torch.compiler.is_compiling():
            run_each(self._whole_views(pairs, group))
            return
        foreach, fused = group["foreach"], group["fused"]
        if foreach is None and fused is None:
            params = [p for p, _ in pairs]
            _, foreach = _default_to_fused_or_foreach(params, differentiable=False, use_fused=False)
        views = (self._capturable_views if group["capturable"] else self._plain_views)(pairs, group)
        if not fused and (group["capturable"] or not foreach):
            run_each(views)
            return
        run = (run_fallback if fused == "torch" else run_fused) if fused else run_packed
        apart, tied = self._overlaps.part(list(views))
        run(apart)
        for one in tied:
            run([one])

    def _plain_views(self, pairs: Pairs, group: Group) -> list[ParamViews]:
        amsgrad, lr = group["amsgrad"], group["lr"]
        if isinstance(lr, Tensor):
            lr = lr.item()
        states = [self._state(p, group) for p, _ in pairs]
        known: dict[float, Coefficients] = {}  # one object for each count of steps
        views = []
        for (p, g), state, t in zip(pairs, states, self._counts.advance(states), strict=True):
            if t not in known:
                known[t] = _coefficients(t, lr, group)
            views.append(self._views.of(p, g, state, amsgrad, known[t]))
        return views

    def _capturable_views(self, pairs: Pairs, group: Group) -> Iterator[ParamViews]:
        for p, g in pairs:
            state = self._state(p, group)
            state["step"] += 1
            c = _coefficients(_wide(state["step"], p), _wide(group["lr"], p), group)
            yield self._views.of(p, g, state, group["amsgrad"], c)

    def _whole_views(self, pairs: Pairs, group: Group) -> list[ParamViews]:
        """The views of which a compiler, or autograd, can follow every operation."""
        views: list[ParamViews] = []
        for p, g in pairs:
            state = self._state(p, group)
            state["step"] += 1
            t = _wide(state["step"], p) if torch.compiler.is_compiling() else state["step"].item()
            if group["differentiable"]:
                for name in checkpoints.MOMENTS:
                    if name in state:  # autograd keeps the last step's for its way back
                        state[name] = state[name].clone()
            c = _coefficients(t, _wide(group["lr"], p), group)
            views.append((real_tensors(p, g, state, group["amsgrad"]), c, None, ()))
        return views

    def _state(self, p: Tensor, group: Group) -> dict[str, Any]:
        """The state of p, made at its first gradient; s_max is made when amsgrad is first on."""
        state: dict[str, Any] = self.state[p]
        if "step" not in state:  # another's entries may be there
            state["step"] = step_tensor(0.0, p.device if group["capturable"] else None)
            state["exp_avg"] = _zeros(p)
            state["exp_avg_var"] = _zeros(p)
        if group["capturable"] and state["step"].device != p.device:
            state["step"] = state["step"].to(p.device)
        if group["amsgrad"] and "max_exp_avg_var" not in state:
            state["max_exp_avg_var"] = _zeros(p)
        return state

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load settings and state; the moments of parameters in half precision stay in float32.

        Checkpoints of ``adabelief-pytorch``, timm and ``pytorch_optimizer`` are read too; the flags that they
        lack stay as they are here. Entries of others, in the state or in the groups, are kept.

        Args:
            state_dict: what ``state_dict()`` of an optimizer with groups of the same sizes returned.

        Raises:
            ValueError: if the groups differ in number or size, a setting is out of its range, or the state is
                another optimizer's.

        Example:
            >>> model = torch.nn.Linear(2, 1)
            >>> saved = AdaBelief(model.parameters(), lr=0.01).state_dict()
            >>> optimizer = AdaBelief(model.parameters())
            >>> optimizer.load_state_dict(saved)
            >>> optimizer.param_groups[0]["lr"]
            0.01
        """
        final: StateDict = {}

        def read(_: Optimizer, loaded: StateDict) -> StateDict:
            final.update(checkpoints.readable(loaded))
            for group in final["param_groups"]:
                check({**self.defaults, **group})
                group.update(plain(group))
            checkpoints.check_shapes(self, final)
            return dict(final)

        def restore(_: Optimizer) -> None:
            checkpoints.restore_precision(self, final)

        # These hooks stand around the base class's casts: after the user's pre-hooks, before the post-hooks.
        with (
            self.register_load_state_dict_pre_hook(read),
            self.register_load_state_dict_post_hook(restore, prepend=True),
        ):
            super().load_state_dict(state_dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._views = ViewMaker()
        self._counts = Counts()
        self._overlaps = Overlaps()
        for name, value in _defaults().items():
            self.defaults.setdefault(name, value)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            for p in group["params"]:
                p_state = self.state.get(p, {})
                if "step" in p_state:
                    device = p.device if group["capturable"] else None
                    p_state["step"] = count_tensor(p_state["step"], device)


@cache
def _defaults() -> Group:
    """The settings' defaults, for what was pickled before there were some of them."""
    arguments = signature(AdaBelief.__init__).parameters
    return {name: x.default for name, x in arguments.items() if x.default is not Parameter.empty}


def _coefficients(t: Scalar, lr: Scalar, group: Group) -> Coefficients:
    beta1, beta2 = group["betas"]
    return coefficients(
        t=t,
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        eps=group["eps"],
        weight_decay=group["weight_decay"],
        decoupled_weight_decay=group["decoupled_weight_decay"],
        fixed_decay=group["fixed_decay"],
        rectify=group["rectify"],
        rectify_fallback=group["rectify_fallback"],
        maximize=group["maximize"],
    )


def _zeros(p: Tensor) -> Tensor:
    return torch.zeros_like(p, dtype=moment_dtype(p), memory_format=torch.preserve_format)


def _wide(x: float | Tensor, p: Tensor) -> float | Tensor:
    """A scalar on the device of p, in float64 where that has it: 1 - beta**t loses half the digits."""
    if not isinstance(x, Tensor):
        return x
    return x.to(p.device, torch.float32 if p.device.type == "mps" else torch.float64).view(())
