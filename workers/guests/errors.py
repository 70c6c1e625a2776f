"""The errors of a person's training function, each with the line to change.

FunctionFailed               422 function_failed        it raised; its traceback is in the detail
├── FunctionMute             422 function_mute          it never reported
├── FunctionTooLong          422 function_too_long      it reported more often than the trial has epochs
├── NoStep                   422 no_step                its optimizer never stepped
├── SeedFixed                422 seed_fixed             another seed changes nothing
├── NotRepeatable            422 not_repeatable         the same seeds start elsewhere
├── SettingOverridden        422 setting_overridden     a searched value is not the one that trains
├── UnknownFunction          422 unknown_function       no function of that name can be found
├── FunctionChanged          422 function_changed       it is not the one that was rehearsed
├── FunctionStuck            422 function_stuck         it did not report in time
└── DistributedUnsupported   422 distributed_unsupported  it trains in more than one process
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from whichopt.service.errors import WhichoptError
from whichopt.service.trials import TrialResult


class FunctionFailed(WhichoptError):
    """The function raised, or its process died. `results` are those of its cohort that had ended."""

    status, code, title = 422, "function_failed", "The training function failed"

    def __init__(
        self,
        detail: str,
        *,
        label: str | None = None,
        log: str = "",
        results: Sequence[TrialResult | None] = (),
        **parts: Any,
    ) -> None:
        super().__init__(detail, **parts)
        self.label = label
        self.log = log
        self.results = list(results)


class FunctionMute(FunctionFailed):
    code, title = "function_mute", "The training function reports nothing"


class FunctionTooLong(FunctionFailed):
    code, title = "function_too_long", "The training function trains for too many epochs"


class NoStep(FunctionFailed):
    code, title = "no_step", "The training function takes no step"


class SeedFixed(FunctionFailed):
    code, title = "seed_fixed", "The training function fixes its seed"


class NotRepeatable(FunctionFailed):
    code, title = "not_repeatable", "The training function does not begin anew"


class SettingOverridden(FunctionFailed):
    code, title = "setting_overridden", "The training function overrides a searched value"


class FunctionChanged(FunctionFailed):
    code, title = "function_changed", "The training function is another one here"


class FunctionStuck(FunctionFailed):
    code, title = "function_stuck", "The training function stands still"


class DistributedUnsupported(FunctionFailed):
    code, title = "distributed_unsupported", "The training function uses several processes"


class UnknownFunction(FunctionFailed):
    code, title = "unknown_function", "There is no such training function"


KINDS = {
    kind.code: kind
    for kind in (
        FunctionFailed,
        FunctionMute,
        FunctionTooLong,
        NoStep,
        SeedFixed,
        NotRepeatable,
        SettingOverridden,
        UnknownFunction,
        FunctionChanged,
        FunctionStuck,
        DistributedUnsupported,
    )
}
"""The kinds of failures by their code."""
