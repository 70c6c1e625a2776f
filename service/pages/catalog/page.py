"""The pages of the catalog: what a job can name, and what past jobs said of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup

from whichopt.service.batches import WORDS
from whichopt.service.catalog import datasets, models, tasks
from whichopt.service.catalog.capabilities import capabilities
from whichopt.service.catalog.fits import common_tasks, fits, usual_params, usual_shape
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.update import LETTERS
from whichopt.service.catalog.updates import UPDATES
from whichopt.service.errors import UnknownName
from whichopt.service.figures.tones import tone, tones
from whichopt.service.pages.catalog.default_code import default_code
from whichopt.service.pages.catalog.mathml import mathml
from whichopt.service.pages.catalog.option_words import option_words
from whichopt.service.pages.catalog.tabs import known, tabs
from whichopt.service.pages.frame import page as page_of
from whichopt.service.pages.frame import plain
from whichopt.service.raced import RacedJob, Tally
from whichopt.service.routes.dependencies import TheSettings, TheStore
from whichopt.service.shape_words import examples_words
from whichopt.service.space import Categorical, Dimension, Float, Int, Value
from whichopt.service.views.catalog import dataset_view, model_view, task_view

router = APIRouter(include_in_schema=False)

Entry = TypeVar("Entry")
Show = Literal["optimizers", "datasets", "models", "tasks"]
SCALES = {"linear": "even steps", "log": "by factors (log)", "log1m": "by factors of 1 − value"}


@dataclass(frozen=True)
class Range:
    """A searched range on a line from 0 to 100 percent; `default` is None if it lies on no place of it."""

    low: float
    high: float
    default: float | None
    words: str


@router.get("/catalog", response_class=HTMLResponse)
def index(
    request: Request, store: TheStore, settings: TheSettings, show: Annotated[Show, Query()] = "optimizers"
) -> HTMLResponse:
    with store.read() as tx:
        tallies = tx.raced.tallies() if show == "optimizers" else {}
    catalog = known(store, settings)
    entries = catalog.optimizers
    axis = lr_axis(entries)
    return page_of(
        request,
        "catalog/index.html",
        title="Catalog",
        current="Catalog",
        show=show,
        tabs=tabs(store, settings),
        axis=[plain(10.0 ** axis[0]), plain(10.0 ** axis[1])],
        optimizers=[(one, tone(one.name), lr_range(one, axis), tallies.get(one.name)) for one in entries],
        datasets=[(one, usual_shape(one), one.sizes(one.options())) for one in catalog.datasets],
        examples=examples_words,
        models=catalog.models,
        tasks=tasks.TASKS,
    )


@router.get("/catalog/optimizers/{name}", response_class=HTMLResponse)
def optimizer(name: str, request: Request, store: TheStore, settings: TheSettings) -> HTMLResponse:
    entry = _found(known(store, settings).optimizer, name)
    if isinstance(entry, UnknownName):
        return _missing(request, "optimizers", entry)
    with store.read() as tx:
        tally = tx.raced.tallies().get(name, Tally(0, 0, 0))
        raced = tx.raced.of(name)
    update = UPDATES.get(name)
    return page_of(
        request,
        "catalog/optimizer.html",
        title=entry.title,
        current="Catalog",
        entry=entry,
        tone=tone(name),
        update=update,
        lines=[] if update is None else [mathml(line) for line in update.lines],
        letters=_letters(entry),
        space=[_searched(hyperparameter, entry) for hyperparameter in entry.space],
        fixed=dict(entry.build.fixed),
        able=[
            *capabilities(entry),
            f"A best value near an end of the range of {' or '.join(entry.edges)} is reported.",
        ],
        words={name: words for name, words in WORDS.items() if not entry.is_own(name)},
        snippet=default_code(entry),
        tally=tally,
        raced=[(one, _odds(one)) for one in raced],
    )


@router.get("/catalog/models/{name}", response_class=HTMLResponse)
def model(name: str, request: Request, store: TheStore, settings: TheSettings) -> HTMLResponse:
    entry = _found(known(store, settings).model, name)
    if isinstance(entry, UnknownName):
        return _missing(request, "models", entry)
    fitting = [
        (one, task, usual_params(entry, one, tasks.task(task)))
        for one in (datasets.DATASETS if entry.origin is None else ())
        for task in common_tasks(entry, one)
    ]
    return page_of(
        request,
        "catalog/model.html",
        title=entry.title,
        current="Catalog",
        entry=entry,
        options=option_words(model_view(entry).details["options"]),
        fits=fitting,
        many=len(entry.tasks) > 1,
    )


@router.get("/catalog/datasets/{name}", response_class=HTMLResponse)
def dataset(name: str, request: Request, store: TheStore, settings: TheSettings) -> Response:
    entry = _found(known(store, settings).dataset, name)
    if isinstance(entry, UnknownName):
        with store.read() as tx:
            sent = tx.datasets.named(name) is not None
        if sent:
            return RedirectResponse(f"{request.scope['root_path']}/datasets/{name}", 307)
        return _missing(request, "datasets", entry)
    return page_of(
        request,
        "catalog/dataset.html",
        title=entry.title,
        current="Catalog",
        entry=entry,
        shape=usual_shape(entry),
        examples=examples_words(entry.task, usual_shape(entry), entry.options().model_dump()),
        fits=[
            (task, [one for one in known(store, settings).models if fits(one, entry, task)])
            for task in entry.tasks
        ],
        sizes=entry.sizes(entry.options()),
        options=option_words(dataset_view(entry).details["options"]),
    )


@router.get("/catalog/tasks/{name}", response_class=HTMLResponse)
def task(name: str, request: Request) -> HTMLResponse:
    entry = _found(tasks.task, name)
    if isinstance(entry, UnknownName):
        return _missing(request, "tasks", entry)
    return page_of(
        request,
        "catalog/task.html",
        title=entry.title,
        current="Catalog",
        entry=entry,
        options=option_words(task_view(entry).details["options"]),
        datasets=[one for one in datasets.DATASETS if name in one.tasks],
        models=[one for one in models.MODELS if name in one.tasks],
    )


def _found(find: Callable[[str], Entry], name: str) -> Entry | UnknownName:
    try:
        return find(name)
    except UnknownName as error:
        return error


def _missing(request: Request, kind: str, error: UnknownName) -> HTMLResponse:
    return page_of(
        request,
        "catalog/missing.html",
        title="Not in the catalog",
        current="Catalog",
        status=404,
        kind=kind,
        detail=error.detail,
        nearest=error.nearest,
    )


# -- ranges ----------------------------------------------------------------------------------------------


def lr_axis(entries: Sequence[OptimizerEntry]) -> tuple[float, float]:
    """Return the ends of an axis for the learning rates of all entries, as powers of ten."""
    spaces = [entry.space["lr"] for entry in entries]
    lows, highs = zip(*((one.low, one.high) for one in spaces if isinstance(one, Float)), strict=True)
    return math.floor(math.log10(min(lows))), math.ceil(math.log10(max(highs)))


def lr_range(entry: OptimizerEntry, axis: tuple[float, float]) -> Range:
    """Return the learning rates that are searched, and the default, on that axis."""
    lr = entry.space["lr"]
    assert isinstance(lr, Float)

    def at(value: float) -> float:
        return 4 + 92 * (math.log10(value) - axis[0]) / (axis[1] - axis[0])

    default = float(entry.default["lr"])
    words = f"lr from {plain(lr.low)} to {plain(lr.high)}, default {plain(default)}"
    return Range(at(lr.low), at(lr.high), at(default), words)


@dataclass(frozen=True)
class Searched:
    """A hyperparameter as its row tells it; `low` and `high` are None for choices."""

    name: str
    letter: Markup | None
    default: str
    low: str | None
    high: str | None
    choices: str
    scale: str
    line: Range | None
    outside: bool


def _searched(name: str, entry: OptimizerEntry) -> Searched:
    dimension, default = entry.space[name], entry.default[name]
    letter = mathml(LETTERS[name]) if name in LETTERS else None
    if isinstance(dimension, Categorical):
        choices = ", ".join(map(_value, dimension.choices))
        return Searched(name, letter, _value(default), None, None, choices, "choice", None, False)
    low, high = _value(dimension.low), _value(dimension.high)
    inside = dimension.contains(default)
    line = Range(4, 96, _place(dimension, default) if inside else None, f"from {low} to {high}")
    return Searched(
        name, letter, _value(default), low, high, "", SCALES[dimension.scale], line, outside=not inside
    )


def _place(dimension: Dimension, value: Value) -> float | None:
    assert isinstance(dimension, Float | Int)
    return 4 + 92 * dimension.position(float(value))


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return plain(value) if isinstance(value, int | float) else value


# -- an optimizer ----------------------------------------------------------------------------------------


def _letters(entry: OptimizerEntry) -> list[tuple[Markup, str]]:
    return [(mathml(LETTERS[name]), name) for name in entry.space if name in LETTERS]


def _odds(job: RacedJob) -> list[tuple[str, int, float]]:
    """Each label with its tone and its probability of being the best, the likeliest first."""
    of = tones(job.optimizers)
    return sorted(
        ((label, of.get(label, 0), chance) for label, chance in job.odds.items()), key=lambda one: -one[2]
    )
