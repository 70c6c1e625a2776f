"""Turns plans into results: all training, all sampling. Nobody imports it but its own processes."""

from whichopt.workers.products import ask_for_reproducible_products

# Here, as every process that trains imports this package before torch: workers and their children, the
# embedded home, a rerun, benchmarks and tests.
ask_for_reproducible_products()
