"""How long does a table take from file to recommendation, and is the score that of scikit-learn's MLP?

    python -m benchmarks.own_data [--rows N] [--task classification|regression] [--json FILE]

A table of 14 columns of normal numbers, 3 of whole numbers, 2 of categories, some values missing, and a
target that follows from products and waves of them is written as CSV, sent to a service as `whichopt up`
starts it, and a job about it with a small MLP is waited for.

Beside it, scikit-learn's MLP of the same shape is trained by Adam with the same settings and passes, on rows
that pandas reads and scikit-learn's own transformers prepare: for each of the job's fresh seeds on the same
training rows, and scored on the same test rows. The job's default of Adam has the settings of scikit-learn,
so the two differ by the seeds alone: their difference is given in standard errors, from the spread over the
seeds. It is trained twice: as it is, and with its first params drawn as torch draws them, uniformly within
1 / sqrt(inputs) instead of sqrt(6 / (inputs + outputs)), as few passes do not forget where they began. What
the job recommends stands below.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.shared.service import running_service
from whichopt.service.client import Client
from whichopt.service.evidence.report.document import Report
from whichopt.service.evidence.verdict.recommend import shown
from whichopt.service.states import JobState, Phase
from whichopt.workers.workload.tasks import CRITERIA
from whichopt.workers.workload.uploads import load

METRICS = {"classification": "nll", "regression": "rmse"}
HIDDEN = 64
LR = 1e-3
"""The learning rate of Adam that scikit-learn has if none is given, and the catalog."""


@dataclass(frozen=True)
class Side:
    """Test scores over the seeds, and the seconds that they took."""

    values: list[float]
    seconds: float

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        return statistics.stdev(self.values)


def write(path: Path, rows: int, task: str) -> None:
    """Write the table."""
    import pandas as pd

    random = np.random.default_rng(0)
    numbers = {f"x{i}": random.normal(size=rows).round(4) for i in range(14)}
    whole = {f"k{i}": random.integers(0, 20, rows) for i in range(3)}
    words = {"c0": ["red", "green", "blue"], "c1": [f"v{i}" for i in range(12)]}
    codes = {name: random.integers(0, len(known), rows) for name, known in words.items()}
    x = list(numbers.values())
    score = x[0] * x[1] + np.sin(2 * x[2]) + np.abs(x[3]) - x[4] / 2 + (codes["c0"] == 1) * x[5]
    score += np.cos(whole["k0"] / 3) + codes["c1"] / 12 + random.normal(size=rows)
    gone = random.random(rows) < 0.02
    numbers["x6"] = np.where(gone, np.nan, numbers["x6"])
    named = {name: np.array(known)[codes[name]] for name, known in words.items()}
    named["c0"] = np.where(random.random(rows) < 0.02, "", named["c0"])
    classes = np.array(["low", "middle", "high"])[np.digitize(score, [0.5, 2.0])]
    target = classes if task == "classification" else score.round(4)
    pd.DataFrame({**numbers, **whole, **named, "y": target}).to_csv(path, index=False)


def job(task: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Return the job: one Adam at a constant learning rate, as scikit-learn has it, and AdaBelief."""
    return {
        "workload": {
            "dataset": {"name": "table"},
            "model": {"name": "mlp", "hidden": [HIDDEN]},
            "task": task,
        },
        "optimizers": ["adam", "adabelief"],
        "budget": {
            "trials": asked.trials,
            "replicates": 2,
            "epochs": asked.epochs,
            "confirm_seeds": asked.seeds,
        },
        "batch_size": asked.batch_size,
        "schedule": {"name": "constant"},
    }


def waited(client: Client, body: Mapping[str, Any]) -> tuple[Report, float, float]:
    """Return the report of the job, and the seconds to its end and for its recommendation."""
    started = time.perf_counter()
    sent = client.submit(body)
    ended = client.wait(sent.id)
    if ended.state is not JobState.SUCCEEDED:
        raise SystemExit(f"the job {ended.state}: {ended.error}")
    trained = time.perf_counter()
    client.recommendation(sent.id)
    recommended = time.perf_counter()
    return client.report(sent.id), trained - started, recommended - trained


def of_the_job(report: Report, label: str, config: Mapping[str, Any]) -> Side:
    """Return the scores of the runs of that config on the fresh seeds."""
    runs = [
        trial.result
        for trial in report.trials
        if trial.plan.phase is Phase.CONFIRM
        and trial.plan.label == label
        and shown(report.spec, label, trial.plan.config) == config
    ]
    found = [run for run in runs if run is not None and run.value is not None]
    return Side([run.value for run in found if run.value is not None], sum(run.seconds for run in found))


def as_torch(kind: type[Any]) -> type[Any]:
    """Return the class of an MLP with its first params drawn as torch draws them."""

    class AsTorch(kind):  # type: ignore[misc]
        def _init_coef(self, inputs: int, outputs: int, dtype: Any) -> tuple[Any, Any]:
            bound = 1 / math.sqrt(inputs)
            weights = self._random_state.uniform(-bound, bound, (inputs, outputs))
            return weights.astype(dtype), self._random_state.uniform(-bound, bound, outputs).astype(dtype)

    return AsTorch


