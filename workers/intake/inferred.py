"""The columns of a table, inferred by all cores."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from whichopt.service.uploads import Choices, Column, Kind
from whichopt.workers.intake.columns import Mask, Values, read, settled
from whichopt.workers.intake.described import Feature, feature, left_out, why_left_out
from whichopt.workers.intake.raw import Raw
from whichopt.workers.intake.target import check_guess
from whichopt.workers.intake.together import CORES


@dataclass(frozen=True)
class Inferred:
    """The columns of a file and what a person says about them; each is freed once it is read."""

    raw: Raw
    choices: Choices
    pool: ThreadPoolExecutor
    _begun: dict[str, Future[Values]] = field(default_factory=dict)

    def begin(self, names: Sequence[str]) -> None:
        """Begin to read the first of these columns, as nothing must be known for that."""
        for name in names[: 2 * CORES]:
            self._begun[name] = self.pool.submit(self._read, name)

    def check_guess(self, guessed: str, others: Sequence[str]) -> None:
        """Raise AmbiguousTarget if the guessed column is not fit to be predicted, but another one is."""
        everything = np.ones(self.raw.rows, dtype=bool)

        def as_feature(name: str) -> Values:
            if name not in self._begun:
                self._begun[name] = self.pool.submit(self._read, name)
            return settled(self._begun[name].result(), self._asked(name), self.raw.first_row, everything)

        check_guess(as_feature(guessed), map(as_feature, others))

    def whole(self, name: str) -> Values:
        """Return the values of a column that all rows decide on, as it is predicted or divides them."""
        return self._settled(name, None)

    def described(self, names: Sequence[str], outside: Mask) -> Iterator[Column | Feature]:
        """Yield what becomes of these columns; the rows outside the test part decide."""
        waiting = deque[Future[Column | Feature]]()
        for name in names:
            waiting.append(self.pool.submit(self._described, name, outside))
            if len(waiting) > CORES:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _described(self, name: str, outside: Mask) -> Column | Feature:
        values = self._settled(name, outside)
        if self.choices.columns.get(name) == "leave_out":
            return left_out(values, "as was asked")
        why = why_left_out(values, outside)
        return feature(values, outside) if why is None else left_out(values, why)

    def _settled(self, name: str, outside: Mask | None) -> Values:
        values = settled(self._values(name), self._asked(name), self.raw.first_row, outside)
        if values.way is not None:
            self.raw.ways[name] = values.way
        return values

    def _values(self, name: str) -> Values:
        return self._begun.pop(name).result() if name in self._begun else self._read(name)

    def _read(self, name: str) -> Values:
        used = self.choices.columns.get(name) != "leave_out"
        values = read(name, self.raw.columns.pop(name), self._asked(name), self.raw.first_row, used=used)
        if values.doubt is not None:
            self.raw.doubts[name] = values.doubt
        return values

    def _asked(self, name: str) -> Kind | None:
        asked = self.choices.columns.get(name)
        return None if asked is None or asked == "leave_out" else Kind(asked)
