"""The data of plug-ins: loaded with a job's options, and checked against the shape that the plug-in says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from whichopt.service.catalog.origins import Origin
from whichopt.service.catalog.shapes import Shape
from whichopt.service.errors import PluginChanged, PluginFailed
from whichopt.workers.plugins.described import dataset_of
from whichopt.workers.plugins.loaded import Loaded, guarded, loaded

Arrays = tuple[npt.NDArray[np.float64], npt.NDArray[Any]]
"""Features (N, F) and labels (N,)."""


def arrays(name: str, origin: Origin, options: Mapping[str, Any], shape: Shape, task: str) -> Arrays:
    """Return the data of that plug-in.

    Raises:
        PluginFailed: it cannot be imported or loaded, or its data are not as it says.
        PluginChanged: its source, or its data, are not those that the job began with.
    """
    found = loaded("dataset", name, origin)
    data = dataset_of(found)
    with guarded("dataset", name, found.words, "loading it"):
        features, labels = (_array(one) for one in data.load(**options))
        features = features.reshape(len(features), -1).astype(np.float64)
    _check(found, features, labels, shape, task)
    kind = np.int64 if task == "classification" else np.float64
    made = np.ascontiguousarray(features), labels.reshape(-1).astype(kind)
    if origin.content is not None and origin.content != content(made):
        raise PluginChanged(
            f"{found.words} gives other data here than when the job began: pin what it loads to one version",
            value=name,
        )
    return made


def content(data: Arrays) -> str:
    """Return the hash of the data."""
    digest = hashlib.sha256()
    for part in data:
        digest.update(str((part.dtype, part.shape)).encode())
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _array(given: Any) -> Any:
    return given.detach().cpu().numpy() if isinstance(given, torch.Tensor) else np.asarray(given)


def _check(found: Loaded, features: Any, labels: Any, shape: Shape, task: str) -> None:
    """Raise PluginFailed unless the data are as the plug-in's shape says."""

    def refuse(what: str) -> PluginFailed:
        return PluginFailed(f"{found.words} cannot be used: {what}", value=found.name)

    if features.shape != (shape.examples, shape.features):
        said = (shape.examples, shape.features)
        raise refuse(f"its features are {features.shape} as rows, and its shape says {said}")
    if labels.shape not in ((shape.examples,), (shape.examples, 1)):
        raise refuse(f"its labels are {labels.shape}, and its shape says ({shape.examples},)")
    if not np.isfinite(features).all() or not np.isfinite(labels.astype(np.float64)).all():
        raise refuse("its features or its labels are not all finite")
    if task == "regression":
        if shape.outputs != 1:
            raise refuse(f"its shape says {shape.outputs} outputs, and a regression has 1")
        return
    if (
        not np.array_equal(labels, labels.astype(np.int64))
        or labels.min() < 0
        or labels.max() >= shape.outputs
    ):
        raise refuse(
            f"its labels are from {labels.min()} to {labels.max()}, and must be whole, from 0 to "
            f"{shape.outputs - 1}, as its shape says {shape.outputs} classes"
        )
