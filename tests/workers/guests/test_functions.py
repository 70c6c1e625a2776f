"""Where functions run: what follows from their rehearsal."""

from __future__ import annotations

from tests.builders.guests import guest_spec
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.functions import Functions


def test_how_long_a_trial_may_be_silent_follows_from_its_rehearsal() -> None:
    """Twenty times its slowest epoch with what comes before it, two minutes at least."""
    spec = guest_spec()
    assert spec.guest is not None
    known = spec.guest.rehearsed
    assert known is not None
    functions = Functions(GuestExecutor(stuck_s=5))
    assert functions.executor_of(spec).stuck_s == 120
    slow = dict.fromkeys(spec.labels, 30.0) | {spec.labels[0]: 60.0}
    fixed = dict.fromkeys(spec.labels, 10.0)
    slower = known.model_copy(update={"epoch_seconds": slow, "fixed_seconds": fixed})
    workload = spec.guest.model_copy(update={"rehearsed": slower})
    assert functions.executor_of(spec.model_copy(update={"workload": workload})).stuck_s == 20 * 70
    assert functions.executor.stuck_s == 5, "that of others stays"
