"""Rules on a person's own data: what the reader of the file has remarked, as far as it matters to the job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from whichopt.service.spec import ResolvedSpec
from whichopt.service.uploads import Remark
from whichopt.service.views import LintFinding

SEVERITIES: Mapping[str, Literal["warning", "note"]] = {
    "duplicate_rows": "warning",
    "target_in_disguise": "warning",
    "few_rows_of_class": "warning",
    "nearly_one_class": "warning",
    "mostly_numbers": "warning",
    "rare_characters": "note",
    "left_out": "note",
}
"""How bad each remark of the reader is (`whichopt.workers.intake.remarks`)."""

NAMED = 3
"""Most remarks with one code that a finding spells out; a table may have dozens."""

BY_CLASS = ("balanced_accuracy", "macro_f1", "average_precision", "roc_auc")
"""Metrics in which a rare class counts as much as a frequent one."""


def data_rules(spec: ResolvedSpec) -> Iterator[LintFinding]:
    """Find what the data of the job show, with one finding for each code."""
    upload = spec.workload.upload
    by_code: dict[str, list[Remark]] = {}
    for remark in () if upload is None else upload.remarks:
        by_code.setdefault(remark.code, []).append(remark)
    for code, remarks in by_code.items():
        finding = ADAPTED.get(code, _as_remarked)(spec, remarks)
        if finding is not None:
            yield finding


def _as_remarked(spec: ResolvedSpec, remarks: Sequence[Remark]) -> LintFinding:
    del spec
    first, more = remarks[0], len(remarks) - NAMED
    what = "; ".join(remark.what for remark in remarks[:NAMED])
    return LintFinding(
        code=first.code,
        severity=SEVERITIES.get(first.code, "note"),
        field="workload.dataset",
        what=f"{what}; and {more} more" if more > 0 else what,
        why=first.why,
        instead=first.instead,
    )


def _nearly_one_class(spec: ResolvedSpec, remarks: Sequence[Remark]) -> LintFinding | None:
    """Blame accuracy if the job is judged by it; otherwise say what the rare classes count."""
    metric = spec.goal.metric
    finding = _as_remarked(spec, remarks)
    if metric == "accuracy":
        return finding.model_copy(update={"field": "workload.metric"})
    if metric in BY_CLASS and spec.cataloged.class_weight is not None:
        return None
    beside = "the accuracy that stands beside it" if "accuracy" in spec.goal.metrics else "accuracy"
    rare = (
        f"{metric} counts each class alike, but training hardly sees the rare ones"
        if metric in BY_CLASS
        else f"the rare classes hardly count in {metric}"
    )
    return finding.model_copy(
        update={
            "severity": "note",
            "why": f"{rare}, and {beside} says little: always answering that class scores nearly as much",
            "instead": "give the rare classes their weight in training by the task's class_weight=balanced, "
            "and look at balanced_accuracy and average_precision",
        }
    )


ADAPTED: Mapping[str, Callable[[ResolvedSpec, Sequence[Remark]], LintFinding | None]] = {
    "nearly_one_class": _nearly_one_class
}
"""The remarks whose meaning depends on the job."""