def of_scikit_learn(report: Report, path: Path, blobs: Path, task: str, *, like_torch: bool) -> Side:
    """Return the scores of scikit-learn's MLP on the rows of each of the job's fresh seeds."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.metrics import log_loss, root_mean_squared_error
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table, spec = pd.read_csv(path), report.spec
    kept, y = load(spec.cataloged, blobs), table["y"].to_numpy()
    inputs = table.drop(columns="y")
    texts = [name for name in inputs if name.startswith("c")]
    numbers = [name for name in inputs if name not in texts]
    classifier, regressor = MLPClassifier, MLPRegressor
    if like_torch:
        classifier, regressor = as_torch(MLPClassifier), as_torch(MLPRegressor)
    values = []
    started = time.perf_counter()
    plans = {trial.plan.number: trial.plan for trial in report.trials if trial.plan.phase is Phase.CONFIRM}
    for number, plan in sorted(plans.items()):
        train, _, test = kept.parts(CRITERIA[task], spec.sizes, plan.seeds.split)
        prepare = make_column_transformer(
            (OneHotEncoder(sparse_output=False), texts),
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (MissingIndicator(), numbers),
        )
        x_train, x_test = prepare.fit_transform(inputs.iloc[train]), prepare.transform(inputs.iloc[test])
        settings = {
            "hidden_layer_sizes": (HIDDEN,),
            "batch_size": spec.batch_size,
            "max_iter": spec.budget.epochs,
            "learning_rate_init": LR,
            "alpha": 0.0,
            "random_state": number,
            "n_iter_no_change": spec.budget.epochs,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            if task == "classification":
                model = classifier(**settings).fit(x_train, y[train])
                values.append(log_loss(y[test], model.predict_proba(x_test), labels=model.classes_))
            else:
                mean, unit = y[train].mean(), y[train].std()
                model = regressor(**settings).fit(x_train, (y[train] - mean) / unit)
                values.append(root_mean_squared_error(y[test], model.predict(x_test) * unit + mean))
    return Side([float(value) for value in values], time.perf_counter() - started)


def apart(one: Side, other: Side) -> float:
    """Return the difference of the means in standard errors of the mean differences, seed by seed."""
    differences: npt.NDArray[np.float64] = np.array(one.values) - np.array(other.values)
    return float(differences.mean() / (differences.std(ddof=1) / math.sqrt(len(differences))))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--task", choices=METRICS, default="classification")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    with TemporaryDirectory() as name, running_service(Path(name, "data")) as client:
        path = Path(name, "table.csv")
        write(path, asked.rows, asked.task)
        started = time.perf_counter()
        client.add_dataset(path, "y")
        intake = time.perf_counter() - started
        report, trained, recommended = waited(client, job(asked.task, asked))
        default = of_the_job(
            report, "adam", shown(report.spec, "adam", report.spec.optimizer("adam").default)
        )
        told = report.recommendation
        row = next(one for one in told.ranking if one.optimizer == told.optimizer)
        recommendation = of_the_job(report, row.optimizer, row.config)
        size = path.stat().st_size
        blobs = Path(name, "data", "blobs")
        scikit, like_torch = (
            of_scikit_learn(report, path, blobs, asked.task, like_torch=like) for like in (False, True)
        )
    figures = {
        "rows": asked.rows,
        "task": asked.task,
        "bytes": size,
        "intake_s": intake,
        "job_s": trained,
        "recommendation_s": recommended,
        "trials": len(report.trials),
        "scikit_learn": asdict(scikit),
        "scikit_learn_drawn_as_torch": asdict(like_torch),
        "default": asdict(default),
        "recommended": asdict(recommendation),
    }
    sides = {
        "scikit-learn's MLP": scikit,
        "drawn as torch does": like_torch,
        "the same settings here": default,
        f"recommended: {told.optimizer}": recommendation,
    }
    _show(figures, sides)
    if asked.json is not None:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


def _show(figures: Mapping[str, Any], sides: Mapping[str, Side]) -> None:
    """Print the steps, and each side's scores with how far they are from those of the one before last."""
    console = Console()
    console.print(f"{figures['rows']:,} rows by 20 columns, {figures['bytes']:,} bytes, {figures['task']}")
    times = Table("step", "seconds")
    times.add_row("file sent, read, kept", f"{figures['intake_s']:.1f}")
    times.add_row(f"job of {figures['trials']} trials", f"{figures['job_s']:.1f}")
    times.add_row("recommendation", f"{figures['recommendation_s']:.2f}")
    console.print(times)
    scikit, like_torch = list(sides.values())[:2]
    scores = Table(
        "trained by", f"test {METRICS[figures['task']]}", "deviation", "from it", "from it as torch"
    )
    for name, side in sides.items():
        far = ("" if side is other else f"{apart(side, other):+.1f}" for other in (scikit, like_torch))
        scores.add_row(name, f"{side.mean:.5f}", f"{side.deviation:.5f}", *far)
    console.print(scores)
    console.print(f"over {len(scikit.values)} seeds; differences in standard errors of their mean")


if __name__ == "__main__":
    main()
