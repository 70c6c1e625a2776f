"""AdaGrad's relatives that torch lacks."""

from adadagrad.adagradnorm import AdaGradNorm

__all__ = ["AdaGradNorm"]
