"""The networks of plug-ins: made from a job's options, and tried before a job is planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from whichopt.service.catalog.origins import Origin
from whichopt.service.catalog.shapes import Shape
from whichopt.service.errors import PluginFailed
from whichopt.service.limits import Limits
from whichopt.service.spec import ResolvedWorkload
from whichopt.workers.plugins.described import model_of, takes_shape
from whichopt.workers.plugins.loaded import Loaded, guarded, loaded, parameters

TRIED = 4
"""Examples that a network is tried with."""


def maker(name: str, origin: Origin, options: Mapping[str, Any], shape: Shape) -> Callable[[], nn.Module]:
    """Return what makes the network, which takes rows (N, features) whatever its plug-in takes.

    Raises:
        PluginFailed: the plug-in cannot be imported, or is not the one that the job began with.
    """
    found = loaded("model", name, origin)
    model = model_of(found)
    given = _as_written(model.make, options)
    asks = takes_shape(model.make)
    images = model.images or (not asks and shape.image is not None)

    def make() -> nn.Module:
        with guarded("model", name, found.words, f"making the network with {_options_text(options)}"):
            net = model.make(shape, **given) if asks else model.make(**given)
        if not isinstance(net, nn.Module):
            raise PluginFailed(f"{found.words} made a {type(net).__name__} and not an nn.Module", value=name)
        return net if not images or shape.image is None else _of_rows(net, shape.image)

    return make


def tried(workload: ResolvedWorkload, limits: Limits) -> int:
    """Return the number of params of the workload's network, once it has answered some made-up examples.

    Raises:
        PluginFailed: it cannot be made, is larger than the limits allow, or does not give what the data need.
    """
    origin, shape = workload.model_origin, workload.shape
    assert origin is not None
    name = workload.model.name
    found = loaded("model", name, origin)
    make = maker(name, origin, workload.model.options, shape)
    _check_size(found, make, limits)  # before any memory is taken
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = make()
        count = _check_params(found, net, limits)
        inputs = torch.randn(TRIED, shape.features)
    with guarded("model", name, found.words, f"trying it on {TRIED} examples of {_what(shape)}"):
        net.eval()
        with torch.no_grad():
            outputs = net(inputs)
    if not isinstance(outputs, torch.Tensor):
        raise PluginFailed(
            f"{found.words} gives a {type(outputs).__name__}, and a tensor is needed", value=name
        )
    wanted = (TRIED, shape.outputs)
    if tuple(outputs.shape) != wanted:
        raise PluginFailed(
            f"{found.words} gives {tuple(outputs.shape)} for {TRIED} examples, and the data need {wanted}: "
            f"make the number of its outputs {shape.outputs}, by its options or from shape.outputs",
            value=name,
        )
    if outputs.dtype is not torch.float32:
        raise PluginFailed(f"{found.words} gives {outputs.dtype}, and torch.float32 is needed", value=name)
    return count


def _check_size(found: Loaded, make: Callable[[], nn.Module], limits: Limits) -> None:
    """Count the params without memory, if the network can be made so."""
    try:
        with torch.device("meta"):
            net = make()
    except PluginFailed:
        return  # some ask for values while they are made, which such tensors lack: those are counted later
    _check_params(found, net, limits)


def _check_params(found: Loaded, net: nn.Module, limits: Limits) -> int:
    trained = [param for param in net.parameters() if param.requires_grad]
    count = sum(param.numel() for param in trained)
    if not count:
        raise PluginFailed(f"{found.words} has no params that could be trained", value=found.name)
    if len(trained) != len(list(net.parameters())):
        raise PluginFailed(
            f"{found.words} has frozen params (requires_grad is False): make them buffers, or train them all",
            value=found.name,
        )
    if count > limits.params:
        raise PluginFailed(
            f"{found.words} has {count:,} params; at most {limits.params:,} are allowed "
            "(WHICHOPT_MAX_PARAMS)",
            value=found.name,
        )
    return count


def _of_rows(net: nn.Module, image: tuple[int, int, int]) -> nn.Module:
    """Return the network of images as one of rows; a chain stays one chain, which may have stacked layers."""
    inside = list(net) if type(net) is nn.Sequential else [net]
    return nn.Sequential(nn.Unflatten(1, image), *inside)


def _as_written(make: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the callable's own defaults are: JSON has lists alone for tuples.

    Raises:
        PluginFailed: it takes no such option.
    """
    known = parameters(make)
    if known is None:
        return dict(options)
    is_open = any(one.kind is one.VAR_KEYWORD for one in known.values())
    for name in options:
        if name not in known and not is_open:
            takes = ", ".join(one for one in known if one != "shape") or "none"
            raise PluginFailed(
                f"the model takes no option {name!r}; it takes: {takes}", field="workload.model", value=name
            )
    tuples = {name for name, one in known.items() if isinstance(one.default, tuple)}
    return {
        name: tuple(value) if name in tuples and isinstance(value, list) else value
        for name, value in options.items()
    }


def _options_text(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items()) or "no options"


def _what(shape: Shape) -> str:
    return f"{shape.features} features" if shape.image is None else f"size {shape.image}"
