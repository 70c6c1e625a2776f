"""A network that predicts nothing of a row cannot be saved as a program for rows."""

from __future__ import annotations

import pytest

from whichopt.service.spec import JobSpec, resolve
from whichopt.workers.fit.preparation import Data, NotRows, require_rows
from whichopt.workers.workload import table_of


@pytest.mark.parametrize(("task", "model"), [("generation", "gan"), ("autoencoding", "vae")])
def test_it_is_refused_in_words(task: str, model: str) -> None:
    body = {"workload": {"task": task, "dataset": "digits", "model": model}}
    spec = resolve(JobSpec.model_validate(body)).cataloged
    with pytest.raises(NotRows, match=f"{task} predicts nothing of a row.*the code of the recommendation"):
        Data(spec, table_of(spec))


def test_a_text_is_refused_before_its_file_is_asked_for() -> None:
    body = {"workload": {"dataset": "unicode_names", "model": "lstm"}}
    with pytest.raises(NotRows, match="unicode_names has no rows"):
        require_rows(resolve(JobSpec.model_validate(body)).cataloged)
