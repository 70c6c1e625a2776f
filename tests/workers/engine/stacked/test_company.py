"""The probe of company beside the tests of it, and a job of stacks where it finds that bits differ."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.builders.messages import Bell, answer_all, bell, conclusion, submit
from tests.workers.engine.test_agree import live, run
from whichopt.service.db import Store
from whichopt.service.db.tables import cohort, trial
from whichopt.service.settings import Settings
from whichopt.service.states import Agreement, Phase
from whichopt.workers import jobs

COMPANY_TESTS = (
    "tests/workers/engine/stacked/test_executor.py::test_company_changes_no_bit",
    "tests/workers/engine/stacked/test_image_layers.py::test_a_networks_bits_do_not_depend_on_its_company",
    "-k=linear or columns",  # the ways of the engine that multiply matrices
)


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    return jobs.Context(store, Bell(), Settings(blobs=tmp_path / "blobs"), worker_name="w0")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["", "AUTO"])
def test_the_probe_answers_what_the_company_tests_find(mode: str) -> None:
    """Without MKL's mode the answer differs by CPU; the tests must differ with it, and never without."""
    probe = "import torch; torch.set_num_threads(1); from whichopt.workers.engine.agree import agreement; "
    answered = run(["-c", probe + "print(agreement())"], mode)
    assert answered.returncode == 0, answered.stderr
    tested = run(
        ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--any-agreement", *COMPANY_TESTS], mode
    )
    assert tested.returncode in (0, 1), tested.stdout + tested.stderr
    expected = Agreement.BITS if tested.returncode == 0 else Agreement.CLOSE
    assert answered.stdout.strip() == expected, tested.stdout[-2000:]


@pytest.mark.parametrize("answer", Agreement)
def test_a_job_that_agrees_closely_says_so_and_is_cut_by_its_spec_alone(
    context: jobs.Context, answer: Agreement
) -> None:
    live(context.store, answer)
    budget = {"trials": 8, "replicates": 2, "epochs": 2, "confirm_seeds": 5}
    job_id, uid = submit(context, budget=budget)
    bell(context).plan(job_id)
    answer_all(context)
    warned = {warning.code for warning in conclusion(context, uid).warnings}
    assert ("last_bits" in warned) == (answer is Agreement.CLOSE)
    with context.store.read() as tx:
        job = tx.views.job(uid, alive_s=60)
        sizes = tx.connection.execute(
            sa.select(cohort.c.round, sa.func.count())
            .join(trial, trial.c.cohort_id == cohort.c.id)
            .where(cohort.c.job_id == job_id, trial.c.phase == Phase.CONFIRM)
            .group_by(cohort.c.id)
        ).all()
    assert job is not None
    assert job.spec.agreement == answer.value
    first = min(round_ for round_, _ in sizes)
    assert [size for round_, size in sizes if round_ == first] == (
        [6, 6, 6] if answer is Agreement.CLOSE else [9, 9]
    )
