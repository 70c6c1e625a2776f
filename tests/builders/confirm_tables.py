"""Tables of confirm results, made up directly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from whichopt.service.catalog.optimizers import OPTIMIZERS, optimizer
from whichopt.service.evidence.verdict.confirm_table import ConfirmTable, Ties
from whichopt.service.planning.finalists import Finalist
from whichopt.service.states import Origin


def confirm_table_of(
    rows: Mapping[str, Sequence[Sequence[float]]], *, diverged: Mapping[str, int] | None = None
) -> ConfirmTable:
    """By label, the rows of its studies' choices, and last that of its default; `diverged` counts runs of the
    first of them."""
    counts = diverged or {}
    arms, values, broken = [], [], []
    for label, own in rows.items():
        for study, row in enumerate(own):
            is_default = study == len(own) - 1
            arms.append(
                Finalist(
                    label=label,
                    optimizer=label.split("-")[0],
                    config={"lr": float(study)},
                    replicates=() if is_default else (study,),
                    is_default=is_default,
                    origin=Origin.DEFAULT if is_default else Origin.TPE,
                    searched_value=None,
                )
            )
            values.append(tuple(row))
            broken.append(counts.get(label, 0) if study == 0 else 0)
    return ConfirmTable(
        arms=tuple(arms),
        seeds=tuple(range(len(values[0]))),
        values=tuple(values),
        validation=(None,) * len(arms),
        diverged=tuple(broken),
        sign=1.0,
        ties={label: _ties(label.split("-")[0]) for label in rows},
    )


def _ties(name: str) -> Ties:
    names = [entry.name for entry in OPTIMIZERS]
    return Ties(optimizer(name).state_bytes, names.index(name)) if name in names else Ties(0, len(names))
