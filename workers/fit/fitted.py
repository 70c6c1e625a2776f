"""Trains a config of a report on the job's data, compares its score with the report's, saves the network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import save
from torch import Tensor

from whichopt.service.catalog.modules import Module
from whichopt.service.evidence.report.document import Report
from whichopt.service.records import RecordedTrial
from whichopt.service.seeds import trial_seeds
from whichopt.service.spec import ResolvedWorkload
from whichopt.service.spec.entries import with_recorded
from whichopt.service.states import Direction, Phase
from whichopt.service.trials import Point, TrialPlan, TrialResult
from whichopt.service.versions import program
from whichopt.workers.engine import Trained, numerics
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.fit import folder as folders
from whichopt.workers.fit.image_preparation import ImageData, ImagePreparation
from whichopt.workers.fit.preparation import Data, NotRows, Preparation, require_rows
from whichopt.workers.reported import (
    Agreement,
    agreement,
    built_again,
    confirmed,
    executor_of,
    facts_otherwise,
    tolerance_of,
)
from whichopt.workers.trained_in import training_environment
from whichopt.workers.workload import Loaded, Splits, weighted
from whichopt.workers.workload.images import Images

Told = Callable[[int, int, float | None], object]
"""Is told the examples seen, how many there are in all, and the metric that selects on validation so far."""


class CannotFit(Exception):
    """Why no network was saved, in words."""


class Fitted(BaseModel):
    """A network that was trained and saved, and whether its score is the one that the report has."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    job_id: str
    optimizer: str = Field(description="Label of the config.")
    config: dict[str, Any] = Field(description="Hyperparameters, as torch takes them.")
    rows: Literal["train", "all"]
    examples: int = Field(description="Number of rows that the network was trained on.")
    of_images: bool = Field(default=False, description="Whether the rows are images.")
    steps: int
    seed: int = Field(description="Number of the fresh seeds, from 0, as in the report.")
    executor: str
    metric: str
    direction: Direction
    scores: dict[str, dict[str, float]] = Field(description="Metrics by split.")
    test: float | None = Field(description="Test score; null if all rows were trained on.")
    reported: float | None = Field(description="Test score that the report has for these seeds, if any.")
    agreement: Agreement | None = Field(description="Whether the two agree; null if there are no two.")
    tolerance: float | None = Field(description="Most that they may differ.")
    statement: str
    unlike: list[str] = Field(description="Differences of this machine from the one that trained the report.")
    other_facts: list[str] = Field(
        description="Facts about the optimizer that this version's catalog has otherwise than the report."
    )


