"""Workloads: what a trial trains. `build` makes a resolved spec concrete: data, network, loss, metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from whichopt.service.by_example import MOST_EXAMPLES, kept_examples
from whichopt.service.catalog.built_in import Catalog
from whichopt.service.catalog.datasets import DatasetEntry
from whichopt.service.catalog.models import ModelEntry, ModelOptions
from whichopt.service.catalog.shapes import Shape
from whichopt.service.catalog.tasks import metric
from whichopt.service.errors import PluginFailed
from whichopt.service.goal import Goal
from whichopt.service.samples import bounded
from whichopt.service.spec import ResolvedWorkload
from whichopt.service.spec.entries import with_recorded
from whichopt.service.trials import Sample
from whichopt.workers.plugins.tables import arrays
from whichopt.workers.workload.augmentation import drawn
from whichopt.workers.workload.cached import Cached
from whichopt.workers.workload.criteria import Criteria
from whichopt.workers.workload.data import LOADERS
from whichopt.workers.workload.gone import DatasetGone
from whichopt.workers.workload.images import Images
from whichopt.workers.workload.models import builder
from whichopt.workers.workload.players import Answer, Carry, Loss, Net, Player, Slope
from whichopt.workers.workload.seeds import generator, initialized, seeded
from whichopt.workers.workload.stream import (
    Batch,
    Draw,
    Examples,
    Splits,
    batches,
    beside,
    order,
    side_by_side,
    stretches,
)
from whichopt.workers.workload.table import Loaded, Table
from whichopt.workers.workload.tasks import CRITERIA
from whichopt.workers.workload.uploads import Kept, load, load_text

__all__ = [
    "Answer",
    "Batch",
    "Carry",
    "DatasetGone",
    "Draw",
    "Examples",
    "Loaded",
    "Loss",
    "Net",
    "Player",
    "Slope",
    "Splits",
    "Workload",
    "batches",
    "beside",
    "build",
    "generator",
    "order",
    "seeded",
    "side_by_side",
    "stretches",
    "table_of",
    "weighted",
]

EVALUATION_BATCH = 4096
"""Most examples that are evaluated at once, so that memory does not grow with the split."""

EVALUATED_BYTES = 2**30
"""Most bytes that those may keep between the layers, if they kept them as in training."""

TABLES = Cached(1 << 29)
SPLITS = Cached(1 << 30)
"""What was loaded and divided in this process."""


@dataclass(frozen=True)
class Workload:
    """Task, model and dataset on a device.

    `model` makes the network from a seed for its params, `splits` the data from a seed for the division
    into training and validation; both are pure functions. The tensors of `splits` are shared: read only.
    `by_example` is True if the metric of the goal is a mean over examples. `draw` is what each batch draws
    from the trial's own seed; None if nothing. `evaluated` is how many examples are evaluated at once.
    """

    goal: Goal
    shape: Shape
    device: torch.device
    players: tuple[Player, ...]
    model: Callable[[int], nn.Module]
    splits: Callable[[int], Splits]
    criteria: Criteria
    by_example: bool = False
    draw: Draw | None = None
    evaluated: int = EVALUATION_BATCH

    @property
    def answer(self) -> Answer | None:
        """What is judged of a network, if it is not what it gives for the inputs."""
        return self.criteria.answer

    @property
    def followed(self) -> tuple[str, ...]:
        """The metrics of the goal that have a curve: the one that selects, and those of the task."""
        goal = self.goal
        return tuple(name for name in goal.metrics if name == goal.metric or name in self.criteria.followed)

    def part(self, count: int) -> Workload:
        """Return the same workload with no more than the first `count` examples of each split: to try it."""
        cut = lru_cache(maxsize=None)(lambda seed: self.splits(seed).first(count))
        return replace(self, splits=cut)

    @torch.no_grad()
    def evaluate(self, net: Net, examples: Examples, names: Sequence[str] | None = None) -> dict[str, Tensor]:
        """The metrics of those names, each a float64 tensor without dimensions; `net` is in eval mode.

        Without names they are all of the goal.
        """
        wanted = self.goal.metrics if names is None else names
        return self.criteria.metrics(self.outputs(net, examples), examples.targets, examples.unit, wanted)

    @torch.no_grad()
    def outputs(self, net: Net, examples: Examples) -> Tensor:
        """What is judged of `net`, which is in eval mode: its outputs (N, outputs), or what the task says."""
        if self.answer is not None:
            return self.answer(net, examples.whole)
        return torch.cat([net(part) for part in torch.split(examples.inputs, self.evaluated)])

    @torch.no_grad()
    def sample(self, net: Net, examples: Examples) -> Sample | None:
        """What `net`, which is in eval mode, makes for people to look at; None if its task makes nothing."""
        return None if self.criteria.sample is None else bounded(self.criteria.sample(net, examples))

    def values(self, outputs: Tensor, examples: Examples) -> Tensor | None:
        """The goal's metric on each example that is kept of a split (N,); None if it is no mean over them."""
        if not self.by_example:
            return None
        found = self.criteria.by_example(outputs, examples.targets, examples.unit, self.goal.metric)
        return found if len(found) <= MOST_EXAMPLES else found[kept_examples(len(found))]

    def reference(self, splits: Splits) -> dict[str, float]:
        """Return the test score of the constant predictor that suits the training split best."""
        outputs = self.criteria.learned_nothing(splits, self.shape.outputs)
        metrics = self.criteria.metrics(outputs, splits.test.targets, splits.test.unit, self.goal.metrics)
        return {name: value.item() for name, value in metrics.items()}


