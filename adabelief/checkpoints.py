"""What a state dict must be to be loaded, and what the base class would do to it otherwise."""

import math
from collections.abc import Iterable, Mapping
from itertools import chain
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.optim.optimizer import Optimizer, StateDict

from adabelief.settings import OTHER_NAMES

__all__ = [
    "MOMENTS",
    "check_shapes",
    "count_tensor",
    "moment_dtype",
    "readable",
    "restore_precision",
    "step_tensor",
]

MOMENTS = ("exp_avg", "exp_avg_var", "max_exp_avg_var")

WITHOUT_STEP = {"momentum_buffer", "func_evals"}
"""By which the states of torch's optimizers that count no steps are known: SGD and Muon, and LBFGS."""


def moment_dtype(p: Tensor) -> torch.dtype:
    """The dtype of the moments of p: bfloat16 would round beta2 * s back to s, float16 eps to 0."""
    return torch.promote_types(p.dtype, torch.float32)


def step_tensor(t: float, device: torch.device | None = None) -> Tensor:
    """The count of steps as torch keeps it: on the CPU if no device is asked for, in float32 or wider."""
    # So bfloat16 as default dtype cannot stop the count.
    dtype = torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32
    return torch.tensor(t, dtype=dtype, device=device or "cpu")


def count_tensor(step: Any, device: torch.device | None = None) -> Tensor:
    """A count of steps, whatever it was kept as, in memory of its own: without a device, on the CPU.

    Of a tensor the dtype stays, if it can count.
    """
    if not isinstance(step, Tensor):
        return step_tensor(float(step), device)
    wide = step.dtype in (torch.float32, torch.float64)
    return step.detach().reshape(()).to(device or "cpu", step.dtype if wide else torch.float32, copy=True)


def readable(state_dict: StateDict) -> StateDict:
    """The state dict as ``AdaBelief`` has it, from that of another package or version, or of a wrapper.

    ``adabelief-pytorch`` has the flags on the object and a cache, ``buffer``, in the groups; the loading
    optimizer's flags hold instead, and the cache is dropped. Others have the flags by other names, and the
    count of steps in the group. What else stands in the state or in the groups is its owner's, and is kept.

    Raises:
        ValueError: if it is no state dict, or the state is another optimizer's.
    """
    if not {"state", "param_groups"} <= state_dict.keys():
        raise ValueError(
            "an optimizer's state dict has state and param_groups, this one has "
            f"{', '.join(map(str, state_dict)) or 'nothing'}; of a checkpoint of several things, give the "
            "optimizer's alone"
        )
    groups = [_own_settings(group) for group in state_dict["param_groups"]]
    states = dict(state_dict["state"])
    for group in groups:
        keys = [key for key in group["params"] if key in states]
        without = [key for key in keys if MOMENTS[1] in states[key] and "step" not in states[key]]
        if "step" in group and without:
            step = group.pop("step")
            states |= {key: {"step": step, **states[key]} for key in without}
        for key in keys:
            _check_state(key, states[key])
        for key in group["params"]:
            if key not in states and isinstance(states.get(str(key)), Mapping):
                raise ValueError(
                    f"state has {str(key)!r}, a text, where param_groups have the parameter {key!r}: JSON "
                    "makes texts of numbers. Give {int(key): value for key, value in state.items()} as state"
                )
    return {**state_dict, "state": states, "param_groups": groups}


def check_shapes(optimizer: Optimizer, loaded: StateDict) -> None:
    """Refuse moments that are of another shape than their parameters.

    Raises:
        ValueError: naming the first.
    """
    groups, others = optimizer.param_groups, loaded["param_groups"]
    if [len(group["params"]) for group in groups] != [len(group["params"]) for group in others]:
        return  # which the base class refuses
    for key, p in zip(_params(others), _params(groups), strict=True):
        if is_lazy(p) or p.numel() == 0:  # whose values are elsewhere now, or come later
            continue
        for name, x in loaded["state"].get(key, {}).items():
            if name in MOMENTS and x.shape != p.shape:
                raise ValueError(
                    f"state[{key}][{name!r}] has the shape {tuple(x.shape)}, and its parameter "
                    f"{tuple(p.shape)}: the parameters are another model's, or in another order"
                )


def _own_settings(group: Mapping[str, Any]) -> dict[str, Any]:
    """The group by our names, without the cache of ``adabelief-pytorch``."""
    settings = {k: v for k, v in group.items() if k != "buffer" or not _is_cache(v)}
    for name, (other, values) in OTHER_NAMES.items():
        if name in settings and other not in settings:
            settings[other] = values(settings.pop(name))
    return settings


def _is_cache(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) and len(row) == 3 for row in value)


def _check_state(key: Any, state: Mapping[str, Any]) -> None:
    """Refuse what is another optimizer's, or not in the form that a state has."""
    required = {"step", *MOMENTS[:2]}
    present = required & state.keys()
    if "exp_avg_sq" in state and "exp_avg_var" not in state:
        raise ValueError(
            f"state[{key}] has exp_avg_sq, the second moment of Adam and its kin; AdaBelief divides by "
            "the variance about the mean, which cannot be told from it. Load the model alone and give "
            "AdaBelief no state: it corrects the bias of its first moments as Adam does"
        )
    if present != required and (present or WITHOUT_STEP & state.keys()):
        raise ValueError(
            f"state[{key}] has {', '.join(map(str, state))}; AdaBelief's has step, "
            f"{', '.join(MOMENTS[:2])} and, with amsgrad, {MOMENTS[2]}"
        )
    for name in MOMENTS:
        if name in state and not isinstance(state[name], Tensor):
            kind = type(state[name]).__name__
            raise ValueError(f"state[{key}][{name!r}] must be a tensor, got a {kind}")
    step = state.get("step", 0)
    if isinstance(step, Tensor):
        if step.numel() != 1:
            raise ValueError(f"state[{key}]['step'] must be one number, got a tensor of {tuple(step.shape)}")
    elif not isinstance(step, Real) or not 0 <= float(step) < math.inf:
        raise ValueError(f"state[{key}]['step'] must be a number in [0, inf), got {step!r}")


def restore_precision(optimizer: Optimizer, loaded: StateDict) -> None:
    """Put the moments of parameters in half precision back to float32, from ``loaded``, after a load.

    The base class casts every moment to the dtype of its parameter, where an eps of 1e-16 becomes 0.
    """
    for key, p in zip(_params(loaded["param_groups"]), _params(optimizer.param_groups), strict=True):
        if moment_dtype(p) != p.dtype:
            for name, value in loaded["state"].get(key, {}).items():
                if name in MOMENTS:
                    optimizer.state[p][name] = value.to(device=p.device, dtype=moment_dtype(p))


def _params(groups: Iterable[Mapping[str, Any]]) -> Iterable[Any]:
    return chain.from_iterable(group["params"] for group in groups)
