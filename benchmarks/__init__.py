"""Measurements of whichopt and of what it is compared with; each module says how it is run."""

from whichopt.workers.products import ask_for_reproducible_products

# Before a benchmark imports torch, so that it computes as a worker does.
ask_for_reproducible_products()
