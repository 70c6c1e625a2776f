"""Checks the executors that a job asks for against what its labels can be trained by."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from whichopt.service.catalog.built_in import Catalog
from whichopt.service.errors import InvalidSpec
from whichopt.service.spec.resolved import ResolvedSpec


def only_solo(spec: ResolvedSpec, catalog: Catalog) -> dict[str, str]:
    """Return the labels that can only be trained solo, each with the reason in words."""
    named = spec.cataloged.model
    model = catalog.model(named.name)
    reason = model.only_solo(model.options(**named.options))
    if reason is not None:
        why = f"the model {model.name!r} can only be trained solo: {reason}"
        return dict.fromkeys(spec.trained_labels, why)
    return {
        chosen.label: f"the optimizer {chosen.name!r} can only be trained solo"
        for chosen in map(spec.optimizer, spec.trained_labels)
        if not catalog.optimizer(chosen.name).stackable
    }


def check_executors(spec: ResolvedSpec, catalog: Catalog) -> None:
    """Check `executor` and `executors` of a spec.

    A label that cannot be stacked is refused, and not quietly trained solo: who asks for an executor by name
    relies on its bits, and learns here, before anything is trained, that they cannot be had.

    Raises:
        InvalidSpec: they contradict each other or the labels, or ask for a stack of what cannot be stacked.
    """
    given = spec.executors
    if given is not None:
        if sorted(given) != sorted(spec.trained_labels):
            raise _wrong_labels(given, spec.trained_labels)
        if spec.executor != "auto" and set(given.values()) != {spec.executor}:
            raise InvalidSpec(
                f"executors contradicts executor {spec.executor!r}; leave one of the two out",
                field="executors",
                value=given,
                allowed=dict.fromkeys(spec.trained_labels, spec.executor),
            )
    fixed = spec.workload.fixed_executor
    amiss = None if given is None else _of_another_kind(given, fixed)
    if given is not None and amiss is not None:
        raise InvalidSpec(
            f"{amiss!r} cannot be trained by {given[amiss]!r}: the workload is {spec.workload.sentence}; "
            "leave executors out, and the service chooses",
            field=f"executors.{amiss}",
            value=given[amiss],
            allowed=["solo", "stacked"] if fixed is None else [fixed],
        )
    if fixed is not None:
        return
    for label, reason in only_solo(spec, catalog).items():
        if (spec.executor if given is None else given[label]) == "stacked":
            raise InvalidSpec(
                f"{label!r} cannot be stacked: {reason}. With executor 'auto' "
                "it is, beside the labels that can be stacked",
                field="executor" if given is None else f"executors.{label}",
                value="stacked",
                allowed=["auto", "solo"] if given is None else ["solo"],
            )


def _of_another_kind(given: Mapping[str, str], fixed: str | None) -> str | None:
    """Return the first label with an executor that is for another kind of workload."""
    return next((label for label, name in given.items() if (name == "guest") != (fixed == "guest")), None)


def _wrong_labels(given: Mapping[str, str], labels: Sequence[str]) -> InvalidSpec:
    """Return the error for executors of other labels than the job's: which are amiss, and what to do."""
    lacking = [label for label in labels if label not in given]
    amiss, nearest = [], None
    for name in (name for name in given if name not in labels):
        near = next(iter(difflib.get_close_matches(name, lacking, n=1)), None)
        if near is not None:
            lacking.remove(near)  # one mistake, which is told once
            nearest = nearest or near
        guess = "" if near is None else f" (did you mean {near!r}?)"
        amiss.append(f"executors has {name!r}, which is no label of the job{guess}")
    if lacking:
        amiss.append(f"executors lacks {', '.join(map(repr, lacking))}")
    return InvalidSpec(
        f"{'; '.join(amiss)}; leave executors out, and the service chooses",
        field="executors",
        value=dict(given),
        allowed=list(labels),
        nearest=nearest,
    )
