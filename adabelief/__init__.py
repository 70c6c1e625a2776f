"""AdaBelief: an optimizer whose step is large where the gradient is as it was expected to be."""

from adabelief.optimizer import AdaBelief

__all__ = ["AdaBelief"]
