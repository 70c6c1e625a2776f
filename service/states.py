"""The words for where a thing stands."""

from enum import StrEnum


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


class CohortState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class TrialState(StrEnum):
    """`diverged` is a result (non-finite loss: no value, ranked last); `failed` is our fault."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_result(self) -> bool:
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED)


class Phase(StrEnum):
    """`search` finds configs; `confirm` retrains finalists and defaults on fresh seeds."""

    SEARCH = "search"
    CONFIRM = "confirm"


class Origin(StrEnum):
    """The source of a config."""

    DEFAULT = "default"
    RANDOM = "random"
    TPE = "tpe"
    USER = "user"


class Direction(StrEnum):
    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"

    @property
    def sign(self) -> float:
        """The factor that makes less of a value better."""
        return 1.0 if self is Direction.MINIMIZE else -1.0

    @property
    def better(self) -> str:
        """Say which values are better."""
        return "lower" if self is Direction.MINIMIZE else "higher"


class Agreement(StrEnum):
    """The agreement of results whatever trains beside them: to the last bit, or closely."""

    BITS = "bits"
    CLOSE = "close"


class DatasetState(StrEnum):
    """`preview` is a dataset that was read on trial: it goes after some time unless it is made real."""

    READING = "reading"
    READY = "ready"
    FAILED = "failed"
    PREVIEW = "preview"
