"""A catalog with more than tables: texts, and examples that a generator is to meet."""

from __future__ import annotations

from dataclasses import replace

from whichopt.service.catalog.built_in import Catalog, built_in
from whichopt.service.catalog.datasets import DatasetEntry
from whichopt.service.catalog.metrics import Metric
from whichopt.service.catalog.models import ModelEntry
from whichopt.service.catalog.shapes import Shape
from whichopt.service.catalog.tasks import TaskEntry
from whichopt.service.states import Direction


def _metric(name: str, direction: Direction = Direction.MINIMIZE) -> Metric:
    return Metric(name=name, title=name, direction=direction, unit="", constant="much")


MEETING = TaskEntry(
    name="meeting",
    title="Meeting the data",
    metrics=(_metric("distance"), _metric("found", Direction.MAXIMIZE)),
    about="A maker and a judge.",
    loss="torch.nn.functional.mse_loss",
    targets=lambda examples, outputs: f"torch.randn({examples}, {outputs})",
    of_inputs=True,
)
WRITING = TaskEntry(
    name="writing",
    title="Writing on",
    metrics=(_metric("surprise"),),
    about="The next character of a text.",
    loss="torch.nn.functional.cross_entropy",
    targets=lambda examples, outputs: f"torch.randint({outputs}, ({examples},))",
)
CIRCLE = DatasetEntry(
    name="circle", title="A circle", task="meeting", shape=lambda _: Shape(20_000, 2, 2), source="made here"
)
BOOK = DatasetEntry(
    name="book",
    title="A book",
    task="writing",
    shape=lambda _: Shape(1500, 64, 96, tokens=96),
    source="made here",
)
MAKER = ModelEntry(
    name="maker",
    title="Maker and judge",
    params=lambda _, shape: 10 * shape.outputs,
    about="Two players.",
    tasks=("meeting",),
)
WRITER = ModelEntry(
    name="writer",
    title="Writer",
    params=lambda _, shape: shape.outputs,
    about="It writes.",
    tasks=("writing",),
)


def motley_catalog() -> Catalog:
    """The built-in catalog with these; the digits can also be met."""
    known = built_in()
    datasets = [replace(one, also=("meeting",)) if one.name == "digits" else one for one in known.datasets]
    return replace(
        known,
        tasks=(*known.tasks, MEETING, WRITING),
        datasets=(*datasets, CIRCLE, BOOK),
        models=(*known.models, MAKER, WRITER),
    )
