"""The form of a new job as texts by field, and the job spec that they ask for: one from the other. Pure.

A field that is empty, or as the catalog has it, is left out of the spec, so that a spec says what was chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from whichopt.service.catalog.built_in import Catalog
from whichopt.service.catalog.optimizer_entry import OptimizerEntry
from whichopt.service.catalog.tasks import TaskEntry
from whichopt.service.pages.new.batches import places_of, training_names, with_training
from whichopt.service.pages.new.options import OptionField, option_fields
from whichopt.service.pages.new.space import space_of
from whichopt.service.pages.new.values import augmentations, number, value, values
from whichopt.service.spec import JobSpec
from whichopt.service.spec.request import Pruning

BUDGET = {
    "trials": "trials",
    "minutes": "minutes",
    "studies": "replicates",
    "epochs": "epochs",
    "seeds": "confirm_seeds",
    "risk": "risk",
    "max_seconds": "max_seconds",
}
"""The key of `budget` that each field gives."""

WORDS = ("name", "device", "executor", "kernels", "agreement")
NUMBERS = ("batch_size", "clip_norm", "seed")
"""Fields that are keys of the spec itself."""

NOT_OF_FUNCTIONS = ("batch_size", "clip_norm", "executor", "kernels", "agreement")
"""Fields that a job about a function must leave out; the form does not show them for one."""

PLACES = {
    **{name: name for name in (*WORDS, *NUMBERS)},
    **{f"budget.{key}": name for name, key in BUDGET.items()},
    "budget": "trials",
    "workload": "dataset",
    "workload.dataset": "dataset",
    "workload.task": "task",
    "workload.model": "model",
    "workload.metric": "metric",
    "workload.augment": "augment",
    "workload.function": "function",
    "workload.minimize": "function.metric",
    "workload.maximize": "function.metric",
    "workload.baseline": "function.baseline",
    "workload.version": "function.version",
    "optimizers": "optimizers",
    "schedule": "schedule",
    "schedule.warmup": "warmup",
    "schedule.decay": "decay",
    "schedule.milestones": "milestones",
    "schedule.factor": "factor",
    "pruning": "rungs",
    "pruning.worst": "worst",
    "margin": "margin",
    "today": "today",
    "executors": "executor",
}
"""The field that stands for each path of a spec; `asked` adds those of options and of spaces."""


@dataclass(frozen=True)
class Form:
    """The texts of the form's fields, and the names of the optimizers that are ticked, in their order."""

    values: Mapping[str, str]
    optimizers: tuple[str, ...]

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]], blank: Form | None = None) -> Form:
        """Return the form that was sent; a field that was not sent is as in `blank`."""
        sent = list(pairs)
        texts = {name: text.replace("\r\n", "\n") for name, text in sent if name != "optimizer"}
        chosen = tuple(dict.fromkeys(text for name, text in sent if name == "optimizer"))
        return cls({**({} if blank is None else blank.values), **texts}, chosen)

    def text(self, name: str) -> str:
        """Return the field's text without spaces around it; nothing if there is no such field."""
        return self.values.get(name, "").strip()

    @property
    def of_a_function(self) -> bool:
        return self.text("kind") == "function"

    @property
    def whole(self) -> str | None:
        """The text of the whole spec, which is used instead of all other fields; None if it is not."""
        return self.values.get("whole", "") if self.text("mode") == "whole" else None

    def with_values(self, **texts: str) -> Form:
        return Form({**self.values, **texts}, self.optimizers)


@dataclass
class Asked:
    """The spec that a form asks for, as it would be sent, and the field of each path in it."""

    spec: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=lambda: dict(PLACES))

    def place(self, path: str | None) -> str:
        """Return the field that a path of the spec belongs to, by its longest beginning; "" for none."""
        return self.places.get(self._beginning(path), "")

    def rest(self, path: str) -> str:
        """Return what of a path is to be named at its field: nothing if the field stands for all of it."""
        known = self._beginning(path)
        if path == known:
            return ""
        parent, _, last = known.rpartition(".")
        return path[len(known) + 1 :] if last.isdecimal() else path[len(parent) :].removeprefix(".")

    def _beginning(self, path: str | None) -> str:
        parts = (path or "").split(".")
        beginnings = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((one for one in beginnings if one in self.places), "")


def asked(form: Form, catalog: Catalog) -> Asked:
    """Return the spec that the form asks for; it may be invalid, which `JobSpec` and `resolve` tell.

    Args:
        form: the form.
        catalog: the catalog with the form's dataset.
    """
    made = Asked()
    skipped = NOT_OF_FUNCTIONS if form.of_a_function else ()
    if name := form.text("name"):
        made.spec["name"] = name
    made.spec["workload"] = _function(form) if form.of_a_function else _workload(form, catalog, made)
    made.spec["optimizers"] = [
        _optimizer(form, one, i, catalog, made) for i, one in enumerate(form.optimizers)
    ]
    made.spec["budget"] = {
        key: number(text) for name, key in BUDGET.items() if (text := form.text(name)) != ""
    }
    for name in (*WORDS[1:], *NUMBERS):
        text = form.text(name)
        if text == "" or name in skipped:
            continue
        one = number(text) if name in NUMBERS else text
        if one != JobSpec.model_fields[name].default:
            made.spec[name] = one
    _rest(form, made)
    if today := form.text("today"):
        made.spec["today"] = _today(form, today, catalog, made)
    return made


