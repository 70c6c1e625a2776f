"""The choices of what is trained: datasets by their task, the tasks of the chosen one, the models that fit.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whichopt.service.catalog.built_in import Catalog
from whichopt.service.catalog.datasets import DatasetEntry
from whichopt.service.catalog.fits import common_tasks, fits, usual_shape
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.catalog.shapes import Shape
from whichopt.service.pages.new.form import Form, task_of
from whichopt.service.shape_words import count_words, of_images, target_words

Choice = tuple[str, str]
"""The value of a choice, and its words."""


@dataclass(frozen=True)
class Group:
    """Datasets that are for the same task; `title` is the task's."""

    title: str
    choices: list[Choice]


def dataset_groups(
    catalog: Catalog, uploads: Sequence[tuple[str, Mapping[str, Any] | None]], asked: str
) -> list[Group]:
    """Return the datasets by their task: those of the catalog, then those that were sent.

    Args:
        catalog: the built-in catalog.
        uploads: the name of each dataset that was sent and is ready, and what was found in it.
        asked: the dataset that the form asks for, which is a choice in any case.
    """
    titles = {one.name: one.title for one in catalog.tasks}
    groups: dict[str, list[Choice]] = {}
    for entry in catalog.datasets:
        words = f"{entry.name}: {_words(entry.task, usual_shape(entry))}"
        groups.setdefault(titles.get(entry.task, entry.task), []).append((entry.name, words))
    sent = [(name, _sent_words(name, found)) for name, found in uploads]
    known = [name for choices in (*groups.values(), sent) for name, _ in choices]
    if asked not in known:
        sent.append((asked, asked))
    found = [Group(title, choices) for title, choices in groups.items()]
    return [*found, Group("Your own", sent)] if sent else found


def task_choices(form: Form, catalog: Catalog) -> list[Choice]:
    """Return the tasks that the form's dataset can be used for; none if there is no choice."""
    data = _dataset(form, catalog)
    if data is None or len(data.tasks) < 2:
        return []
    titles = {one.name: one.title for one in catalog.tasks}
    return [("" if i == 0 else name, titles.get(name, name)) for i, name in enumerate(data.tasks)]


def model_choices(form: Form, catalog: Catalog) -> list[Choice]:
    """Return the models that fit the form's dataset and task, and the one that it asks for."""
    asked = form.text("model")
    fitting = [one for one in catalog.models if _fits(one, form, catalog)]
    choices = [(one.name, f"{one.name}: {_in_a_sentence(one.title)}") for one in fitting]
    if asked in [name for name, _ in choices]:
        return choices
    return [*choices, (asked, f"{asked}: does not fit")]


def _in_a_sentence(title: str) -> str:
    """Return a title as it stands within a line: `LSTM` and `ResNet-18` keep their capitals."""
    first = title.partition(" ")[0]
    return title[:1].lower() + title[1:] if first[1:].islower() else title


def with_fitting_model(form: Form, catalog: Catalog) -> Form:
    """Return the form with a model that fits its dataset and task: its own, or the first that does.

    One that is there for the task comes before one that can be used for it, too.
    """
    task = task_of(form, catalog)
    fitting = [one for one in catalog.models if _fits(one, form, catalog)]
    if not fitting or form.text("model") in [one.name for one in fitting]:
        return form
    fitting.sort(key=lambda one: task is not None and one.tasks[0] != task.name)
    return form.with_values(model=fitting[0].name)


def begun(form: Form, catalog: Catalog, given: Collection[str]) -> Form:
    """Return the form with what fits the fields that were `given` by the address: dataset, task, model."""
    if given and "dataset" not in given:
        form = _with_fitting_dataset(form, catalog, given)
    if not given or "model" in given:
        return form
    return _with_model_for_images(with_fitting_model(form, catalog), catalog)


def _with_model_for_images(form: Form, catalog: Catalog) -> Form:
    """Return the form with the first model that is made for images, if its dataset has images."""
    made_for_them = [one for one in catalog.models if one.needs_image and _fits(one, form, catalog)]
    data, task = _dataset(form, catalog), task_of(form, catalog)
    if data is None or task is None or not made_for_them or not of_images(task.name, usual_shape(data)):
        return form
    return form.with_values(model=made_for_them[0].name)


def _with_fitting_dataset(form: Form, catalog: Catalog, given: Collection[str]) -> Form:
    """Return the form with the first dataset that fits what was given, its own before the others.

    One that is there for such a task comes before one that can be used for it, too.
    """
    model = next((one for one in catalog.models if one.name == form.text("model")), None)
    own = _dataset(form, catalog)
    fitting: list[tuple[DatasetEntry, str]] = []
    for entry in [*([] if own is None else [own]), *catalog.datasets]:
        tasks = entry.tasks if model is None or "model" not in given else common_tasks(model, entry)
        fitting += [(entry, task) for task in tasks if "task" not in given or task == form.text("task")]
    fitting.sort(key=lambda one: one[1] != one[0].task)
    if not fitting:
        return form
    entry, task = fitting[0]
    return form.with_values(dataset=entry.name, task="" if task == entry.task else task)


def _fits(model: ModelEntry, form: Form, catalog: Catalog) -> bool:
    data, task = _dataset(form, catalog), task_of(form, catalog)
    return data is None or task is None or fits(model, data, task.name)


def _dataset(form: Form, catalog: Catalog) -> DatasetEntry | None:
    return next((one for one in catalog.datasets if one.name == form.text("dataset")), None)


def _sent_words(name: str, found: Mapping[str, Any] | None) -> str:
    shape = {} if found is None else found.get("shape", {})
    if found is None or not shape:
        return f"{name}: uploaded"
    return f"{name}: {_words(found['task'], Shape(**shape))}"


def _words(task: str, shape: Shape) -> str:
    return f"{count_words(task, shape)}, {target_words(task, shape)}"
