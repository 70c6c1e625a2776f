"""The versions of what outlives a program: the rules that a job is judged by, and the words of its report."""

from __future__ import annotations

RULES = 1
"""How jobs are planned and judged. A resolved spec names its own, and a job ends and is verified by those."""

WORDS = 2
"""How conclusions are worded. Reports of other words are checked in their numbers; 1 is what 0.1 wrote."""
