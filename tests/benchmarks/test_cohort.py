"""Rows train the same trials, the bound counts what torch computes, the command writes what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.cohort.__main__ import ROWS, Summary, agreement, main, summaries
from benchmarks.cohort.bound import example_flops, flops, products
from benchmarks.cohort.runs import Outcome, Training
from benchmarks.shared.digits import OPTIMIZERS, SIZES, job, resolved
from benchmarks.shared.spaces import configured, default_params
from whichopt.workers import workload
from whichopt.workers.engine import Unwatched
from whichopt.workers.engine.solo import SoloExecutor


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small steps on two threads take many times as long where others want the cores as well."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def short() -> Training:
    body = job("mlp", trials=4)
    return Training(resolved({**body, "budget": {**body["budget"], "epochs": 2}}))


@pytest.mark.parametrize("label", OPTIMIZERS)
def test_the_plain_loop_trains_what_a_job_trains(short: Training, label: str) -> None:
    config = short.spec.optimizer(label).default
    plan = short.plan.model_copy(update={"label": label, "optimizer": label, "config": config})
    (result,) = SoloExecutor().run(short.workload, [plan], Unwatched())
    values = [point.value for point in result.curves["validation.nll"]]
    assert list(short.epochs(label, config)) == pytest.approx(values, rel=1e-5)


def test_the_plain_loop_ends_where_the_loss_is_not_finite(short: Training) -> None:
    config = {**short.spec.optimizer("sgd").default, "lr": 1e30}
    assert list(short.epochs("sgd", config)) == [float("inf")]


@pytest.mark.parametrize("label", OPTIMIZERS)
def test_the_point_that_stands_for_the_default_becomes_the_default(short: Training, label: str) -> None:
    chosen = short.spec.optimizer(label)
    assert configured(chosen, default_params(chosen)) == chosen.default


@pytest.mark.parametrize("name", SIZES)
def test_the_bound_counts_what_torch_counts(name: str) -> None:
    spec = resolved(job(name))
    model = workload.build(spec.cataloged).model(0)
    inputs, targets = torch.randn(8, 64), torch.zeros(8, dtype=torch.int64)
    forward, both = example_flops(products(spec))
    with FlopCounterMode(display=False) as counter:
        loss = F.cross_entropy(model(inputs), targets)
    assert counter.get_total_flops() == 8 * forward
    with FlopCounterMode(display=False) as counter:
        loss.backward()  # type: ignore[no-untyped-call]
    assert counter.get_total_flops() == 8 * (both - forward)
    assert flops(spec) > SIZES[name].trials * SIZES[name].epochs * spec.sizes.train * both


def test_a_speed_is_that_of_a_over_the_row_in_the_same_repeat() -> None:
    times = {("a", 0): 6.0, ("b", 0): 3.0, ("a", 1): 12.0, ("b", 1): 4.0, ("c1", 0): None}
    outcomes = [
        Outcome("mlp", row, repeat, seconds, trials=8, best={"sgd": 0.5, "adam": 0.25}, defaults={"sgd": 1.0})
        for (row, repeat), seconds in times.items()
    ]
    first, second, third = summaries(outcomes)
    assert first == Summary("mlp", "a", 8, 9.0, 8 * 60 / 9, 1.0, (0.5 + 1 / 3) / 2, 0.25, "")
    assert second.times_a == 2.5
    assert third.seconds is third.times_a is None
    assert agreement(outcomes) == 0.0


@pytest.mark.parametrize(
    ("only", "rows"),
    [
        pytest.param("a,c,e", ["a", "c1", "c2", "e"], marks=pytest.mark.slow),
        pytest.param(",".join(ROWS), list(ROWS), marks=pytest.mark.slow),
    ],
)
def test_the_command_shows_the_rows_beside_each_other(
    only: str,
    rows: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("benchmarks.cohort.ray_rows.find_spec", lambda _: None)
    monkeypatch.setitem(SIZES, "mlp", replace(SIZES["mlp"], epochs=1))
    files = ["--json", str(tmp_path / "found.json"), "--plot", str(tmp_path / "found.png")]
    main(["--trials", "4", "--executor", "solo", "--only", only, *files])
    assert "not installed" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert [one["row"] for one in found["summaries"]] == rows
    for one in found["summaries"]:
        assert (one["seconds"] is None) == one["row"].startswith("c")
        assert one["trials"] == (0 if one["row"].startswith("c") else 4)
    for service in (one for one in found["outcomes"] if one["row"] == "d"):
        assert service["details"]["executor"] == "solo"
        assert set(service["defaults"]) == set(OPTIMIZERS)
    assert found["agreement"] < 1e-3
    with Image.open(tmp_path / "found.png") as image:
        image.verify()


@pytest.mark.parametrize("arguments", [["--only", "a,z"], ["--trials", "7"], ["--trials", "0"]])
def test_the_command_refuses_what_it_cannot_do(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
