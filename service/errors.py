"""The errors whose cause can be told to a user.

WhichoptError               500 internal
├── InvalidSpec             422 invalid_spec      a field names what is wrong, what is allowed, what is near
│   ├── UnknownName         422 unknown_name      a catalog has no such entry
│   │   └── UnknownFunction 422 unknown_function  not one that the operator allows
│   └── BudgetTooShort      422 budget_too_short  minutes that a probe found too few; fails the job
├── InvalidQuery            422 invalid_query     a query parameter or header is wrong
├── InvalidReport           422 invalid_report    a file holds no evidence report that can be read
├── InvalidJson             400 invalid_json      the body cannot be read as JSON
├── UnsupportedMedia        415 unsupported_media_type
├── Unauthorized            401 unauthorized      no key, or not one of ours
├── NotFound                404 not_found
├── Conflict                409 conflict
│   ├── UnreadableRow       409 unreadable_row    a stored row is damaged, or a newer version's
│   ├── JobEnded            409 job_ended         nothing left to cancel or conclude
│   ├── NotConcludable      409 not_concludable   it searches, or has no look done
│   ├── NotResumable        409 not_resumable     it goes on, or would fail again
│   ├── NoRecommendation    409 no_recommendation not yet, or never
│   ├── DatasetExists       409 dataset_exists    the name is taken, by a built-in or another upload
│   ├── DatasetInUse        409 dataset_in_use    a job that has not ended uses it
│   ├── DatasetNotReady     409 dataset_not_ready it is read, was not read, or is a preview
│   └── KeyReused           422 idempotency_key_reused
├── ReportFailed            500 report_failed     the report of a concluded job cannot be made
├── UnreadableDataset       422 unreadable_dataset a file that is no table, or a row or column of it
│   ├── AmbiguousTarget     422 ambiguous_target  the column to predict must be named
│   └── AmbiguousTask       422 ambiguous_task    classification or regression: it must be said
├── BodyTooLarge            413 body_too_large
│   └── DatasetTooLarge     413 dataset_too_large a file or its table is over a limit, or a quota is used up
├── FunctionFailed          422 function_failed   a person's own function raised; its children fail a job or
│   │                                             a rehearsal by what they are called
│   ├── FunctionMute            function_mute     it never reports
│   ├── FunctionTooLong         function_too_long it reports more often than it was given epochs
│   ├── NoStep                  no_step           it makes no optimizer by `run`, or takes no step with it
│   ├── SeedFixed               seed_fixed        all seeds start alike
│   ├── NotRepeatable           not_repeatable    the same seed does not start alike
│   ├── SettingOverridden       setting_overridden a searched value is not what trains
│   ├── FunctionChanged         function_changed  it differs between workers, or since the job began
│   ├── FunctionStuck           function_stuck    no report for too long
│   ├── NeedsClosure            needs_closure     the optimizer's step needs a closure
│   ├── DistributedUnsupported  distributed_unsupported  it trains in several processes
│   ├── BudgetNeeded            budget_needed     neither minutes nor trials
│   └── TestLacksMetric         test_lacks_metric `run.test` does not give the job's metric
├── PluginFailed            422 plugin_failed     a plug-in raised, or gives what no job can use
│   ├── PluginChanged       422 plugin_changed    it differs between workers, or since the job began
│   └── PluginMissing       409 plugin_missing    no live worker offers it, or it is not installed here
└── Unavailable             503 unavailable       database or broker out of reach
    ├── StorageFull         503 storage_full      a disk has no space left, or a quota is used up
    ├── StorageReadOnly     503 storage_read_only a disk or a database cannot be written
    └── StorageBroken       503 storage_failed    a disk fails
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from whichopt.service.states import JobState


class WhichoptError(Exception):
    """An error with the parts of a problem document (RFC 9457); the class has status and stable code."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    retry_after_s: ClassVar[int | None] = None
    """Seconds after which the same request may succeed; None if only another request will help."""

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        value: Any = None,
        allowed: Any = None,
        nearest: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.value = value
        self.allowed = allowed
        self.nearest = nearest


class InvalidSpec(WhichoptError):
    status, code, title = 422, "invalid_spec", "The job spec is invalid"


class UnknownName(InvalidSpec):
    code, title = "unknown_name", "The catalog has no such entry"

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str], *, field: str | None) -> UnknownName:
        """Return the error for `name`, with the nearest known one."""
        allowed = list(known)
        close = difflib.get_close_matches(name.lower(), allowed, n=1, cutoff=0.6)
        there_are = f"choose one of: {', '.join(allowed)}" if allowed else f"there is no {kind} at all"
        hint = f"did you mean {close[0]!r}?" if close else there_are
        return cls(
            f"there is no {kind} {name!r}; {hint}",
            field=field,
            value=name,
            allowed=allowed,
            nearest=close[0] if close else None,
        )


class UnknownFunction(UnknownName):
    code, title = "unknown_function", "The operator allows no such function"


class BudgetTooShort(InvalidSpec):
    code, title = "budget_too_short", "The budget is too short for the job"


class InvalidQuery(WhichoptError):
    status, code, title = 422, "invalid_query", "The request is invalid"


class InvalidReport(WhichoptError):
    status, code, title = 422, "invalid_report", "The report cannot be read"


class InvalidJson(WhichoptError):
    status, code, title = 400, "invalid_json", "The body is not JSON"


