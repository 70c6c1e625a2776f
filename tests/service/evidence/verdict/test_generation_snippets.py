"""Snippets of two players and of a VAE run as pasted, in one process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.builders.trials import spec_of
from whichopt.service.batches import grows
from whichopt.service.catalog import models, optimizers
from whichopt.service.evidence.verdict.snippet_lines import lines_that_matter
from whichopt.service.evidence.verdict.snippet_tasks import snippet_of
from whichopt.service.spec import ResolvedSpec

SCHEDULES = ({"name": "constant"}, {"name": "cosine", "warmup": 0.05}, {"name": "linear", "warmup": 0.2})
RING: dict[str, Any] = {"name": "ring", "examples": 400}
GANS: tuple[dict[str, Any], ...] = (
    {"hidden": [7]},
    {"hidden": [7, 5], "loss": "wgan-gp", "penalty": 1.5, "critic_steps": 3},
    {"latent": 2, "spectral_norm": True},
    {"spectral_norm": True, "loss": "wgan-gp", "hidden": [6]},
)

RUN = """
import json, math, sys
import torch
from whichopt.service.catalog.generation import RingOptions
from whichopt.service.trials import Schedule
from whichopt.workers.engine.schedule import factor
from whichopt.workers.workload.generation import ring

for code, schedule, data in json.load(sys.stdin):
    names = {"__name__": "pasted"}
    exec(compile(code, "snippet", "exec"), names)
    players = ("critic", "generator") if "critic" in names else ("",)
    for player in players:
        loss = names[f"{player}_loss" if player else "loss"]
        assert math.isfinite(loss.item()), code
    if "growing" in names:
        assert names["seen"] == names["total_examples"], code
    elif "factor" in names:
        steps = names["total_steps"]
        for step in range(steps):
            engine = factor(Schedule(**schedule), step + 0.5, steps)
            assert math.isclose(names["factor"](step), engine, abs_tol=1e-12), (code, step)
        for player in players:
            assert names[f"{player}_scheduler" if player else "scheduler"].last_epoch == steps, code
    if data["name"] == "ring":
        points = ring(RingOptions(**{name: data[name] for name in data if name != "name"})).features
        assert (names["points"] == points).all(), code
    networks = [names[name] for name in ("generator", "critic", "model") if name in names]
    kinds = {type(names[name]).__name__ for name in names if name.endswith("optimizer")}
    params = sum(param.numel() for network in networks for param in network.parameters())
    print("RAN", *kinds, params)
"""


Job = tuple[str, Any, Any]


def _run(jobs: list[Job]) -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps(jobs), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RAN")]


def _gan(*names: str, dataset: Any = RING, schedule: Any = SCHEDULES[0], **options: Any) -> ResolvedSpec:
    model = {"name": "gan", **options}
    workload = {"dataset": dataset, "model": model, "task": "generation"}
    return spec_of(*(names or ("adam",)), workload=workload, schedule=schedule)


def _vae(*names: str, schedule: Any = SCHEDULES[0], **options: Any) -> ResolvedSpec:
    workload = {"dataset": "digits", "model": {"name": "vae", **options}, "task": "autoencoding"}
    return spec_of(*(names or ("adam",)), workload=workload, schedule=schedule)


def _code(spec: ResolvedSpec) -> str:
    (chosen,) = spec.optimizers
    return snippet_of(spec, chosen.label, chosen.default)


def _job(spec: ResolvedSpec) -> Job:
    return _code(spec), spec.schedule.model_dump(), spec.cataloged.dataset.model_dump()


def _params(spec: ResolvedSpec) -> int:
    entry = models.model(spec.cataloged.model.name)
    return entry.params(entry.options(**spec.cataloged.model.options), spec.cataloged.shape)


def test_they_run_as_pasted_and_have_the_jobs_data_and_networks() -> None:
    """All in one process: torch takes seconds to import."""
    specs, kinds = [], []
    for i, entry in enumerate(optimizers.OPTIMIZERS):
        schedule = SCHEDULES[0] if entry.own_schedule else SCHEDULES[i % len(SCHEDULES)]
        make = _gan if i % 2 and not grows(entry.space) else _vae
        specs.append(make(entry.name, schedule=schedule, hidden=[5]))
        kinds.append(entry.build.target.rpartition(".")[2])
    specs += [_gan("muon"), *(_gan(dataset=data, **options) for data in (RING, "digits") for options in GANS)]
    specs += [_gan(dataset={**RING, "modes": 5, "radius": 3.0}), _vae(latent=3, hidden=[9, 4])]
    found = _run([_job(spec) for spec in specs])
    assert [kind for kind, _ in found[: len(kinds)]] == kinds
    assert [int(params) for _, params in found] == [_params(spec) for spec in specs]


@pytest.mark.parametrize("make", [_gan, _vae])
def test_it_says_what_the_job_says(make: Any) -> None:
    spec = make().model_copy(update={"clip_norm": 0.5})
    code = snippet_of(spec, "adam", spec.optimizer("adam").default)
    assert code.count("max_norm=0.5") == code.count("optimizer.step()") == (2 if make is _gan else 1)
    assert "scheduler" not in code
    assert "batch_size, epochs = 64, 2" in code
    call = lines_that_matter(code)
    assert call is not None
    of_each = 2 if make is _gan else 1
    assert call.count("torch.optim.Adam(") == call.count("    lr=0.001,\n") == of_each


def test_a_penalty_and_the_critics_steps_are_written_out() -> None:
    code = _code(_gan(loss="wgan-gp", penalty=3.5, critic_steps=4))
    assert "penalty = 3.5 * " in code
    assert "if step % 4 == 0:\n            generator_loss = -critic(" in code
    plain = _code(_gan())
    assert "if step %" not in plain