def fit(
    report: Report,
    folder: Path,
    *,
    data: Path | None = None,
    config: str | None = None,
    seed: int | None = None,
    rows: Literal["train", "all"] = "train",
    force: bool = False,
    progress: Told | None = None,
) -> Fitted:
    """Train a config of a report on the job's data, and save the network.

    On the rows and seeds of a confirm run, the test score is the report's: to the bit on a like machine, and
    within a tenth of the standard deviation between seeds on another. On all rows there is no test score, as
    no row is left that the network has not seen; the steps are as many, by the same schedule.

    The folder gets `model.safetensors`, `preparation.json`, `config.json` and `predict.py`, which predicts
    the rows of a file with torch and numpy alone, or with Pillow besides the images of a folder: all of them,
    or none.

    Args:
        report: the report of a job, as `read_report` or `Client.report` returns it.
        folder: the folder to save in; it must be new or empty.
        data: the file that was sent, if the job was about a person's own data. Without it they are looked for
            in the folder of blobs.
        config: the label of another finalist than the recommended one.
        seed: the number of the fresh seeds; by default the first that the report has a score for. A number
            that the report does not have draws new ones.
        rows: `train` for those of a confirm run, `all` for a network that is to be deployed.
        force: True to replace a fitted network in the folder.
        progress: is told how far the training is.

    Returns:
        What was trained, its scores, and whether they agree with the report.

    Raises:
        CannotFit: the folder has something else in it, the training diverged, or the task predicts nothing of
            a row or an image.
        InvalidReport: the report has no runs of the config, the data are not at hand, or this version lacks
            the optimizer.
        UnknownName: no finalist has that label, or this version lacks the dataset or the model.
        UnreadableDataset: the file cannot be read, or holds other data.
        OSError: the folder cannot be written.

    Example:
        >>> from pathlib import Path
        >>> from whichopt import read_report
        >>> from whichopt.workers.fit import fit
        >>> fitted = fit(read_report(Path("report.json")), Path("network"))
        >>> fitted.agreement in ("same bits", "within tolerance")
        True
    """
    _check_free(folder, force=force)
    trials = confirmed(report, config)
    label, spec = trials[0].plan.label, report.spec
    _check_rows(spec.cataloged)  # before a file is asked for that would help nobody
    other_facts = facts_otherwise(report, trials[0].plan.optimizer)
    device = "cuda" if report.job.queue == "cuda" and torch.cuda.is_available() else "cpu"
    plan, reported = _plan(report, trials, seed)
    executor = EXECUTORS[executor_of(report, label)]()
    with _as_workers_train(), built_again(report, device, data) as (built, loaded):
        source = _source(spec.cataloged, loaded)
        training = source.training(plan.seeds.split) if rows == "train" else source.all()
        preparation = source.preparation(training)
        asked = plan
        if rows == "all":
            examples = source.examples(training, built.device)
            whole = weighted(Splits(examples, examples, examples), spec.cataloged)
            built = replace(built, splits=lambda _: whole)
            asked = plan.model_copy(update={"phase": Phase.SEARCH})  # which scores no test split
        trained = executor.train(built, asked, _Watch(plan.length, progress))
        here = training_environment(device)
    if trained.result.value is None:
        raise CannotFit(
            f"the training of {label} diverged with seed {plan.number}, so there is nothing to save; give "
            "another --seed, or another --config"
        )
    values = [one.result.value for one in trials if one.result and one.result.value is not None]
    test = trained.result.value if rows == "train" else None
    agrees = (
        None
        if test is None or reported is None
        else agreement(reported, trained.result, tolerance_of(values))
    )
    fitted = Fitted(
        folder=folder,
        job_id=report.job.id,
        optimizer=label,
        config=spec.shown(label, plan.config),
        rows=rows,
        examples=len(training),
        of_images=isinstance(source, ImageData),
        steps=trained.result.steps,
        seed=plan.number,
        executor=executor_of(report, label),
        metric=spec.goal.metric,
        direction=spec.goal.direction,
        scores=_scores(trained.result, rows),
        test=test,
        reported=None if reported is None else reported.value,
        agreement=agrees,
        tolerance=tolerance_of(values),
        statement="",
        unlike=_unlike(report, trials, here),
        other_facts=other_facts,
    )
    fitted = fitted.model_copy(update={"statement": _statement(fitted)})
    network, tensors = _network(spec.cataloged, trained)
    told = {
        **fitted.model_dump(mode="json", exclude={"folder"}),
        "whichopt": program(),
        "job_name": report.job.name,
        "workload": spec.workload.model_dump(mode="json"),
        "training": plan.training.model_dump(mode="json"),
        "length": plan.length,
        "seeds": plan.seeds.model_dump(mode="json"),
        "network": network,
        "environment": here.model_dump(mode="json"),
    }
    _write(folder, tensors, preparation, told, force=force)
    return fitted


def _check_rows(spec: ResolvedWorkload) -> None:
    try:
        require_rows(spec)
    except NotRows as error:
        raise CannotFit(f"there is nothing to save a program for that predicts: {error}") from None


def _source(spec: ResolvedWorkload, loaded: Loaded) -> Data | ImageData:
    """Return the data as what prepares them for a saved network."""
    try:
        return ImageData(spec, loaded) if isinstance(loaded, Images) else Data(spec, loaded)
    except NotRows as error:
        raise CannotFit(f"there is nothing to save a program for that predicts: {error}") from None


