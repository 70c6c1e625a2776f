"""Answers for a person's own training function, in the process that has it: no service is needed.

The job stands in a data folder as every other one does, planned and judged by the same code, so `whichopt up`
on that folder shows it. `tune` is the door; `Tuned` is what comes out.
"""

from __future__ import annotations

from whichopt.workers.candidates import Candidate, candidate
from whichopt.workers.tune.door import tune
from whichopt.workers.tune.tuned import Tuned

__all__ = ["Candidate", "Tuned", "candidate", "tune"]
