"""What a state dict must be to be loaded, and what the base class would do to it otherwise."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, StateDict

__all__ = ["MOMENTS", "moment_dtype", "readable", "restore_precision", "step_tensor"]

MOMENTS = ("exp_avg", "exp_avg_var", "max_exp_avg_var")


def moment_dtype(p: Tensor) -> torch.dtype:
    """The dtype of the moments of p: bfloat16 would round beta2 * s back to s, float16 eps to 0."""
    return torch.promote_types(p.dtype, torch.float32)


def step_tensor(t: float, device: torch.device | None = None) -> Tensor:
    """The count of steps as torch keeps it: on the CPU if no device is asked for, in float32 or wider."""
    # So bfloat16 as default dtype cannot stop the count.
    dtype = torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32
    return torch.tensor(t, dtype=dtype, device=device or "cpu")


def readable(state_dict: StateDict) -> StateDict:
    """The state dict without what ``adabelief-pytorch`` keeps in its groups besides settings.

    That package has the flags on the object and a cache, ``buffer``, in the groups; the loading optimizer's
    flags hold instead, and the cache is dropped.

    Raises:
        ValueError: if the state is another optimizer's.
    """
    for key, state in state_dict["state"].items():
        if "exp_avg_sq" in state:
            raise ValueError(
                f"state[{key}] has exp_avg_sq, the second moment of Adam and its kin; AdaBelief divides by "
                "the variance about the mean, which cannot be told from it. Load the model alone and give "
                "AdaBelief no state: it corrects the bias of its first moments as Adam does"
            )
        if state and not {"step", *MOMENTS[:2]} <= state.keys():
            raise ValueError(
                f"state[{key}] has {', '.join(map(str, state)) or 'nothing'}; AdaBelief's has step, "
                f"{', '.join(MOMENTS[:2])} and, with amsgrad, {MOMENTS[2]}"
            )
    groups = [{k: v for k, v in group.items() if k != "buffer"} for group in state_dict["param_groups"]]
    return {**state_dict, "param_groups": groups}


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
