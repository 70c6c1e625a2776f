"""Measurements of whichopt and of what it is compared with: a folder, or a file, for each question.

`python -m benchmarks.NAME` answers it; its docstring says how. `shared` is what several of them use.
"""

from whichopt.workers.products import ask_for_reproducible_products

# Before a benchmark imports torch, so that it computes as a worker does.
ask_for_reproducible_products()
