"""The probe of the kernels, and what follows from its answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.builders.messages import Bell, submit
from whichopt.service.db import Store
from whichopt.service.planning.cohorts import COHORT_ALIKE
from whichopt.service.planning.rounds import next_round
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import Agreement
from whichopt.workers import jobs, prepare, products, trained_in
from whichopt.workers.engine.agree import agreement
from whichopt.workers.sampler import suggest

ON_X86_WITH_MKL = products.blas().startswith("mkl") and products.mode() == "AUTO"


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    return jobs.Context(store, Bell(), Settings(blobs=tmp_path / "blobs"), worker_name="w0")


def run(code: list[str], mode: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, products.MODE_VARIABLE: mode}
    return subprocess.run(
        [sys.executable, *code], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(not ON_X86_WITH_MKL, reason="torch multiplies by another library, or in another mode")
def test_mkls_reproducible_mode_gives_the_same_bits() -> None:
    assert agreement() is Agreement.BITS


@pytest.mark.parametrize(
    "module", ["whichopt.workers.rerun", "whichopt.workers.jobs", "benchmarks.toy_functions.runs"]
)
def test_the_mode_is_asked_for_before_torch_is_imported(module: str) -> None:
    script = f"""
import importlib, os, sys

class Onlooker:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("{products.MODE_VARIABLE}"))

sys.meta_path.insert(0, Onlooker())
importlib.import_module("{module}")
"""
    environment = {key: value for key, value in os.environ.items() if key != products.MODE_VARIABLE}
    found = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == [products.MODE]


@pytest.mark.parametrize("chosen", ["COMPATIBLE", ""])
def test_what_a_user_has_set_wins(chosen: str) -> None:
    found = run(["-c", "import os, workers; print(repr(os.environ['MKL_CBWR']))"], chosen)
    assert found.stdout.strip() == repr(chosen)


def test_results_say_what_they_were_multiplied_by() -> None:
    here = trained_in.training_environment("cpu")
    assert here.mkl_cbwr == products.mode()
    assert here.blas == products.blas()
    assert here.instructions == torch.backends.cpu.get_cpu_capability()
    unknown = here.model_copy(update={"mkl_cbwr": None})
    assert unknown.unlike(here) == [f"mkl_cbwr: unknown there, {products.mode()} here"]
    assert here.unlike(here) == unknown.unlike(unknown) == []


def test_a_mode_that_was_asked_for_after_the_first_product_is_none() -> None:
    """As in a notebook that multiplies before it imports whichopt."""
    script = """
import torch
torch.mm(torch.ones(50, 50), torch.ones(50, 50))
import whichopt.workers
from whichopt.workers import products
print(products.mode(), products._branch())
"""
    environment = {name: value for name, value in os.environ.items() if name != products.MODE_VARIABLE}
    found = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    mode, branch = found.stdout.split()
    assert mode == ("off" if branch != "None" else products.MODE), "a torch without MKL cannot be asked"


# -- a job ---------------------------------------------------------------------------------------------


def live(store: Store, *answers: Agreement | None) -> None:
    """Workers that have answered so, one each."""
    with store.transaction() as tx:
        for i, one in enumerate(answers):
            tx.workers.seen(f"w{i}", queue="cpu", processes=2)
            if one is not None:
                tx.workers.probed(f"w{i}", queue="cpu", agreement=one)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((Agreement.BITS,), Agreement.BITS),
        ((Agreement.BITS, Agreement.BITS), Agreement.BITS),
        ((Agreement.BITS, Agreement.CLOSE), Agreement.CLOSE),
        ((Agreement.BITS, None), Agreement.CLOSE),  # of a version that does not ask, or not yet
        ((), None),
    ],
)
def test_a_job_agrees_as_its_worst_live_worker(
    store: Store, answers: tuple[Agreement | None, ...], expected: Agreement | None
) -> None:
    live(store, *answers)
    with store.transaction() as tx:
        tx.workers.probed("gone", queue="cpu", agreement=Agreement.CLOSE)
        tx.workers.stopping("gone")
        tx.workers.probed("other", queue="cuda", agreement=Agreement.CLOSE)
        assert tx.workers.agreement("cpu", within_s=60) is expected


def test_one_process_speaks_for_its_worker_and_a_forgotten_row_gets_its_answer_back(store: Store) -> None:
    with store.transaction() as tx:
        tx.workers.probed("w", queue="cpu", agreement=Agreement.CLOSE)
        tx.workers.probed("w", queue="cpu", agreement=Agreement.BITS)
        tx.workers.seen("w", queue="cpu", processes=2)
        known = tx.workers.answer_of("w")
        assert known is Agreement.CLOSE
        tx.workers.gone("w")
        assert tx.workers.answer_of("w") is tx.workers.agreement("cpu", within_s=60) is None
        tx.workers.seen("w", queue="cpu", processes=2, agreement=known)
        assert tx.workers.answer_of("w") is Agreement.CLOSE


@pytest.mark.parametrize("asked", ["auto", "bits", "close"])
@pytest.mark.parametrize("answer", Agreement)
def test_what_is_decided_is_the_probes_answer_unless_less_was_asked_for(
    context: jobs.Context,
    asked: str,
    answer: Agreement,
) -> None:
    live(context.store, answer)
    job_id, _ = submit(context, agreement=asked)
    with context.store.read() as tx:
        planned = tx.jobs.planning(job_id, alive_s=60)
    assert planned is not None
    expected = "close" if asked == "close" else answer.value
    assert prepare.prepare(planned).spec.agreement == expected


def test_the_number_of_workers_cuts_no_cohort_of_a_job_that_agrees_closely() -> None:
    body = {"workload": {"dataset": "wine", "model": "linear"}, "budget": {"trials": 60}}
    spec = resolve(JobSpec.model_validate(body))

    def cuts(agreement: str) -> set[tuple[int, ...]]:
        own = spec.with_executor("stacked").model_copy(update={"agreement": agreement})
        rounds = (next_round(own, [], suggest, workers=workers) for workers in (1, 2, 3, 10))
        return {tuple(map(len, following.cohorts)) for following in rounds if following is not None}

    assert len(cuts("bits")) > 1
    (alike,) = cuts("close")
    assert len(alike) > 1
    assert max(alike) <= COHORT_ALIKE
