"""The rule on the metric that a job is judged by."""

from __future__ import annotations

from collections.abc import Iterator

from whichopt.service.catalog import tasks
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import LintFinding


def metric_rules(spec: ResolvedSpec) -> Iterator[LintFinding]:
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
