"""AdaGrad's relatives that torch lacks, and batches that grow (AdAdaGrad, arXiv 2402.11215)."""

from adadagrad.adagradnorm import AdaGradNorm
from adadagrad.adaptive_batch import AdaptiveBatch
from adadagrad.gathering import Gathered, Growth

__all__ = ["AdaGradNorm", "AdaptiveBatch", "Gathered", "Growth"]
