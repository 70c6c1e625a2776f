"""What a plug-in's package imports: the classes by which it offers networks, data and optimizers."""

from __future__ import annotations

from whichopt.service.extend import Categorical, Dataset, Float, Int, Model, Optimizer, Shape

__all__ = ["Categorical", "Dataset", "Float", "Int", "Model", "Optimizer", "Shape"]
