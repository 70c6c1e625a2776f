"""A job about plug-ins, from the door to its report, in one process that has their package on its path."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.builders.messages import Bell, answer_all, conclusion, results_of, view
from tests.builders.plugins import on_path, package, without
from whichopt.service import functions
from whichopt.service.db import Store
from whichopt.service.db.migrate import upgrade
from whichopt.service.errors import InvalidSpec, PluginMissing, UnknownFunction
from whichopt.service.evidence.report.document import evidence
from whichopt.service.evidence.report.verify import verify
from whichopt.service.installed import GROUPS
from whichopt.service.settings import Settings
from whichopt.service.spec import JobSpec
from whichopt.service.spec.recorded import resolved_again
from whichopt.service.states import JobState
from whichopt.workers import jobs, own_plugins
from whichopt.workers.engine.executors import STACKING
from whichopt.workers.guests.offered import functions_of_workers
from whichopt.workers.identity import VARIABLE, Identity
from whichopt.workers.plugins.described import described
from whichopt.workers.plugins.found import check
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


def ourlab(folder: Path, code: str) -> Path:
    models, data, optimizers = (OFFERS[kind] for kind in GROUPS)
    return package(folder, "ourlab", code, model=models, dataset=data, optimizer=optimizers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ourlab(tmp_path_factory.mktemp("site"), CODE)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'jobs.db'}")
    upgrade(store)
    yield store
    store.close()


@pytest.fixture
def context(store: Store, tmp_path: Path, folder: Path) -> Iterator[jobs.Context]:
    """A worker that has the package, and has told so."""
    with on_path(folder):
        told = [described(kind, name) for kind in GROUPS for name in OFFERS[kind]]
        with store.transaction() as tx:
            tx.workers.seen("w1", queue="cpu", plugins=told)
        settings = Settings(blobs=tmp_path / "blobs")
        yield jobs.Context(store, Bell(), settings, worker_name="w1", plugins=own_plugins.has(store))


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
    with without(folder):
        found = verify(report)
        assert found.outcome == "confirmed", found
        assert "the model our-net is from the plug-in ourlab 1.0" in " ".join(found.notes)
        with pytest.raises(PluginMissing, match=r"from ourlab 1\.0, which is not installed here: install it"):
            rerun(report, new_seeds=1)


@pytest.mark.skipif(STACKING is None, reason="this installation stacks nothing")
def test_what_a_stack_would_share_is_trained_solo_with_the_reason(context: jobs.Context) -> None:
    _, uid = submitted(context, workload=with_model("our-counting"))
    spec = view(context, uid).spec
    assert set(spec.executors or {}) == {"our-sgd", "adam"}
    assert set((spec.executors or {}).values()) == {"solo"}
    assert spec.only_solo is not None
    assert "keeps 'calls' in Python and changes it at each call" in spec.only_solo["adam"]

    _, uid = submitted(context, optimizers=["our-noisy", "our-sgd", "adam"], today={"name": "our-noisy"})
    spec = view(context, uid).spec
    assert spec.only_solo is not None
    assert set(spec.only_solo) == {"our-noisy", "today"}
    assert "the optimizer 'our-noisy' can only be trained solo" in spec.only_solo["our-noisy"]


@pytest.mark.skipif(STACKING is None, reason="this installation stacks nothing")
def test_a_plain_network_and_optimizer_share_a_stack_with_the_bits_of_their_own_stack(
    context: jobs.Context,
) -> None:
    values = []
    for optimizers in (["our-sgd"], ["adam", "our-sgd"]):
        job_id, uid = submitted(context, executor="stacked", optimizers=optimizers)
        answer_all(context)
        assert view(context, uid).state is JobState.SUCCEEDED, view(context, uid).error
        found = results_of(context, job_id)
        values.append([one for one in found if one[0] == "our-sgd" and one[1] == "search"])
    assert values[0] == values[1]
    assert values[0]


def test_a_network_of_images_gets_images(context: jobs.Context) -> None:
    budget = {"trials": 1, "replicates": 1, "epochs": 1, "confirm_seeds": 3}
    workload = {"dataset": "digits", "model": "our-images"}
    _, uid = submitted(context, workload=workload, optimizers=["adam"], budget=budget)
    answer_all(context)
    assert view(context, uid).state is JobState.SUCCEEDED, view(context, uid).error
    with pytest.raises(InvalidSpec, match="model 'our-images' needs images, but dataset 'wine' has none"):
        submitted(context, workload=with_model("our-images"))


def test_a_network_that_asks_for_values_while_it_is_made_is_made_for_good(context: jobs.Context) -> None:
    _, uid = submitted(context, workload=with_model("our-asks"))
    found = view(context, uid)
    assert found.state is JobState.QUEUED
    assert found.spec.cataloged.model_origin is not None
    assert found.spec.cataloged.model_origin.params == 14 * 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"workload": with_model("our-wrong")},
            "the model 'our-wrong' from ourlab 1.0 gives (4, 4) for 4 examples, and the data need (4, 3)",
        ),
        (
            {"workload": with_model("our-raising", depth=3)},
            "making the network with depth=3 raised ValueError: no depth 3 (",
        ),
        ({"workload": with_model("our-large")}, "params; at most 50,000,000 are allowed"),
        (
            {"workload": {"dataset": "our-smaller", "model": "linear"}},
            "its features are (300, 2) as rows, and its shape says (299, 2)",
        ),
        (
            {"workload": with_model("our-counting"), "executor": "stacked"},
            "the job asks for a stack, which it cannot have",
        ),
        (
            {"optimizers": ["our-noisy"], "executor": "stacked"},
            "the optimizer 'our-noisy' can only be trained solo",
        ),
    ],
)
def test_what_is_wrong_with_a_plug_in_fails_the_job_before_anything_is_trained(
    context: jobs.Context, changes: dict[str, Any], said: str
) -> None:
    _, uid = submitted(context, **changes)
    ended = view(context, uid)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "plugin_failed"
    assert said in ended.error.detail


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"workload": with_model("our-nett")}, "there is no model 'our-nett'; did you mean 'our-net'?"),
        ({"workload": with_model("our-net", widht=3)}, "there is no option 'widht'; did you mean 'width'?"),
        (
            {"workload": with_model("our-net", width="wide")},
            'workload.model.width: "wide" is not allowed; it should be a valid',
        ),
        ({"optimizers": ["our-sdg"]}, "there is no optimizer 'our-sdg'; did you mean 'our-sgd'?"),
        ({"workload": {"dataset": "our-ring", "model": "linear"}}, "did you mean 'our-rings'?"),
    ],
)
def test_a_wrong_name_is_refused_at_the_door(
    context: jobs.Context, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        submitted(context, **changes)
    assert said in refused.value.detail


def test_a_job_stays_with_the_source_that_it_began_with(
    context: jobs.Context, folder: Path, tmp_path: Path
) -> None:
    _, uid = submitted(context)
    with without(folder):
        edited = ourlab(tmp_path / "edited", CODE + "\n# edited")
        with on_path(edited):
            answer_all(context)
    ended = view(context, uid)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "plugin_changed"
    assert "is not as the job began with it" in ended.error.detail


def test_a_job_fails_with_the_reason_if_its_package_was_uninstalled_since_the_worker_told_of_it(
    context: jobs.Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, uid = submitted(context)
    monkeypatch.setenv(VARIABLE, "")  # so that it is as it was in the end
    Identity(name="w1", queue="cpu", processes=1).hand_down()
    with without(folder):  # as in a process that takes the place of one that ended
        assert "model our-net" in own_plugins.has(context.store)
        answer_all(replace(context, plugins=own_plugins.has(context.store)))
    ended = view(context, uid)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "plugin_missing"
    assert "is from ourlab 1.0, which is not installed here: install it" in ended.error.detail


def test_a_worker_that_lacks_it_leaves_the_job_to_others(context: jobs.Context) -> None:
    asked = functions.resolved(context.store, JobSpec.model_validate(JOB), context.settings)
    lacking = replace(context, plugins=frozenset({"dataset our-rings"}))
    with context.store.transaction() as tx:
        job_id, uid = tx.jobs.add(asked, queue="cpu")
    assert jobs.plan_round(lacking, job_id) == "model our-net"
    assert jobs.plan_round(context, job_id) is None
    with context.store.read() as tx:
        first, *_ = tx.cohorts.queued_of(job_id)
    assert jobs.run_cohort(lacking, first) == "model our-net"
    assert view(context, uid).state is JobState.QUEUED


def test_a_callable_that_the_operator_allows_makes_the_network(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "ourlab:net"
    workload = with_model(name, width=4)
    with pytest.raises(UnknownFunction, match="the operator allows no model 'ourlab:net'; none is allowed"):
        submitted(context, workload=workload)
    monkeypatch.setenv("WHICHOPT_ALLOW", name)
    settings = context.settings.model_copy(update={"allow": name})
    allowing = replace(context, settings=settings, functions=functions_of_workers(settings, [name]))
    _, uid = submitted(allowing, workload=workload)
    origin = view(context, uid).spec.cataloged.model_origin
    assert origin is not None
    assert (origin.target, origin.package, origin.params) == (name, "ourlab", 13 * 4 + 4 + 4 * 3 + 3)
    answer_all(allowing)
    assert view(context, uid).state is JobState.SUCCEEDED, view(context, uid).error

    _, uid = submitted(allowing, workload=with_model(name, depth=4))
    error = view(context, uid).error
    assert error is not None
    assert "takes no option 'depth'; it takes: width, widths" in error.detail


def test_a_worker_checks_the_name_itself_before_it_imports_anything(
    context: jobs.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if somebody had written into the database what no door would have taken."""
    spec = functions.resolved(context.store, JobSpec.model_validate(JOB), context.settings)
    named = spec.cataloged.model.model_copy(update={"name": "this:thing"})
    forged = spec.model_copy(update={"workload": spec.cataloged.model_copy(update={"model": named})})
    monkeypatch.setenv("WHICHOPT_ALLOW", "ourlab:net")
    with pytest.raises(UnknownFunction, match="the operator allows no model 'this:thing'"):
        check(forged)
    assert "this" not in sys.modules
    named = spec.cataloged.model.model_copy(update={"name": "our-none"})
    forged = spec.model_copy(update={"workload": spec.cataloged.model_copy(update={"model": named})})
    with pytest.raises(PluginMissing):
        check(forged)
