"""Which datasets, tasks and models go together."""

from __future__ import annotations

import pytest

from tests.builders.catalogs import BOOK, CIRCLE, MAKER, MEETING, WRITER, motley_catalog
from whichopt.service.catalog.fits import common_tasks, fits, usual_params
from whichopt.service.catalog.models import model

CATALOG = motley_catalog()


@pytest.mark.parametrize(
    ("name", "data", "tasks"),
    [
        ("mlp", "digits", ("classification",)),
        ("mlp", "book", ()),
        ("cnn", "digits", ("classification",)),
        ("cnn", "wine", ()),
        ("maker", "digits", ("meeting",)),
        ("maker", "circle", ("meeting",)),
        ("writer", "book", ("writing",)),
    ],
)
def test_a_model_fits_by_its_tasks_and_by_images(name: str, data: str, tasks: tuple[str, ...]) -> None:
    assert common_tasks(CATALOG.model(name), CATALOG.dataset(data)) == tasks


def test_a_dataset_is_not_for_a_task_that_only_the_model_has() -> None:
    assert not fits(model("mlp"), CATALOG.dataset("wine"), "regression")
    assert not fits(WRITER, CIRCLE, "writing")


def test_who_learns_the_inputs_has_as_many_outputs() -> None:
    assert usual_params(MAKER, CATALOG.dataset("digits"), MEETING) == 640
    assert usual_params(WRITER, BOOK, CATALOG.task("writing")) == 96
