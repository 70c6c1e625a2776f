"""The runs of a report that can be trained again: which they are, on what data, and whether they agree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from whichopt.service.errors import InvalidReport, UnknownName
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.statistics.estimates import mean_estimate
from whichopt.service.evidence.verdict.recommend import shown
from whichopt.service.records import RecordedTrial
from whichopt.service.settings import Settings
from whichopt.service.spec.origins import origins
from whichopt.service.spec.recorded import unlike_the_catalog
from whichopt.service.states import Phase
from whichopt.service.trials import TrialResult
from whichopt.workers import workload
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.own_file import blobs_of
from whichopt.workers.plugins.found import check

TOLERANCE = 0.1
"""In standard deviations between the reported seeds."""

Agreement = Literal["same bits", "within tolerance", "differs"]


def confirmed(report: Report, label: str | None = None) -> list[RecordedTrial]:
    """Return the confirm runs of what is recommended, by seed; with a label, those of its best finalist.

    Raises:
        InvalidReport: there are none, or this version lacks the executor that trained them.
        UnknownName: no finalist has that label.
    """
    recommendation = report.recommendation
    wanted, config = recommendation.optimizer, recommendation.config
    if label is not None:
        row = next((one for one in recommendation.ranking if one.optimizer == label), None)
        if row is None:
            raise UnknownName.of(
                "config", label, [one.optimizer for one in recommendation.ranking], field="config"
            )
        wanted, config = row.optimizer, row.config
    if config is None or wanted is None:
        raise InvalidReport(
            "the report recommends nothing, as every finalist diverged: there is no config to train again",
            field="recommendation.config",
        )
    runs = [
        trial
        for trial in report.trials
        if trial.plan.phase is Phase.CONFIRM
        and trial.plan.label == wanted
        and trial.result is not None
        and shown(report.spec, trial.plan.label, trial.plan.config) == config
    ]
    if not runs:
        whose = f"what it recommends ({wanted})" if label is None else wanted
        raise InvalidReport(
            f"the report has no confirm runs of {whose}; see whichopt verify",
            field="recommendation.config",
        )
    if report.spec.guest is None:
        known_executor(report, wanted)
    return sorted(runs, key=lambda trial: trial.plan.number)


def facts_otherwise(report: Report, optimizer: str) -> list[str]:
    """Return the names of the optimizer's facts that this version has otherwise.

    Raises:
        InvalidReport: this version would train something else, or nothing.
    """
    unlike = unlike_the_catalog(report.spec)
    own = {name for kind, name, _ in origins(report.spec) if kind == "optimizer"}
    if optimizer not in unlike or optimizer in own:  # what a plug-in is here, its source tells
        return []
    names = unlike[optimizer]
    if names and "build" not in names:
        return names
    why = "which this version makes in another way" if names else "which this version does not have"
    raise InvalidReport(
        f"the runs are of {optimizer!r}, {why}, so they cannot be repeated here; "
        "use the version of whichopt that trained them",
        field="spec.optimizers",
        value=optimizer,
    )


def executor_of(report: Report, label: str) -> str:
    """Return the executor that trained the label; up to 0.1 a job had one for all."""
    executors = report.spec.executors
    return executors[label] if executors else report.job.executor


def known_executor(report: Report, label: str) -> str:
    """Return the executor that trained the label.

    Raises:
        InvalidReport: this version lacks it, or the report names none for that label.
    """
    executors = report.spec.executors
    if executors and label not in executors:
        raise InvalidReport(
            f"the spec names no executor for the label {label!r}, so its runs cannot be repeated",
            field="spec.executors",
            value=label,
            allowed=list(executors),
        )
    executor = executor_of(report, label)
    if executor not in EXECUTORS:
        raise InvalidReport(
            f"the runs to repeat were trained by {executor!r}, which this version does not have",
            field="job.executor",
            value=executor,
            allowed=list(EXECUTORS),
        )
    return executor


@contextmanager
def built_again(
    report: Report, device: str, data: Path | None
) -> Iterator[tuple[workload.Workload, workload.Loaded]]:
    """Yield the report's workload and its data as loaded: those in the file, or else in the folder of blobs.

    Raises:
        InvalidReport: a person's own data are in neither.
        UnreadableDataset: the file cannot be read, or holds other data.
        UnknownName: this version lacks the dataset, the task or the model.
        PluginFailed: a plug-in is not installed here, or is another one than the report's.
    """
    wanted = report.spec.cataloged
    check(report.spec)
    settings = Settings()
    root = settings.data_root if data is None else data.parent
    with blobs_of(wanted, data, settings) as blobs:
        try:
            built = workload.build(wanted, device=device, blobs=blobs, root=root)
            loaded = workload.table_of(wanted, blobs=blobs, root=root)
        except workload.DatasetGone as error:
            if wanted.upload is None:
                raise InvalidReport(str(error), field="spec.workload.dataset") from error
            sent = wanted.upload.file
            raise InvalidReport(
                f"the report was trained on {wanted.dataset.name!r}, a person's own data, which are not at "
                f"hand: say where the file is by --data ({sent.name or 'a file'}, SHA-256 {sent.sha256}, "
                f"content {wanted.content})",
                field="spec.workload.dataset",
                value=wanted.dataset.name,
            ) from error
        yield built, loaded


def tolerance_of(values: Sequence[float]) -> float | None:
    """Return the most that a run may differ from its reported value; None if there is one value."""
    return None if len(values) < 2 else TOLERANCE * spread(values)


def spread(values: Sequence[float]) -> float:
    """The standard deviation."""
    return mean_estimate(values).error * math.sqrt(len(values))


def agreement(before: TrialResult, after: TrialResult, tolerance: float | None) -> Agreement:
    """Seconds aside, all that a run gave must be the same for the bits to be.

    Earlier versions kept no values by example: then there is nothing to hold these against.
    """
    if before.by_example is None:
        after = after.with_examples(None)
    if before.model_copy(update={"seconds": 0.0}) == after.model_copy(update={"seconds": 0.0}):
        return "same bits"
    if before.value is None or after.value is None or tolerance is None:
        return "differs"
    return "within tolerance" if abs(before.value - after.value) <= tolerance else "differs"
