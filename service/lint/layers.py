"""Rules on a network that a job describes by its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whichopt.service.catalog.layers import (
    Activation,
    BatchNorm,
    Conv2d,
    Dropout,
    GroupNorm,
    Layer,
    LayerNorm,
    Linear,
    Pool2d,
    Residual,
)
from whichopt.service.catalog.listed_layers import layers_of
from whichopt.service.catalog.networks import FIELD
from whichopt.service.lint.sized import every_size
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import LintFinding

FEW_ROWS = 8
"""Rows of a batch below which its variance is off by half of itself or more: about sqrt(2 / (n - 1))."""

Placed = tuple[str, Layer]
"""A layer with its path in the job."""


def layer_rules(spec: ResolvedSpec) -> Iterator[LintFinding]:
    if spec.guest is not None:
        return
    model = spec.cataloged.model
    layers = layers_of(model.name, model.options)
    if layers is None:
        return
    yield from _biases(layers, FIELD)
    yield from _dropouts(layers)
    yield from _few_rows(spec, layers)
    yield from _without_nonlinearity(layers, FIELD)
    yield from _after_outputs(layers)


def _placed(layers: Sequence[Layer], path: str) -> Iterator[Placed]:
    """Yield all layers in the order that an example passes them; a block comes before what is inside."""
    for i, layer in enumerate(layers):
        yield f"{path}.{i}", layer
        if isinstance(layer, Residual):
            yield from _placed(layer.layers, f"{path}.{i}.layers")


def _biases(layers: Sequence[Layer], path: str) -> Iterator[LintFinding]:
    """Find biases that the batch norm after them takes away again."""
    for i, layer in enumerate(layers):
        at = f"{path}.{i}"
        normed = i + 1 < len(layers) and isinstance(layers[i + 1], BatchNorm)
        if isinstance(layer, Residual):
            yield from _biases(layer.layers, f"{at}.layers")
        while isinstance(layer, Residual):  # whose last layer gives what the norm takes
            at, layer = f"{at}.layers.{len(layer.layers) - 1}", layer.layers[-1]
        if normed and isinstance(layer, Linear | Conv2d) and layer.bias:
            yield LintFinding(
                code="bias_before_batch_norm",
                severity="note",
                field=f"{at}.bias",
                what=f"this {layer.type} has a bias, and batch_norm comes next",
                why="batch norm subtracts the mean, and the bias with it: it does nothing, its gradient is "
                "rounding alone, and Adam and its kin make whole steps of that",
                instead='set "bias": false',
            )


def _dropouts(layers: Sequence[Layer]) -> Iterator[LintFinding]:
    """Find the first dropout that has a batch norm after it."""
    first: str | None = None
    for path, layer in _placed(layers, FIELD):
        if isinstance(layer, Dropout) and layer.p > 0:
            first = first or path
        elif isinstance(layer, BatchNorm) and first is not None:
            yield LintFinding(
                code="dropout_before_batch_norm",
                severity="warning",
                field=first,
                what=f"this dropout comes before a batch norm ({path})",
                why="batch norm learns the variance of inputs that dropout thinned, and meets another one "
                "in evaluation, where nothing is dropped (Li et al. 2018, arXiv 1801.05134)",
                instead="put dropout after the last batch_norm, or use layer_norm",
            )
            return


def _few_rows(spec: ResolvedSpec, layers: Sequence[Layer]) -> Iterator[LintFinding]:
    """Find batches that are too small for batch norm; one that cannot be trained at all is refused."""
    path = next((path for path, layer in _placed(layers, FIELD) if isinstance(layer, BatchNorm)), None)
    if path is None:
        return
    told: set[str] = set()
    for field, size in every_size(spec):
        if field not in told and (found := _too_few(spec.length, size, field, path)) is not None:
            told.add(field)
            yield found


def _too_few(examples: int, size: int, field: str, path: str) -> LintFinding | None:
    """Find batches of that size, or the last of them, too small for the batch norm at `path`."""

    def last(size: int) -> int:
        return examples % size or size

    name = field.rpartition(".")[2]
    if size < FEW_ROWS:
        what = f"a batch has {size} examples, and {path} scales by the statistics of the batch"
        instead = f"use batches of at least {FEW_ROWS}, or layer_norm or group_norm"
    elif last(size) < FEW_ROWS and name != "batch_micro":  # whose last is a part of a batch
        better = next((less for less in range(size, FEW_ROWS - 1, -1) if last(less) >= FEW_ROWS), FEW_ROWS)
        what = (
            f"with {name} {size} the last of a trial's {examples:,} examples make a batch of "
            f"{last(size)}, and {path} scales by the statistics of the batch"
        )
        instead = f"set {name} to {better}, whose last batch has {last(better)}"
    else:
        return None
    return LintFinding(
        code="few_rows_for_batch_norm",
        severity="warning",
        field=field,
        what=what,
        why="statistics of so few are noise, and the running ones, by which the test examples are scaled, "
        "take a tenth of each batch's (Wu and He 2018, arXiv 1803.08494)",
        instead=instead,
    )


def _without_nonlinearity(layers: Sequence[Layer], path: str) -> Iterator[LintFinding]:
    """Find linear layers that are one with a linear layer before them, as nothing nonlinear lies between."""
    before: str | None = None
    for i, layer in enumerate(layers):
        at = f"{path}.{i}"
        if isinstance(layer, Residual):
            yield from _without_nonlinearity(layer.layers, f"{at}.layers")
            # What the block skips is used twice, so a linear layer before it is not one with those inside.
            before = None
            if not any(_bends(one) for _, one in _placed(layer.layers, at)):
                before = at
                yield _one_linear(at, "this residual block", "none of its layers is nonlinear")
        elif isinstance(layer, Linear | Conv2d):
            if before is not None:
                yield _one_linear(at, f"this {layer.type}", f"nothing nonlinear lies between it and {before}")
            before = at
        elif _bends(layer):
            before = None


def _bends(layer: Layer) -> bool:
    """Tell if a layer is nonlinear in evaluation. Batch norm is not: it scales by what it has learned."""
    return isinstance(layer, Activation | LayerNorm | GroupNorm) or (
        isinstance(layer, Pool2d) and layer.type == "max_pool2d"
    )


def _one_linear(at: str, what: str, why: str) -> LintFinding:
    return LintFinding(
        code="no_nonlinearity",
        severity="warning",
        field=at,
        what=f"{what} adds no power: {why}",
        why="linear layers in a row are one linear layer with more params",
        instead="put relu, gelu, silu or tanh between them, or leave one out; keep it if a product of low "
        "rank is what you want",
    )


def _after_outputs(layers: Sequence[Layer]) -> Iterator[LintFinding]:
    """Find an activation of the outputs themselves."""
    for i in range(len(layers) - 1, -1, -1):
        layer = layers[i]
        if isinstance(layer, Linear | Conv2d | Residual):
            return
        if isinstance(layer, Activation):
            yield LintFinding(
                code="activated_outputs",
                severity="warning",
                field=f"{FIELD}.{i}",
                what=f"{layer.type} comes after the last layer that has params, so it bends the outputs",
                why="the loss takes outputs of any size and sign, logits or standardized targets, and "
                "an activation cuts a part of them off",
                instead=f"leave out this {layer.type}",
            )
