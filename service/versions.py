"""The versions of the program, and of what outlives it: the rules of a job, and the words of its report."""

from __future__ import annotations

from importlib.metadata import version

RULES = 2
"""Version of the rules that jobs are planned and judged by. A resolved spec names its own."""

WORDS = 3
"""Version of the words of conclusions. In reports of other words, only numbers are checked; 0.1 wrote 1."""


def program() -> str:
    """Return the version of whichopt as it is installed, which is the one in `pyproject.toml`."""
    return version("whichopt")
