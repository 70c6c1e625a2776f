"""Where functions run: what follows from their rehearsal."""

from __future__ import annotations

from tests.builders.guests import guest_spec
from whichopt.service.spec import ResolvedSpec
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.functions import Functions


def rehearsed(epoch_s: float, fixed_s: float, slowest_s: float) -> ResolvedSpec:
    """Return a job whose first label has an epoch of `slowest_s` seconds, and the others of `epoch_s`."""
    spec = guest_spec()
    assert spec.guest is not None
    assert spec.guest.rehearsed is not None
    seconds = {
        "epoch_seconds": dict.fromkeys(spec.labels, epoch_s) | {spec.labels[0]: slowest_s},
        "fixed_seconds": dict.fromkeys(spec.labels, fixed_s),
    }
    known = spec.guest.rehearsed.model_copy(update=seconds)
    return spec.model_copy(update={"workload": spec.guest.model_copy(update={"rehearsed": known})})


def test_how_long_a_trial_may_be_silent_follows_from_its_rehearsal() -> None:
    """Twenty times its slowest epoch with what comes before it, two minutes at least."""
    functions = Functions(GuestExecutor(stuck_s=5))
    assert functions.executor_of(guest_spec()).stuck_s == 120
    assert functions.executor_of(rehearsed(30.0, 10.0, slowest_s=60.0)).stuck_s == 20 * 70
    assert functions.executor.stuck_s == 5, "that of others stays"


def test_a_process_takes_trials_of_two_minutes_at_a_time() -> None:
    """Its places wait for the last trial of a cohort alone; so a cohort has at least two for each."""
    functions = Functions(GuestExecutor(processes=3))
    epochs = guest_spec().budget.epochs
    assert functions.together(rehearsed(60.0 / epochs, 0.0, slowest_s=60.0)) == 3 * 2
    assert functions.together(rehearsed(8.0 / epochs, 2.0, slowest_s=8.0 / epochs)) == 3 * 12
    assert functions.together(rehearsed(0.0, 0.0, slowest_s=1e-6)) == 3 * 32
