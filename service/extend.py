"""What a package gives whichopt: networks, data and optimizers, each as a value behind an entry point.

It needs neither torch nor anything else of whichopt, so that a plug-in costs nothing until it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from whichopt.service.catalog.shapes import Shape
from whichopt.service.space import Categorical, Dimension, Float, Int, Value

__all__ = ["Categorical", "Dataset", "Float", "Int", "Model", "Optimizer", "Shape"]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network that jobs can name, offered in the group `whichopt.models`.

    Attributes:
        make: the callable `make(shape, **options)` that returns the network, an `nn.Module`. `shape` is the
            Shape of the data; one that takes no `shape` is called with the options alone.
        images: whether it takes images (N, C, H, W), and not rows (N, features).
        title: its name in lists.
        about: what it is, in a sentence.
        least: the fewest examples of a batch that it can learn from; 2 with batch normalization.
        tasks: the tasks that it can be trained for.
        only_solo: the reason why its trials cannot share a stack, if you know one. Otherwise it is tried.

    Example:
        >>> from whichopt.extend import Model
        >>> tiny = Model(make=lambda shape, width=8: ..., title="Tiny network")
        >>> tiny.images
        False
    """

    make: Callable[..., Any]
    images: bool = False
    title: str = ""
    about: str = ""
    least: int = 1
    tasks: tuple[str, ...] = ("classification", "regression")
    only_solo: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Data that jobs can name, offered in the group `whichopt.datasets`.

    Attributes:
        load: the callable `load(**options)` that returns features (N, F) or images (N, C, H, W), and labels
            (N,): arrays or tensors. Labels are classes from 0, or numbers.
        task: the task that they are for: `classification` or `regression`.
        shape: their Shape: examples, features, outputs (the number of classes, or 1) and the image, if each
            example is one.
        title: its name in lists.
        source: where the data are from.

    Example:
        >>> from whichopt.extend import Dataset, Shape
        >>> rings = Dataset(load=lambda noise=0.1: ..., task="classification", shape=Shape(600, 2, 2))
        >>> rings.shape.outputs
        2
    """

    load: Callable[..., Any]
    task: str
    shape: Shape
    title: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """An optimizer that jobs can name, offered in the group `whichopt.optimizers`.

    Attributes:
        target: the place of its class, a `torch.optim.Optimizer`: `package.module.Class`.
        default: the setting of each study's first trial, a value for each name of the space.
        space: what is searched. A tuple `betas` is said by its scalars, `beta1` and `beta2`.
        state_bytes: bytes of state that it keeps for each float32 param.
        stackable: whether its step needs no more than the params and the gradients of its own network.
        title: its name in lists.
        source: the paper or the place that it is from.

    Example:
        >>> from whichopt.extend import Float, Optimizer
        >>> space = {"lr": Float(low=1e-4, high=1.0, scale="log")}
        >>> Optimizer(target="ourlab.optim.Mine", default={"lr": 0.01}, space=space).stackable
        True
    """

    target: str
    default: Mapping[str, Value]
    space: Mapping[str, Dimension]
    state_bytes: int = 8
    stackable: bool = True
    title: str = ""
    source: str = ""
