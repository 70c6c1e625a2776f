"""All that exists for stacking: the trials of a cohort trained as one network, whatever their optimizers.

What the rest of the engine uses of it is named here, and asked for through `engine.executors` alone.
"""

from whichopt.workers.engine.stacked.apart import apart, made_of_layers
from whichopt.workers.engine.stacked.company import company_changes_no_bit
from whichopt.workers.engine.stacked.executor import StackedExecutor
from whichopt.workers.engine.stacked.rehearsal import footprint, rehearsal

__all__ = ["StackedExecutor", "apart", "company_changes_no_bit", "footprint", "made_of_layers", "rehearsal"]
