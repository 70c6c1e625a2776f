"""A job between twelve optimizers whose steps have little in common, from its plan to its recommendation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.messages import Bell, answer_all, bell, conclusion, submit, view
from whichopt.service.catalog.optimizers import optimizer
from whichopt.service.db import Store
from whichopt.service.settings import Settings
from whichopt.service.states import JobState
from whichopt.workers import jobs

TWELVE = (
    "adabelief",  # columns of a stack
    "adamw",  # a fused kernel
    "sgd",
    "lamb",  # norms of each tensor
    "fromage",
    "adagradnorm",  # one sum for all params, and no other state
    "msvag",  # no eps, no decay
    "lion",  # signs
    "muon",  # two groups of params, each with a learning rate
    "soap",  # matrices beside the params, and a first step without a move
    "prodigy",  # a learning rate of its own, read from a tensor
    "schedulefree_adamw",  # other params to evaluate, and a schedule of its own
)


@pytest.fixture
def context(store: Store, tmp_path: Path) -> jobs.Context:
    settings = Settings(blobs=tmp_path / "blobs", tick_s=0.02, ring_again_s=0.001)
    return jobs.Context(store, Bell(), settings, worker_name="w1")


def test_twelve_optimizers_of_all_kinds_end_in_a_recommendation(context: jobs.Context) -> None:
    job_id, uid = submit(
        context,
        workload={"dataset": {"name": "digits"}, "model": {"name": "mlp", "hidden": [16]}},
        optimizers=list(TWELVE),
        budget={"trials": 2, "replicates": 2, "epochs": 1, "confirm_seeds": 3},
        schedule="constant",
        batch_size=128,
        executor="auto",
    )
    bell(context).plan(job_id)
    answer_all(context)
    shown = view(context, uid)
    assert (shown.state, shown.error) == (JobState.SUCCEEDED, None)
    found = conclusion(context, uid)
    assert {row.optimizer for row in found.ranking} == set(TWELVE)
    assert found.optimizer in TWELVE
    assert shown.spec.executors == {
        name: "stacked" if optimizer(name).stackable else "solo" for name in TWELVE
    }