@contextmanager
def _as_workers_train() -> Iterator[None]:
    """Train as workers do in the block: another number of threads cuts sums at other places."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    numerics.repeat_to_the_bit()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _plan(
    report: Report, trials: Sequence[RecordedTrial], seed: int | None
) -> tuple[TrialPlan, TrialResult | None]:
    """Return the plan of the run with the seeds of that number, and its result if the report has one."""
    by_number = {trial.plan.number: trial for trial in trials}
    if seed is None:
        scored = [trial for trial in trials if trial.result is not None and trial.result.value is not None]
        seed = (scored or trials)[0].plan.number
    if seed in by_number:
        return by_number[seed].plan, by_number[seed].result
    seeds = trial_seeds(report.spec.seed, Phase.CONFIRM, seed)
    return trials[0].plan.model_copy(update={"number": seed, "seeds": seeds}), None


class _Watch:
    """Tells somebody how far the training is."""

    def __init__(self, length: int, progress: Told | None) -> None:
        self.length = length
        self.told = progress

    def cancelled(self) -> bool:
        return False

    def progress(self, position: int, examples: int, curve: Sequence[Point]) -> None:  # noqa: ARG002
        if self.told is not None:
            self.told(examples, self.length, curve[-1].value if curve else None)

    def checkpoint(self, state: Callable[[], dict[str, Any]]) -> None:
        """Is not kept."""


def _scores(result: TrialResult, rows: str) -> dict[str, dict[str, float]]:
    """Return the metrics by split; of all rows, those on the rows that were trained on."""
    scores = {split: dict(values) for split, values in result.metrics.items()}
    return scores if rows == "train" else {"train": scores["train"]}


def _unlike(report: Report, trials: Sequence[RecordedTrial], here: Any) -> list[str]:
    places = {trial.environment for trial in trials if trial.environment is not None}
    found = [one for place in sorted(places) for one in report.environments[place].unlike(here)]
    return list(dict.fromkeys(found))


def _statement(fitted: Fitted) -> str:
    seed = f"seed {fitted.seed}"
    if fitted.test is None:
        return (
            f"Trained on all {fitted.examples:,} rows with {seed}: there is no test score, as no row is left "
            "that it has not seen. What to expect of it is the score in the report, which was measured with "
            "fewer training rows."
        )
    trained = (
        f"Trained on {fitted.examples:,} training rows with {seed}: test {fitted.metric} {fitted.test:.6g}"
    )
    if fitted.reported is None:
        return f"{trained}. The report has no score for this seed."
    words = {
        "same bits": "the same as in the report, to the bit",
        "within tolerance": f"{fitted.reported:.6g} in the report, which agrees within the tolerance of "
        f"{fitted.tolerance or 0:.2g} (a tenth of the standard deviation between seeds)",
        "differs": f"but {fitted.reported:.6g} in the report, which is further apart than "
        f"{fitted.tolerance or 0:.2g} (a tenth of the standard deviation between seeds)",
        None: f"{fitted.reported:.6g} in the report",
    }
    return f"{trained}, {words[fitted.agreement]}."


def _network(spec: ResolvedWorkload, trained: Trained) -> tuple[list[Any] | None, dict[str, Tensor]]:
    """Return the network as data, and its tensors by the names of a chain of modules.

    A model that is no chain of torch's modules has no description, and the names are its own.
    """
    entry = with_recorded(spec).model(spec.model.name)
    if entry.modules is None:
        return None, trained.network
    modules = entry.modules(entry.options(**spec.model.options), spec.shape)
    alone = "0." if len(modules) == 1 else ""
    return [_described(one) for one in modules], {alone + name: of for name, of in trained.network.items()}


def _described(module: Module) -> list[Any]:
    if module.inside is not None:
        return [module.name, [_described(one) for one in module.inside], {}]
    return [module.name, list(module.arguments), dict(module.options)]


def _check_free(folder: Path, *, force: bool) -> None:
    try:
        folders.check_free(folder, force=force)
    except folders.Occupied as error:
        raise CannotFit(str(error)) from None


def _write(
    folder: Path,
    tensors: Mapping[str, Tensor],
    preparation: Preparation | ImagePreparation,
    told: Any,
    *,
    force: bool,
) -> None:
    files = {
        folders.MODEL: save({name: tensor.contiguous() for name, tensor in tensors.items()}),
        folders.PREPARATION: preparation.model_dump_json(indent=2).encode(),
        folders.CONFIG: json.dumps(told, indent=2, ensure_ascii=False).encode(),
    }
    program = folders.PREDICT if isinstance(preparation, Preparation) else folders.PREDICT_IMAGES
    try:
        folders.write(folder, files, program, force=force)
    except folders.Occupied as error:
        raise CannotFit(str(error)) from None