def _workload(form: Form, catalog: Catalog, made: Asked) -> dict[str, Any]:
    dataset, model = form.text("dataset"), form.text("model")
    kinds = {one.name: one.options for one in catalog.datasets}
    workload = {
        "dataset": _with_options(form, "dataset", dataset, kinds.get(dataset), made),
        "model": _with_options(
            form, "model", model, {one.name: one.options for one in catalog.models}.get(model), made
        ),
    }
    entry = task_of(form, catalog)
    if entry is not None:
        with_options = _with_options(form, "task", entry.name, entry.options, made)
        own = next((one.task for one in catalog.datasets if one.name == dataset), None)
        if with_options != own:
            workload["task"] = with_options
        # Another dataset's task may have no such metric: the field shows those of this one alone.
        if (metric := form.text("metric")) and metric != entry.goal.metric:
            workload["metric"] = metric
    # Neither do tables show the field for images.
    if of_images(catalog, dataset) and (augment := augmentations(form.text("augment"))):
        workload["augment"] = augment
    return workload


def of_images(catalog: Catalog, dataset: str) -> bool:
    """Tell if the dataset of that name has images."""
    entry = next((one for one in catalog.datasets if one.name == dataset), None)
    return entry is not None and entry.shape(entry.options()).image is not None


def task_of(form: Form, catalog: Catalog) -> TaskEntry | None:
    """Return the task that the form asks for: the dataset's own, unless another one of it is chosen.

    None if the catalog lacks the dataset. A task that the dataset is not for was chosen with another one.
    """
    data = next((one for one in catalog.datasets if one.name == form.text("dataset")), None)
    if data is None:
        return None
    name = form.text("task") if form.text("task") in data.tasks else data.task
    return next((one for one in catalog.tasks if one.name == name), None)


def _with_options(form: Form, part: str, name: str, options: Any, made: Asked) -> Any:
    """Return the entry's name, or with options that are not its defaults the name and these."""
    given = {}
    for one in () if options is None else option_fields(options):
        text = form.text(f"{part}.{name}.{one.name}")
        made.places[f"workload.{part}.{one.name}"] = f"{part}.{name}.{one.name}"
        if text != "" and one.read(text) != _default(one):
            given[one.name] = one.read(text)
    return {"name": name, **given} if given else name


def _default(one: OptionField) -> Any:
    return one.read(one.default) if one.default else None


def _function(form: Form) -> dict[str, Any]:
    direction = "maximize" if form.text("function.direction") == "maximize" else "minimize"
    workload: dict[str, Any] = {"function": form.text("function")}
    if metric := form.text("function.metric"):
        workload[direction] = metric
    if baseline := form.text("function.baseline"):
        workload["baseline"] = number(baseline)
    if version := form.text("function.version"):
        workload["version"] = version
    return workload


def _optimizer(form: Form, name: str, i: int, catalog: Catalog, made: Asked) -> Any:
    made.places[f"optimizers.{i}"] = f"optimizer.{name}"
    entry = _entry(catalog, name)
    if entry is None:
        return name
    given = space_of(entry, form.values)
    if not form.of_a_function:
        made.places |= dict(places_of(entry, i))
        given = with_training(given, entry, form.values)
    return {"name": name, **given} if given else name


def _entry(catalog: Catalog, name: str) -> OptimizerEntry | None:
    return next((one for one in catalog.optimizers if one.name == name), None)


def _rest(form: Form, made: Asked) -> None:
    """Add what is one object in the spec and several fields in the form."""
    usual = JobSpec.model_fields["schedule"].default.model_dump()
    schedule = {"name": form.text("schedule") or usual["name"]}
    schedule |= {
        name: number(text) for name in ("warmup", "decay") if (text := form.text(name)) not in ("", "0")
    }
    if schedule["name"] == "step":
        schedule |= {"milestones": values(text)} if (text := form.text("milestones")) else {}
        schedule |= {"factor": number(text)} if (text := form.text("factor")) else {}
    if "schedule" in form.values and {"warmup": 0.0, "decay": usual["decay"], **schedule} != usual:
        if schedule.get("decay") == usual["decay"]:
            del schedule["decay"]
        made.spec["schedule"] = schedule
    pruning: dict[str, Any] = {}
    if "rungs" in form.values:
        pruning["rungs"] = values(form.values["rungs"])
    if worst := form.text("worst"):
        pruning["worst"] = number(worst)
    rule = Pruning()
    usual_pruning = {"rungs": [*rule.rungs], "worst": rule.worst}
    if {**usual_pruning, **pruning} != usual_pruning:
        made.spec["pruning"] = pruning
    if margin := form.text("margin"):
        unit = "percent" if form.text("margin_unit") == "percent" else "absolute"
        made.spec["margin"] = {unit: number(margin)}


def _today(form: Form, name: str, catalog: Catalog, made: Asked) -> dict[str, Any]:
    entry = _entry(catalog, name)
    config = {}
    names = () if entry is None else (*entry.space, *(() if form.of_a_function else training_names(entry)))
    for one in names:
        made.places[f"today.config.{one}"] = f"today.{name}.{one}"
        if text := form.text(f"today.{name}.{one}"):
            config[one] = value(text)
    return {"name": name, "config": config} if config else {"name": name}
