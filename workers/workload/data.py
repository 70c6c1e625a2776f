"""The datasets: one loader for each entry of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from whichopt.service.catalog.datasets import DatasetOptions, Friedman1Options
from whichopt.service.catalog.label_noise import LabelNoiseOptions
from whichopt.service.catalog.yardsticks import Friedman2Options, Friedman3Options, NoisyDigitsOptions
from whichopt.workers.workload.quadratic import points
from whichopt.workers.workload.table import Loaded, Table
from whichopt.workers.workload.texts import unicode_names

FRIEDMAN_SEED, DIGITS_SEED = 0, 0
"""Seeds of what is generated, and of the noise on digits."""


def _scikit(name: str) -> Callable[[DatasetOptions], Table]:
    """A loader that scikit-learn ships, which is imported on first use: that takes over a second."""

    def load(_: DatasetOptions) -> Table:
        from sklearn import datasets

        return Table(*getattr(datasets, name)(return_X_y=True))

    return load


def _scikit_file(name: str, file: str, *, header: int) -> Callable[[DatasetOptions], Table]:
    """A loader of a table that scikit-learn ships as a file, bit for bit as its loader `name` reads it.

    The file is read without importing scikit-learn, as a first job would wait for that. `header` is the
    number of lines before the table, whose last column are the labels.
    """

    def load(options: DatasetOptions) -> Table:
        package = find_spec("sklearn")
        places = [] if package is None else package.submodule_search_locations or []
        path = next((at for place in places if (at := Path(place, "datasets", "data", file)).exists()), None)
        if path is None:  # another version may keep it elsewhere
            return _scikit(name)(options)
        rows = np.loadtxt(path, delimiter=",", skiprows=header)
        features = np.ascontiguousarray(rows[:, :-1]) if header else rows[:, :-1]
        return Table(features, rows[:, -1].astype(np.int64))

    return load


def _friedman1(options: DatasetOptions) -> Table:
    from sklearn.datasets import make_friedman1

    assert isinstance(options, Friedman1Options)
    return Table(
        *make_friedman1(options.examples, options.features, noise=options.noise, random_state=FRIEDMAN_SEED)
    )


def _friedman(name: str) -> Callable[[DatasetOptions], Table]:
    """A loader of the data that scikit-learn generates by `name`."""

    def load(options: DatasetOptions) -> Table:
        from sklearn import datasets

        assert isinstance(options, Friedman2Options | Friedman3Options)
        return Table(
            *getattr(datasets, name)(options.examples, noise=options.noise, random_state=FRIEDMAN_SEED)
        )

    return load


def _mnist1d(options: DatasetOptions) -> Table:
    from whichopt.workers.workload.mnist1d import mnist1d  # scipy's filters are imported on first use

    return mnist1d(options)


def _noisy_digits(options: DatasetOptions) -> Table:
    assert isinstance(options, NoisyDigitsOptions)
    clean = TABLES["digits"](LabelNoiseOptions()).features
    noise = np.random.default_rng(DIGITS_SEED).normal(0.0, options.noise, clean.shape)
    return Table(clean + noise, clean)


TABLES: Mapping[str, Callable[[DatasetOptions], Table]] = {
    "digits": _scikit_file("load_digits", "digits.csv.gz", header=0),
    "breast_cancer": _scikit_file("load_breast_cancer", "breast_cancer.csv", header=1),
    "wine": _scikit_file("load_wine", "wine_data.csv", header=1),
    "diabetes": _scikit("load_diabetes"),
    "friedman1": _friedman1,
    "friedman2": _friedman("make_friedman2"),
    "friedman3": _friedman("make_friedman3"),
    "mnist1d": _mnist1d,
    "noisy_digits": _noisy_digits,
}

LOADERS: Mapping[str, Callable[[DatasetOptions], Loaded]] = {
    **TABLES,
    "unicode_names": unicode_names,
    "quadratic_deep": points,
}
