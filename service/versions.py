"""The versions of what outlives a program: the rules that a job is judged by, and the words of its report."""

from __future__ import annotations

RULES = 1
"""Version of the rules that jobs are planned and judged by. A resolved spec names its own."""

WORDS = 2
"""Version of the words of conclusions. In reports of other words, only numbers are checked; 0.1 wrote 1."""