def build(
    spec: ResolvedWorkload,
    catalog: Catalog | None = None,
    *,
    device: str = "cpu",
    blobs: Path | None = None,
    root: Path | None = None,
) -> Workload:
    """Return the workload that `spec` describes, ready on `device`; it is made once per process.

    Args:
        spec: a job's workload. A person's own data are found by the hash that it records, not by their name.
        catalog: has its dataset and its model, unless the spec itself records what they are: a person's own
            data, a plug-in; None for the built-in one.
        device: the device to train on.
        blobs: the folder with what is kept of uploads.
        root: the folder under which folders of images lie that are read there.

    Raises:
        UnknownName: the catalog has no such dataset or model.
        DatasetGone: a person's own data are not in the folder, are damaged, or lie in a folder that changed.
        PluginFailed: a plug-in is not here, or cannot be used.
    """
    known = with_recorded(spec, catalog)
    data = None if spec.upload else known.dataset(spec.dataset.name)
    return _build(spec.model_dump_json(), data, known.model(spec.model.name), device, blobs, root)


@lru_cache(maxsize=4)
def _build(
    resolved: str,
    data: DatasetEntry | None,
    net: ModelEntry,
    device: str,
    blobs: Path | None,
    root: Path | None,
) -> Workload:
    spec = ResolvedWorkload.model_validate_json(resolved)
    place = torch.device(device)
    net_options = net.options(**spec.model.options)
    shape = spec.shape
    criteria = CRITERIA[spec.task].of(net_options)
    network = partial(builder(net), net_options, shape)
    params = _param_names(network)

    def table() -> Loaded:
        return _table(spec, data, blobs, root)

    def divided(seed: int) -> Splits:
        made = weighted(table().splits(criteria, spec.sizes, seed, place), spec)
        return made if criteria.prepared is None else criteria.prepared(made)

    def splits(seed: int) -> Splits:
        return SPLITS.get((resolved, device, seed), lambda: divided(seed), lambda made: made.nbytes)

    table()  # what is wrong with it is told before anything is trained
    return Workload(
        goal=spec.goal,
        shape=shape,
        device=place,
        players=criteria.players_of(net.name, params),
        model=lambda seed: initialized(network, seed, place),
        splits=splits,
        criteria=criteria,
        by_example=bool((judge := metric(spec.task, spec.goal.metric)) and judge.by_example),
        draw=drawn(spec, criteria.draw),
        evaluated=_at_once(net, net_options, shape),
    )


def _at_once(net: ModelEntry, options: ModelOptions, shape: Shape) -> int:
    """Return how many examples are evaluated at once: fewer if each keeps much."""
    fit = EVALUATION_BATCH if net.kept is None else EVALUATED_BYTES // (4 * net.kept(options, shape))
    return max(1, min(EVALUATION_BATCH, fit))


def _param_names(network: Callable[[], nn.Module]) -> tuple[str, ...]:
    """Return the names of the network's params, without memory for them if it can be made so."""
    try:
        with torch.device("meta"):
            net = network()
    except PluginFailed:  # it asks for values while it is made, which such tensors lack
        net = initialized(network, 0, torch.device("cpu"))
    return tuple(name for name, _ in net.named_parameters())


def table_of(
    spec: ResolvedWorkload,
    catalog: Catalog | None = None,
    *,
    blobs: Path | None = None,
    root: Path | None = None,
) -> Loaded:
    """Return the data of the workload as they were loaded; the arguments are as for `build`."""
    known = with_recorded(spec, catalog)
    return _table(spec, None if spec.upload else known.dataset(spec.dataset.name), blobs, root)


def _table(
    spec: ResolvedWorkload, data: DatasetEntry | None, blobs: Path | None, root: Path | None
) -> Loaded:
    options = spec.dataset.model_dump_json(exclude={"name"} if spec.content else None)
    key = spec.content or (data and data.loader), options, spec.dataset_origin
    return TABLES.get(key, lambda: _loaded(spec, data, blobs, root), lambda loaded: loaded.nbytes)


def weighted(splits: Splits, spec: ResolvedWorkload) -> Splits:
    """Return the splits with the weights of the training examples, if the task asks for them."""
    criteria = CRITERIA[spec.task]
    if spec.class_weight is None or criteria.balanced is None:
        return splits
    weights = criteria.balanced(splits.train.targets)
    return replace(splits, train=replace(splits.train, weights=weights))


def _loaded(
    spec: ResolvedWorkload, data: DatasetEntry | None, blobs: Path | None, root: Path | None
) -> Loaded:
    loaded: Loaded
    if data is None:
        is_text = spec.upload is not None and spec.upload.text is not None
        loaded = load_text(spec, blobs) if is_text else load(spec, blobs, root)
    elif spec.dataset_origin is not None:
        options = spec.dataset.options
        loaded = Table(*arrays(data.name, spec.dataset_origin, options, spec.shape, spec.task))
    else:
        loaded = LOADERS[data.loader or data.name](data.options(**spec.dataset.options))
    if not spec.label_noise:
        return loaded
    if isinstance(loaded, Table):
        return loaded._replace(label_noise=spec.label_noise)
    assert isinstance(loaded, Kept | Images)  # no others have the option
    return replace(loaded, label_noise=spec.label_noise)
