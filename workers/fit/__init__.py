"""Trains a reported config once more on the job's data, and saves the network for use."""

from whichopt.workers.fit.fitted import CannotFit, Fitted, fit

__all__ = ["CannotFit", "Fitted", "fit"]
