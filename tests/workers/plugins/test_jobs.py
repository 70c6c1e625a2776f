"""A job about plug-ins, from the door to its report, in one process that has their package on its path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders.messages import Bell, answer_all, conclusion, view
from tests.builders.plugins import on_path, package
from whichopt.service import functions
from whichopt.service.db import Store
from whichopt.service.errors import PluginMissing
from whichopt.service.evidence.report.document import evidence
from whichopt.service.evidence.report.verify import verify
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec
from whichopt.service.spec.recorded import resolved_again
from whichopt.service.states import JobState
from whichopt.workers import jobs, own_plugins
from whichopt.workers.plugins.described import described
from whichopt.workers.rerun import rerun

CODE = """
import torch
from whichopt.extend import Dataset, Float, Model, Optimizer, Shape


def net(shape, width=8, widths=(4, 4)):
    assert isinstance(widths, tuple)
    return torch.nn.Sequential(
        torch.nn.Linear(shape.features, width), torch.nn.Mish(), torch.nn.Linear(width, shape.outputs)
    )


class Counter(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, 0

    def forward(self, rows):
        self.calls += 1
        return self.inner(rows)


def counting(shape):
    return Counter(net(shape))


def wrong(shape):
    return torch.nn.Linear(shape.features, shape.outputs + 1)


def raising(shape, depth=1):
    raise ValueError(f"no depth {depth}")


def large(shape):
    return torch.nn.Sequential(torch.nn.Linear(shape.features, 10**9), torch.nn.Linear(10**9, shape.outputs))


def asks(shape):
    assert torch.zeros(1).item() == 0.0, "a value, which no meta tensor has"
    return torch.nn.Linear(shape.features, shape.outputs)


class OfImages(torch.nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.conv = torch.nn.Conv2d(shape.image[0], 4, 3)
        self.head = torch.nn.Linear(4, shape.outputs)

    def forward(self, images):
        assert images.dim() == 4 and images.shape[1:] == (1, 8, 8)
        return self.head(torch.tanh(self.conv(images)).mean((2, 3)))


def load(shift=0.0):
    points = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    return points, points.norm(dim=1) > 1.2 + shift


class OurSGD(torch.optim.SGD):
    pass


class Noisy(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for param in group["params"]:
                param.grad.add_(torch.randn_like(param.grad))
        return super().step(closure)


images = Model(make=OfImages, images=True)
rings = Dataset(load=load, task="classification", shape=Shape(300, 2, 2))
smaller = Dataset(load=load, task="classification", shape=Shape(299, 2, 2))
LR = {"lr": Float(low=1e-3, high=1.0, scale="log")}
sgd = Optimizer(target="ourlab.OurSGD", default={"lr": 0.1}, space=LR, state_bytes=0)
noisy = Optimizer(target="ourlab.Noisy", default={"lr": 0.1}, space=LR, state_bytes=0)
"""

MODELS = ("net", "counting", "wrong", "raising", "large", "asks", "images")
OFFERS = {
    "model": {f"our-{name}": name for name in MODELS},
    "dataset": {"our-rings": "rings", "our-smaller": "smaller"},
    "optimizer": {"our-sgd": "sgd", "our-noisy": "noisy"},
}
JOB: dict[str, Any] = {
    "workload": {"dataset": "our-rings", "model": {"name": "our-net", "width": 4}},
    "optimizers": ["our-sgd", "adam"],
    "budget": {"trials": 4, "replicates": 2, "epochs": 2, "confirm_seeds": 3},
    "batch_size": 32,
    "kernels": "torch",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package(tmp_path_factory.mktemp("site"), "ourlab", CODE, **OFFERS)  # type: ignore[arg-type]


@pytest.fixture
def here(folder: Path) -> Iterator[None]:
    with on_path(folder):
        yield


@pytest.fixture
def context(store: Store, tmp_path: Path, here: None) -> jobs.Context:
    """A worker that has the package, and has told so."""
    told = [described(kind, name) for kind, names in OFFERS.items() for name in names]  # type: ignore[arg-type]
    with store.transaction() as tx:
        tx.workers.seen("w1", queue="cpu", plugins=told)
    settings = Settings(blobs=tmp_path / "blobs")
    return jobs.Context(store, Bell(), settings, worker_name="w1", plugins=own_plugins.has(store))


def submitted(context: jobs.Context, **changes: Any) -> tuple[int, str]:
    """Send the job by the door, and have its first round planned."""
    asked = JobSpec.model_validate({**JOB, **changes})
    spec = functions.resolved(context.store, asked, context.settings)
    with context.store.transaction() as tx:
        job_id, uid = tx.jobs.add(spec, queue="cpu")
    assert jobs.plan_round(context, job_id) is None
    return job_id, uid


def with_model(name: str, **options: Any) -> dict[str, Any]:
    return {"dataset": "wine", "model": {"name": name, **options}}


def test_a_job_ends_with_a_report_that_is_verified_where_the_package_is_not(
    context: jobs.Context, folder: Path
) -> None:
    _, uid = submitted(context)
    begun = view(context, uid)
    workload = begun.spec.cataloged
    model, data = workload.model_origin, workload.dataset_origin
    assert model is not None
    assert data is not None
    assert (model.package, model.version, model.target) == ("ourlab", "1.0", "ourlab:net")
    assert model.params == 2 * 4 + 4 + 4 * 2 + 2
    assert model.source == data.source
    assert data.content is not None
    assert begun.spec.optimizers[0].origin is not None
    assert begun.spec.only_solo is None
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED, view(context, uid).error
    assert conclusion(context, uid).optimizer in ("our-sgd", "adam")
    with context.store.read() as tx:
        record = tx.records.of_job(uid)
    assert record is not None
    report = evidence(record.facts, record.spec, record.trials, conclusion(context, uid), record.environments)
    assert resolved_again(report.spec) == report.spec
    assert rerun(report, new_seeds=1).holds
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend("")
        import sys

        sys.path.remove(str(folder))
        from tests.builders.plugins import forget

        forget()
        found = verify(report)
        assert found.outcome == "confirmed", found
        assert "the model our-net is from the plug-in ourlab 1.0" in " ".join(found.notes)
        with pytest.raises(
            PluginMissing, match="is from ourlab 1.0, which is not installed here: install it"
        ):
            rerun(report, new_seeds=1)
        sys.path.insert(0, str(folder))
        forget()
