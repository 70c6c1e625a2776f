"""What the templates of a new job show: the choices of each field, and the rows of the optimizers. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from whichopt.service.catalog.built_in import Catalog
from whichopt.service.catalog.growing_optimizers import GROWING
from whichopt.service.catalog.later_optimizers import LATER
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.recent_optimizers import RECENT
from whichopt.service.figures.tones import tone
from whichopt.service.pages.frame import plain
from whichopt.service.pages.new.batches import Setting, asks, settings_of, training_names
from whichopt.service.pages.new.form import Form, of_images, task_of
from whichopt.service.pages.new.options import OptionField, option_fields
from whichopt.service.pages.new.values import number, written
from whichopt.service.space import Categorical, Dimension, Float

LEFT, RIGHT = 2.0, 98.0
"""Ends of the line of learning rates, in percent of its width: a ring at an end must not be cut."""


@dataclass(frozen=True)
class Hyperparameter:
    """A row of the search space: the beginning of its fields' names, and what the catalog has."""

    name: str
    at: str
    fixed: bool
    choices: bool
    scales: tuple[str, ...]
    default: str


@dataclass(frozen=True)
class Row:
    """An optimizer to choose; `low`, `high` and `ring` are places on the line of lr, in percent of it.

    `folded` says that it stands behind a click, as the list is long: one of the later ones, not chosen.
    """

    name: str
    title: str
    tone: int
    chosen: bool
    folded: bool
    low: float
    high: float
    ring: float
    words: str
    space: tuple[Hyperparameter, ...]
    training: tuple[Setting, ...]
    may_grow: bool


@dataclass(frozen=True)
class Options:
    """The fields that the chosen dataset, task, model and optimizer of today bring."""

    dataset: tuple[OptionField, ...]
    model: tuple[OptionField, ...]
    task: tuple[OptionField, ...]
    task_name: str
    metrics: tuple[tuple[str, str], ...]
    images: bool
    today: tuple[tuple[str, str], ...]


def options_of(form: Form, catalog: Catalog) -> Options:
    """Return the fields that the form's choices bring; a name that the catalog lacks brings none."""
    dataset = next((one for one in catalog.datasets if one.name == form.text("dataset")), None)
    model = next((one for one in catalog.models if one.name == form.text("model")), None)
    task = task_of(form, catalog)
    today = next((one for one in catalog.optimizers if one.name == form.text("today")), None)
    usual = {} if today is None else (today.default if today.class_default is None else today.class_default)
    return Options(
        dataset=() if dataset is None else option_fields(dataset.options),
        model=() if model is None else option_fields(model.options),
        task=() if task is None else option_fields(task.options),
        task_name="" if task is None else task.name,
        metrics=()
        if task is None
        else tuple(("" if i == 0 else one.name, one.title) for i, one in enumerate(task.metrics)),
        images=of_images(catalog, form.text("dataset")),
        today=()
        if today is None
        else tuple((name, written(usual[name]) if name in usual else "needed") for name in today.space)
        + tuple((name, "as the job") for name in (() if form.of_a_function else training_names(today))),
    )


def option_text(form: Form, part: str, name: str, one: OptionField) -> str:
    """Return the text of an option's field: what was typed, or the default."""
    return form.values.get(f"{part}.{name}.{one.name}", one.default)


def rows_of(form: Form, catalog: Catalog) -> list[Row]:
    """Return a row for each optimizer, in the order in which the form has them."""
    entries = {one.name: one for one in catalog.optimizers if not one.needs_closure or form.of_a_function}
    known = {one.name: one for one in catalog.optimizers}
    order = [*form.text("order").split(","), *form.optimizers, *entries]
    rows = list(dict.fromkeys(name for name in order if name in known))
    lows = [one.space["lr"].low for one in known.values() if isinstance(one.space["lr"], Float)]
    highs = [one.space["lr"].high for one in known.values() if isinstance(one.space["lr"], Float)]
    axis = Float(low=min(lows), high=max(highs), scale="log")
    return [_row(known[name], form, axis) for name in rows]


def _row(entry: OptimizerEntry, form: Form, axis: Float) -> Row:
    usual = entry.space["lr"]
    assert isinstance(usual, Float)  # the catalog makes sure of it
    low = _positive(form.text(f"space.{entry.name}.lr.low"), usual.low)
    high = _positive(form.text(f"space.{entry.name}.lr.high"), usual.high)
    first = _positive(form.text(f"space.{entry.name}.lr.first"), float(entry.default["lr"]))
    return Row(
        name=entry.name,
        title=entry.title,
        tone=tone(entry.name),
        chosen=entry.name in form.optimizers,
        folded=entry in (*LATER, *RECENT, *GROWING) and entry.name not in form.optimizers,
        low=_at(axis, low),
        high=_at(axis, high),
        ring=_at(axis, first),
        words=f"lr from {plain(low)} to {plain(high)}, default {plain(first)}",
        space=tuple(_hyperparameter(entry, name, one, form) for name, one in entry.space.items()),
        training=settings_of(entry),
        may_grow=asks(entry),
    )


def _hyperparameter(entry: OptimizerEntry, name: str, dimension: Dimension, form: Form) -> Hyperparameter:
    at = f"space.{entry.name}.{name}"
    scales = ("linear", "log", "log1m") if isinstance(dimension, Float) else ("linear", "log")
    return Hyperparameter(
        name=name,
        at=at,
        fixed=form.text(f"{at}.how") == "fixed",
        choices=isinstance(dimension, Categorical),
        scales=scales,
        default=written(entry.default[name]),
    )


def lr_axis(catalog: Catalog) -> str:
    """Say what the lines of learning rates show."""
    spaces = [one.space["lr"] for one in catalog.optimizers]
    low = min(one.low for one in spaces if isinstance(one, Float))
    high = max(one.high for one in spaces if isinstance(one, Float))
    return f"learning rates that are searched, from {plain(low)} to {plain(high)}; the ring is the default"


def _positive(text: str, usual: float) -> float:
    found = number(text)
    return float(found) if isinstance(found, int | float) and 0 < found < math.inf else usual


def _at(axis: Float, value: float) -> float:
    place = min(1.0, max(0.0, axis.position(value)))
    return LEFT + place * (RIGHT - LEFT)
