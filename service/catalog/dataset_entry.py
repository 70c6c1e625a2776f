"""What the catalog says of a dataset: its options, its shape and sizes, and where it is from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ConfigDict

from whichopt.service.catalog.origins import Origin
from whichopt.service.catalog.shapes import Shape, Sizes
from whichopt.service.numeric import NumbersAreNumbers
from whichopt.service.splits import RANDOM, sizes_of
from whichopt.service.uploads import Upload


class DatasetOptions(NumbersAreNumbers):
    """The options of a dataset; none, unless its entry has a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class DatasetEntry:
    """A dataset as jobs name it, with the `shape` of the data that `options` ask for.

    `loader` is what workers load it by (`whichopt.workers.workload.data.LOADERS`), if that has another name.
    `also` are other tasks that it can be used for; if those have nothing to learn but the inputs, its labels
    do not enter. `handed` says that a mirrored example would be of another class, or of none, as a digit is.
    `targets_are_images` says that its targets are other images, which would have to be changed as the inputs
    are.

    A person's own dataset has an `upload`, the `content` hash of its data, and sizes that its split decided.
    One of a plug-in has its `origin`, and is loaded by that.
    """

    name: str
    title: str
    task: str
    shape: Callable[[DatasetOptions], Shape]
    source: str
    options: type[DatasetOptions] = DatasetOptions
    loader: str | None = None
    upload: Upload | None = None
    content: str | None = None
    own_sizes: Sizes | None = None
    also: tuple[str, ...] = ()
    handed: bool = False
    targets_are_images: bool = False
    origin: Origin | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it can be used for, its own first."""
        return (self.task, *self.also)

    def sizes(self, options: DatasetOptions) -> Sizes:
        """Return the sizes of the splits: 20% test, the rest 3 : 1 into train and validation."""
        if self.own_sizes is not None:
            return self.own_sizes
        return sizes_of(RANDOM, self.shape(options).examples)


def fixed(shape: Shape) -> Callable[[DatasetOptions], Shape]:
    """Say of a dataset that its options do not change its shape."""
    return lambda _: shape