class UnsupportedMedia(WhichoptError):
    status, code, title = 415, "unsupported_media_type", "The body has the wrong content type"


class Unauthorized(WhichoptError):
    status, code, title = 401, "unauthorized", "An API key is required"


class NotFound(WhichoptError):
    status, code, title = 404, "not_found", "Not found"


class Conflict(WhichoptError):
    status, code, title = 409, "conflict", "Conflict"


class UnreadableRow(Conflict):
    code, title = "unreadable_row", "A stored row cannot be read"


class JobEnded(Conflict):
    code, title = "job_ended", "The job has ended"


class NotConcludable(Conflict):
    code, title = "not_concludable", "The job cannot be concluded yet"


class NotResumable(Conflict):
    code, title = "not_resumable", "The job cannot be resumed"


class NoRecommendation(Conflict):
    code, title = "no_recommendation", "There is no recommendation"

    @classmethod
    def of(cls, uid: str, state: JobState) -> NoRecommendation:
        """Return the error for a job that has none: not yet, or never."""
        never = "it will have no recommendation" if state.ended else "it has no recommendation yet"
        return cls(f"job {uid} is {state}: {never}", field="state", value=state.value)


class DatasetExists(Conflict):
    code, title = "dataset_exists", "There is another dataset of that name"


class DatasetInUse(Conflict):
    code, title = "dataset_in_use", "A job uses the dataset"


class DatasetNotReady(Conflict):
    code, title = "dataset_not_ready", "The dataset is not ready"


class KeyReused(Conflict):
    status, code, title = 422, "idempotency_key_reused", "The idempotency key was used for another body"


class ReportFailed(WhichoptError):
    code, title = "report_failed", "The report cannot be made"


class BodyTooLarge(WhichoptError):
    status, code, title = 413, "body_too_large", "The body is too large"


class DatasetTooLarge(BodyTooLarge):
    code, title = "dataset_too_large", "The dataset is too large"


class UnreadableDataset(WhichoptError):
    status, code, title = 422, "unreadable_dataset", "The file cannot be read as a table"


class AmbiguousTarget(UnreadableDataset):
    code, title = "ambiguous_target", "The column to predict is not clear"


class AmbiguousTask(UnreadableDataset):
    code, title = "ambiguous_task", "The task is not clear"


class FunctionFailed(WhichoptError):
    """An error of a person's own training function; the children are what a rehearsal or a trial finds.

    `label` is the optimizer with which it was seen, `log` the end of what the function printed, and `results`
    are those of its cohort that had ended, in the order of the plans.
    """

    status, code, title = 422, "function_failed", "The function failed"

    def __init__(
        self,
        detail: str,
        *,
        label: str | None = None,
        log: str = "",
        results: Sequence[Any] = (),
        **parts: Any,
    ) -> None:
        super().__init__(detail, **parts)
        self.label = label
        self.log = log
        self.results = list(results)


class FunctionMute(FunctionFailed):
    code, title = "function_mute", "The function never reports"


class FunctionTooLong(FunctionFailed):
    code, title = "function_too_long", "The function reports more epochs than it was given"


class NoStep(FunctionFailed):
    code, title = "no_step", "The function takes no step with the optimizer"


class SeedFixed(FunctionFailed):
    code, title = "seed_fixed", "The function starts alike for all seeds"


class NotRepeatable(FunctionFailed):
    code, title = "not_repeatable", "The function starts otherwise for the same seed"


class SettingOverridden(FunctionFailed):
    code, title = "setting_overridden", "The function overrides a setting that is searched"


class FunctionChanged(FunctionFailed):
    code, title = "function_changed", "The function is not the same everywhere"


class FunctionStuck(FunctionFailed):
    code, title = "function_stuck", "The function is stuck"


class NeedsClosure(FunctionFailed):
    code, title = "needs_closure", "The optimizer needs a closure"


class DistributedUnsupported(FunctionFailed):
    code, title = "distributed_unsupported", "The function trains in several processes"


class BudgetNeeded(FunctionFailed):
    code, title = "budget_needed", "A budget is needed"


class TestLacksMetric(FunctionFailed):
    __test__ = False  # its name is no test's
    code, title = "test_lacks_metric", "The function's test lacks the metric of the job"


class PluginFailed(WhichoptError):
    status, code, title = 422, "plugin_failed", "The plug-in cannot be used"


class PluginChanged(PluginFailed):
    code, title = "plugin_changed", "The plug-in is not the same everywhere"


class PluginMissing(PluginFailed):
    status, code, title = 409, "plugin_missing", "The plug-in is not there"


class Unavailable(WhichoptError):
    status, code, title = 503, "unavailable", "A part of the service cannot be reached"
    retry_after_s = 2


class StorageFull(Unavailable):
    code, title = "storage_full", "A disk of the service is full"


class StorageReadOnly(Unavailable):
    code, title = "storage_read_only", "A disk of the service is read-only"


class StorageBroken(Unavailable):
    code, title = "storage_failed", "A disk of the service has failed"


def kind_of(code: str) -> type[WhichoptError] | None:
    """Return the kind of error that has the code; None if there is none here."""
    kinds = [WhichoptError]
    for kind in kinds:
        if kind.code == code and kind.__module__ == __name__:
            return kind
        kinds += kind.__subclasses__()
    return None
