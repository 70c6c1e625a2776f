"""The checks of `benchmarks.gpu_check` that are of AdaBelief alone: its paths, and a step in a CUDA graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_check.failures import Failed, need_gpu

Setting = dict[str, Any]
LR = 0.01
STEPS = 8
SETTINGS: dict[str, Setting] = {
    "default": {},
    "rectify, amsgrad, decay": {"rectify": True, "amsgrad": True, "weight_decay": 0.1},
    "coupled decay": {"weight_decay": 0.1, "decoupled_weight_decay": False, "eps": 1e-8},
}
PATHS: dict[str, Setting] = {
    "foreach": {"foreach": True},
    "fused, compiled": {"fused": True},
    "fused, torch": {"fused": "torch"},
    "capturable": {"capturable": True},
    "capturable, foreach": {"capturable": True, "foreach": True},
    "differentiable": {"differentiable": True},
}


def _noise(shape: Sequence[int], seed: int, device: str) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(device)


def _adabelief(device: str, setting: Setting) -> Any:
    from adabelief import AdaBelief

    shapes = [(1031,), (64, 33), (3, 2), (300_007,)]
    params = [_noise(shape, number, device) for number, shape in enumerate(shapes)]
    for p in params:
        p.requires_grad_(not setting.get("differentiable", False))  # which writes into no leaf of a graph
    return AdaBelief(params, lr=LR, **setting)


def _show(adabelief: Any, step: int) -> None:
    for number, p in enumerate(adabelief.param_groups[0]["params"]):
        p.grad = _noise(p.shape, 1000 * step + number, p.device.type)


def adabelief_paths(device: str) -> str:
    """Takes each path's step beside the for-loop's, from the same values each time."""
    if device == "cuda":
        import warnings

        warnings.filterwarnings("ignore", message=".*capturable=True.*without CUDA graph")
    worst, where = 0.0, ""
    for (setting, asked), (path, way) in ((s, p) for s in SETTINGS.items() for p in PATHS.items()):
        one = _adabelief(device, {**asked, **way})
        other = _adabelief(device, {**asked, "foreach": False})
        for step in range(STEPS):
            _show(one, step)
            _show(other, step)
            one.step()
            other.step()
            with torch.no_grad():
                for p, q in zip(one.param_groups[0]["params"], other.param_groups[0]["params"], strict=True):
                    # A fused factor moves the last digits; where g - m cancels, up to 2e-3 of a step.
                    bound = 4 * torch.finfo(q.dtype).eps * q.abs().double() + 2e-3 * LR
                    apart = ((p.double() - q.double()).abs() / bound).max().item()
                    if not apart <= worst:
                        worst, where = apart, f"{path}, {setting}, step {step + 1}"
                    p.copy_(q)
                    for name, value in other.state[q].items():
                        one.state[p][name].copy_(value)
    if not worst <= 1:
        raise Failed(f"{where}: {worst:.3g} times the bound (4 ulp + 2e-3 of lr) from the for-loop's")
    _differentiate(device)
    return (
        f"{len(PATHS)} paths, {len(SETTINGS)} settings: within {worst:.2g} of the bound (4 ulp + 2e-3 of lr)"
    )


def _differentiate(device: str) -> None:
    """Compares the gradients that autograd takes through two steps with finite differences of them."""
    from adabelief import AdaBelief

    def stepped(theta: Tensor, *grads: Tensor) -> Tensor:
        p = theta.clone()
        adabelief = AdaBelief([p], lr=0.05, betas=(0.7, 0.9), eps=1e-2, differentiable=True)
        for p.grad in grads:
            adabelief.step()
        return p

    inputs = [_noise((3,), seed, device).double().requires_grad_() for seed in range(3)]
    if not torch.autograd.gradcheck(stepped, inputs, raise_exception=False):
        raise Failed("gradients through differentiable steps are not those of finite differences")


def adabelief_graph(device: str) -> str:
    """Replays a captured step beside the same steps without a graph."""
    need_gpu(device)
    import warnings

    warnings.filterwarnings("ignore", message=".*capturable=True.*without CUDA graph")
    ways = {"for-loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
    for path, way in ways.items():
        one, other = (_adabelief(device, {**way, "capturable": True}) for _ in range(2))
        _show(one, 0)
        _show(other, 0)
        grads = [p.grad for p in one.param_groups[0]["params"]]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                one.step()
        torch.cuda.current_stream().wait_stream(stream)
        for _ in range(3):
            other.step()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            one.step()
        for step in range(1, STEPS):
            _show(other, step)
            for grad, q in zip(grads, other.param_groups[0]["params"], strict=True):
                grad.copy_(q.grad)
            graph.replay()
            other.step()
            for p, q in zip(one.param_groups[0]["params"], other.param_groups[0]["params"], strict=True):
                if not torch.equal(p, q):
                    raise Failed(f"{path}, replay {step}: other bits than without the graph")
    return f"{', '.join(ways)}, {STEPS - 1} replays: the bits of the steps without a graph"
