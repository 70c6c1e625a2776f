"""A job's trials as flat rows, for spreadsheets and data frames: `config.lr`, `metrics.test.nll`.

Hyperparameters are named as the space names them: `config.beta1`, where torch packs `betas`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from whichopt.service.configs import Packed
from whichopt.service.spec import ResolvedSpec
from whichopt.service.views import TrialView, Unreadable

ABOUT = ("id", "optimizer", "phase", "origin", "replicate", "number", "state", "value")
USED = ("steps", "examples", "seconds")
PROBLEM = "problem"
"""The column that says why a trial's row could not be read; empty for all others."""

SPLITS = ("train", "validation", "test")

Cell = str | int | float | bool | None


class TrialRows:
    """The flat rows of one job's trials."""

    def __init__(self, spec: ResolvedSpec) -> None:
        chosen = [spec.optimizer(label) for label in spec.trained_labels]
        self._packed: dict[str, Packed] = {one.label: one.facts.packed for one in chosen}
        self._config = list(dict.fromkeys(name for one in chosen for name in one.space))
        self._metrics = list(spec.goal.metrics)

    def columns(self, others: Iterable[str] = ()) -> list[str]:
        """Return the names of all columns; `others` are further ones, of metrics that the goal lacks."""
        metrics = [f"metrics.{split}.{metric}" for split in SPLITS for metric in self._metrics]
        config = [f"config.{name}" for name in self._config]
        return [*dict.fromkeys([*ABOUT, *config, *metrics, *others, *USED, PROBLEM])]

    def row(self, trial: TrialView | Unreadable) -> dict[str, Any]:
        """Return the row of a trial; one that cannot be read has its id and its problem alone."""
        if isinstance(trial, Unreadable):
            return {"id": trial.id, PROBLEM: trial.problem}
        told = trial.model_dump(mode="json", include={*ABOUT, *USED})
        return {
            **{name: told[name] for name in ABOUT},
            **{f"config.{name}": value for name, value in self._flat(trial).items()},
            **{
                f"metrics.{split}.{metric}": value
                for split, values in trial.metrics.items()
                for metric, value in values.items()
            },
            **{name: told[name] for name in USED},
        }

    def _flat(self, trial: TrialView) -> dict[str, Any]:
        config = dict(trial.config)
        for argument, scalars in self._packed[trial.optimizer].items():
            config |= dict(zip(scalars, config.pop(argument), strict=True))
        return config


def csv_text(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a CSV file, its header first."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(columns)
    for row in rows:
        write([_cell(row.get(name)) for name in columns])
        if text.tell() > 1 << 15:
            yield _taken(text)
    yield _taken(text)


def json_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield an object for each row, on a line of its own."""
    for row in rows:
        yield json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n"


def _cell(value: Cell) -> Cell:
    return str(value).lower() if isinstance(value, bool) else value


def _taken(text: io.StringIO) -> str:
    taken = text.getvalue()
    text.seek(0)
    text.truncate()
    return taken
