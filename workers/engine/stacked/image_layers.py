"""Layers of n networks at once for images; see `whichopt.workers.engine.stacked.layers`.

Between layers, images have the shape that the modules see, (n, batch, channels, height, width), whatever
their order in memory; so any layer may follow any other, and a dropout's mask is the module's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from whichopt.workers.engine.stacked.layers import Generators, Kept, Layer, Unlearned
from whichopt.workers.engine.stacked.pools import POOLS, Pair, pair

MANY_PRODUCTS = 3 << 20
"""From so many on, one network's convolution takes long enough for a call of its own."""

FEW_TERMS = 16
"""Sums of fewer terms take longer to read and write than to compute."""

CHUNK_BYTES = {"cpu": 1 << 21}
"""Most bytes of the networks that are processed together: on a CPU, about the size of a core's cache."""

OTHER_CHUNK_BYTES = 1 << 28
"""Most bytes on devices on which a call costs more than a cache miss."""


@dataclass(frozen=True)
class Geometry:
    """A convolution of images of one shape, and how it becomes `windows` products of matrices.

    The columns of a network are (rows, width, batch, folded, kernel width, channels): its padded inputs,
    moved by each of the kernel's columns, and by as many of the kernel's rows as are `folded`. The other rows
    need no copy of their own: their columns are the same ones, begun one row further down.
    """

    batch: int
    channels: int
    height: int
    width: int
    kernel: Pair
    stride: Pair
    padding: Pair

    @cached_property
    def padded(self) -> tuple[int, ...]:
        """The shape of one network's inputs with their padding: (height, width, batch, channels)."""
        (above, left), height, width = self.padding, self.height, self.width
        return (height + 2 * above, width + 2 * left, self.batch, self.channels)

    @cached_property
    def out(self) -> tuple[int, int, int]:
        """(height, width, batch) of the outputs."""
        height, width = ((self.padded[i] - self.kernel[i]) // self.stride[i] + 1 for i in (0, 1))
        return (height, width, self.batch)

    @cached_property
    def few(self) -> bool:
        return self.channels * self.kernel[1] < FEW_TERMS

    @cached_property
    def folded(self) -> int:
        return self.kernel[0] if self.few or self.stride[0] > 1 else 1

    @cached_property
    def windows(self) -> int:
        return self.kernel[0] // self.folded

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """The shape of one network's columns."""
        return (self.out[0] + self.windows - 1, *self.out[1:], self.folded, self.kernel[1], self.channels)

    def taps(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Turn a weight (m, outputs, channels, height, width) into factors (m, outputs, terms)."""
        split = torch.unflatten(weight, 3, (self.windows, self.folded)).permute(3, 0, 1, 4, 5, 2)
        return split.flatten(3).unbind()

    def untap(self, taps: Sequence[Tensor], weight: Tensor) -> None:
        """The inverse of `taps`: fills the weight."""
        # In one copy, torch would run along the kernel's few columns.
        parts = [part for tap in taps for part in torch.unflatten(tap, 2, (-1, self.channels)).unbind(2)]
        for place, part in zip(weight.flatten(3).unbind(3), parts, strict=True):
            place.copy_(part)


_geometry = lru_cache(maxsize=64)(Geometry)


class Workspace:
    """Converts inputs of m networks to columns, and the gradient of columns to that of the inputs."""

    def __init__(self, geometry: Geometry, m: int, like: Tensor) -> None:
        self.geometry = geometry
        self.padded = like.new_empty((m, *geometry.padded))
        if geometry.few:
            # There are no long runs but of positions, so these come last in memory.
            room = like.new_empty((m, *geometry.columns[3:], *geometry.columns[:3]))
            self.columns = room.permute(0, 4, 5, 6, 1, 2, 3)
        else:
            self.columns = like.new_empty((m, *geometry.columns))

    def gathered(self, x: Tensor) -> list[Tensor]:
        """Turn x (m, height, width, batch, channels) into factors (m, positions, terms)."""
        m = x.shape[0]
        self.padded[:m].zero_()
        self._inner(m).copy_(x)
        for part, place in self._parts(m):
            part.copy_(place)
        return self._windows(m)

    def scattered(self, taps: Sequence[Tensor], g: Tensor) -> Tensor:
        """The gradient of the inputs, from that of the outputs (m, positions, outputs)."""
        m = g.shape[0]
        windows = self._windows(m)
        self.columns[:m, self.geometry.out[0] :].zero_()
        torch.bmm(g, taps[0], out=windows[0])
        for window, tap in zip(windows[1:], taps[1:], strict=True):
            window.baddbmm_(g, tap)
        self.padded[:m].zero_()
        for part, place in self._parts(m):
            place.add_(part)
        return self._inner(m)

    def _inner(self, m: int) -> Tensor:
        """The inputs without their padding."""
        (above, left), height, width = self.geometry.padding, self.geometry.height, self.geometry.width
        return self.padded[:m, above : above + height, left : left + width]

    def _parts(self, m: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The columns of each tap, and the padded inputs that they are."""
        (rows, width), (down, across) = self.geometry.columns[:2], self.geometry.stride
        taps = product(range(self.geometry.folded), range(self.geometry.kernel[1]))
        for part, (i, j) in zip(self.columns[:m].flatten(4, 5).unbind(4), taps, strict=True):
            yield part, self.padded[:m, i : i + down * rows : down, j : j + across * width : across]

    def _windows(self, m: int) -> list[Tensor]:
        _, width, batch = self.geometry.out
        flat, count = self.columns[:m].flatten(4).flatten(1, 3), math.prod(self.geometry.out)
        starts = (k * width * batch for k in range(self.geometry.windows))
        return [flat[:, start : start + count] for start in starts]


@dataclass(frozen=True)
class Columns:
    """Convolutions as products of matrices, for many networks at a time.

    In memory the images are (n, height, width, batch, channels).
    """

    geometry: Geometry

    def forward(self, x: Tensor, params: Sequence[Tensor]) -> tuple[Tensor, Kept]:
        weight = params[0]
        y = x.new_empty((x.shape[0], math.prod(self.geometry.out), weight.shape[1]))
        for part, windows, _ in self._chunks(x, weight):
            taps = [tap.transpose(1, 2) for tap in self.geometry.taps(weight[part])]
            sums = y[part]
            if len(params) == 2:
                torch.baddbmm(params[1][part].unsqueeze(1), windows[0], taps[0], out=sums)
            else:
                torch.bmm(windows[0], taps[0], out=sums)
            for window, tap in zip(windows[1:], taps[1:], strict=True):
                sums.baddbmm_(window, tap)
        return _turned(torch.unflatten(y, 1, self.geometry.out)), x

    def backward(
        self, g: Tensor, kept: Kept, params: Sequence[Tensor], grads: Sequence[Tensor], further: bool
    ) -> Tensor | None:
        # The workspace of what all networks share has room for one network's gradient only.
        x, weight = kept.contiguous() if further and _shared(kept) else kept, params[0]
        g = _turned(g).reshape(g.shape[0], -1, g.shape[2])
        below = torch.empty_like(kept) if further else None
        for part, windows, space in self._chunks(x, weight):
            turned = g[part].transpose(1, 2)
            self.geometry.untap([torch.bmm(turned, window) for window in windows], grads[0][part])
            if below is not None:
                below[part] = _turned(space.scattered(self.geometry.taps(weight[part]), g[part]))
        if len(params) == 2:
            torch.sum(g, 1, out=grads[1])
        return below

    def _chunks(self, x: Tensor, weight: Tensor) -> Iterator[tuple[slice, list[Tensor], Workspace]]:
        """Yield the factor of the products from x, for as many networks at a time as fit in a cache, and its
        workspace, which may be used for something else."""
        (n, outputs), geometry = weight.shape[:2], self.geometry
        held = math.prod(geometry.columns) + math.prod(geometry.out) * outputs + weight[0].numel()
        most = max(1, CHUNK_BYTES.get(x.device.type, OTHER_CHUNK_BYTES) // (held * x.element_size()))
        # Never one alone, unless there is no other: torch multiplies one pair of vectors by another kernel.
        count = max(1, min(math.ceil(n / most), n // 2))
        shared = _shared(x)
        space = Workspace(geometry, 1 if shared else math.ceil(n / count), x)
        once = space.gathered(_turned(x[:1])) if shared else []
        for part in (slice(n * i // count, n * (i + 1) // count) for i in range(count)):
            if shared:
                yield part, [window.expand(part.stop - part.start, -1, -1) for window in once], space
            else:
                yield part, space.gathered(_turned(x[part])), space


@dataclass(frozen=True)
class Each:
    """torch's own convolutions, one network after the other.

    In memory the images are (n, batch, height, width, channels), for which torch has the faster kernels.
    """

    geometry: Geometry

    def forward(self, x: Tensor, params: Sequence[Tensor]) -> tuple[Tensor, Kept]:
        images, (weight, *biases) = _channels_last(x), params
        (height, width, batch), (n, outputs) = self.geometry.out, weight.shape[:2]
        y = x.new_empty((n, batch, height, width, outputs)).movedim(4, 2)
        for i in range(n):
            y[i] = torch.convolution(images[i], weight[i], biases[0][i] if biases else None, *self._options)
        return y, x

    def backward(
        self, g: Tensor, kept: Kept, params: Sequence[Tensor], grads: Sequence[Tensor], further: bool
    ) -> Tensor | None:
        g, x, weight = _channels_last(g), _channels_last(kept), params[0]
        wanted = (further, True, len(params) == 2)
        below = torch.empty_like(kept) if further else None
        for i in range(g.shape[0]):
            gradients = torch.ops.aten.convolution_backward(
                g[i], x[i], weight[i], weight.shape[1:2], *self._options, wanted
            )
            if below is not None:
                below[i] = gradients[0]
            for grad, gradient in zip(grads, gradients[1:], strict=False):
                grad[i] = gradient
        return below

    @property
    def _options(self) -> tuple[Any, ...]:
        """Stride, padding, dilation, transposed, output padding, groups."""
        return (self.geometry.stride, self.geometry.padding, (1, 1), False, (0, 0), 1)


@dataclass(frozen=True)
class Conv2d:
    """`nn.Conv2d`: params weight (n, outputs, channels, height, width) and bias (n, outputs), if any."""

    kernel: Pair
    stride: Pair
    padding: Pair

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:  # noqa: ARG002
        return self._way(x.shape, params[0]).forward(x, params)

    def backward(
        self, g: Tensor, kept: Kept, params: Sequence[Tensor], grads: Sequence[Tensor], further: bool
    ) -> Tensor | None:
        return self._way(kept.shape, params[0]).backward(g, kept, params, grads, further)

    def _way(self, shape: Sequence[int], weight: Tensor) -> Columns | Each:
        """Told by the shapes of one network, as its bits must not depend on its company."""
        geometry = _geometry(*shape[1:], self.kernel, self.stride, self.padding)
        products = math.prod(geometry.out) * weight[0].numel()
        # A single channel is slow in torch, too; and, said to be last, makes it leave outputs unwritten.
        return Columns(geometry) if products < MANY_PRODUCTS or shape[2] == 1 else Each(geometry)


@dataclass(frozen=True)
class Reshape(Unlearned):
    """`nn.Flatten` or `nn.Unflatten`: `function` is what it does to a stack."""

    function: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor, params: Sequence[Tensor], random: Generators | None) -> tuple[Tensor, Kept]:  # noqa: ARG002
        return self.function(x), x.shape

    def below(self, g: Tensor, kept: Kept) -> Tensor:
        return g.reshape(kept)


def _turned(x: Tensor) -> Tensor:
    """Images (n, batch, channels, height, width) as (n, height, width, batch, channels), and back; a view."""
    return x.permute(0, 3, 4, 1, 2)


def _shared(x: Tensor) -> bool:
    """Tell if all networks have the same inputs, as `expand` makes them."""
    return x.shape[0] > 1 and x.stride(0) == 0


def _channels_last(x: Tensor) -> Tensor:
    """Images (n, batch, channels, height, width) as they are, but with the channels last in memory."""
    source = (x[:1] if _shared(x) else x).movedim(2, 4)
    # `contiguous` would leave axes of one their strides, of which torch infers the order.
    return source.reshape(source.shape[0], -1).view(source.shape).movedim(4, 2).expand(x.shape)


def _conv2d(module: nn.Conv2d) -> Layer | None:
    plain = module.groups == 1 and pair(module.dilation) == (1, 1) and module.padding_mode == "zeros"
    if not plain or isinstance(module.padding, str):
        return None
    return Conv2d(pair(module.kernel_size), pair(module.stride), pair(module.padding))


def _stacked(dim: int) -> int:
    """A dimension that a module counts, as a stack counts it."""
    return dim + 1 if dim >= 0 else dim


def _flatten(module: nn.Flatten) -> Layer:
    start, end = _stacked(module.start_dim), _stacked(module.end_dim)
    return Reshape(lambda x: x.flatten(start, end))


def _unflatten(module: nn.Unflatten) -> Layer:
    dim, sizes = _stacked(module.dim), module.unflattened_size
    return Reshape(lambda x: torch.unflatten(x, dim, sizes))


IMAGE_LAYERS: Mapping[type[nn.Module], Callable[[Any], Layer | None]] = {
    nn.Conv2d: _conv2d,
    **POOLS,
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
}
"""The layer of a module, by the module's class itself; None if it has options that no layer knows."""
