"""A spec that names a person's own data holds all that planning and evidence need of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders.concluded_jobs import BODY
from tests.builders.datasets import CONTENT, FILE, make_table
from whichopt.service.catalog.built_in import built_in
from whichopt.service.catalog.datasets import uploaded
from whichopt.service.errors import InvalidSpec
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.spec.recorded import resolved_again

ENTRY = uploaded("penguins", make_table(200), FILE, CONTENT)
CATALOG = replace(built_in(), datasets=(*built_in().datasets, ENTRY))


@pytest.fixture
def spec() -> ResolvedSpec:
    asked = {**BODY, "workload": {"dataset": "penguins", "model": "linear"}}
    return resolve(JobSpec.model_validate(asked), CATALOG)


def test_it_records_file_columns_and_split(spec: ResolvedSpec) -> None:
    workload = spec.cataloged
    assert (workload.content, workload.sizes, workload.shape) == (
        CONTENT,
        make_table(200).sizes,
        make_table(200).shape,
    )
    assert workload.upload is not None
    assert workload.upload.file == FILE
    assert [column.name for column in workload.upload.columns] == ["a", "b"]


def test_it_resolves_to_itself_where_nobody_knows_the_data(spec: ResolvedSpec) -> None:
    recorded = ResolvedSpec.model_validate_json(spec.model_dump_json())
    assert resolved_again(recorded) == spec
    with pytest.raises(InvalidSpec, match="penguins"):
        resolve(JobSpec.model_validate(spec.model_dump(mode="json")))
