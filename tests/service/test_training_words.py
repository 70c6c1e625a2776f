"""The batches and the schedule of a config in words: the config's own where it has them, else the job's."""

from __future__ import annotations

from typing import Any

from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.training_words import batches_line, own_training, schedule_line


def spec(*optimizers: Any) -> ResolvedSpec:
    body = {"workload": {"dataset": "digits", "model": "linear"}, "optimizers": optimizers}
    return resolve(JobSpec.model_validate(body))


def test_a_config_has_the_jobs_batches_and_schedule_unless_it_has_its_own() -> None:
    own = {"batch_size": 16, "schedule": "constant", "warmup": 0.2}
    one = spec("adam", {"name": "sgd", "space": own})
    adam, sgd = (one.optimizer(label).default for label in one.labels)
    assert (batches_line(one, "adam", adam), schedule_line(one, "adam", adam)) == (
        "batches of 64",
        "cosine after a warm-up of 5%",
    )
    assert (batches_line(one, "sgd", sgd), schedule_line(one, "sgd", sgd)) == (
        "batches of 16",
        "constant after a warm-up of 20%",
    )
    assert own_training(one) == "sgd (batch_size, schedule, warmup)"


def test_a_batch_that_grows_says_from_where_to_where() -> None:
    adaptive = {"batch_size": {"adaptive": "norm", "eta": 0.25, "start": 60, "max": 301}}
    one = spec({"name": "adam", "space": adaptive})
    # Whole micro-batches of 8: the first batch is rounded up, the largest down.
    assert batches_line(one, "adam", one.optimizer("adam").default) == (
        "batches that may grow from 64 to 296 examples (norm test with batch_eta 0.25)"
    )
    assert own_training(one) == "adam (batches that grow)"


def test_nothing_is_said_if_all_have_the_jobs() -> None:
    assert own_training(spec("adam", "sgd")) == ""
