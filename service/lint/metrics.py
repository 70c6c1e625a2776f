"""Rules on the metric that a job is judged by."""

from __future__ import annotations

from collections.abc import Iterator

from whichopt.service.catalog import tasks
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import LintFinding

ONE_CLASS = 0.95
"""From this share of one class on, a model that always answers it is hard to beat in accuracy."""


def metric_rules(spec: ResolvedSpec) -> Iterator[LintFinding]:
    yield from _accuracy_of_one_class(spec)
    yield from _percent_of_no_ratio(spec)


def _accuracy_of_one_class(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """Find accuracy as the metric of data that are nearly all of one class."""
    upload = spec.workload.upload
    if spec.goal.metric != "accuracy" or upload is None or not upload.classes or not upload.class_rows:
        return
    most = max(upload.class_rows)
    share = most / sum(upload.class_rows)
    if share >= ONE_CLASS:
        name = upload.classes[upload.class_rows.index(most)]
        yield LintFinding(
            code="accuracy_of_one_class",
            severity="warning",
            field="workload.metric",
            what=f"{share:.1%} of the rows are of the class {name!r}, and the metric is accuracy",
            why=f"a model that always answers {name!r} scores {share:.3f}, so accuracy says little about the "
            "other classes",
            instead="judge by nll, balanced_accuracy or average_precision",
        )


def _percent_of_no_ratio(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """Find a margin in percent of a metric that has no zero to measure from."""
    if spec.guest is not None:
        return  # nobody here knows what its metric is
    metric = tasks.metric(spec.cataloged.task, spec.goal.metric)
    if metric is None or metric.ratio or spec.margin is None or spec.margin.percent is None:
        return
    yield LintFinding(
        code="percent_of_no_ratio",
        severity="warning",
        field="margin.percent",
        what=f"the margin is {spec.margin} of {metric.name}",
        why=f"{metric.name} may be 0 or negative, so a percentage of it may be next to nothing",
        instead="give the margin as {'absolute': x}",
    )
