"""Language models on both executors: a state that is carried along a text, and what is judged of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from whichopt.service.by_example import read
from whichopt.service.spec import JobSpec, resolve
from whichopt.service.states import Phase
from whichopt.service.trials import TrialPlan, TrialResult
from whichopt.workers.engine import Executor
from whichopt.workers.engine.executors import EXECUTORS
from whichopt.workers.engine.probe import choose
from whichopt.workers.engine.solo import TrialRun
from whichopt.workers.engine.stackable import why_only_solo
from whichopt.workers.workload import Workload, build

MakePlan = Callable[..., TrialPlan]

NETWORKS: dict[str, dict[str, Any]] = {
    "lstm": {"name": "lstm", "layers": 2, "hidden": 12, "embedding": 5},
    "transformer": {"name": "transformer", "layers": 1, "heads": 2, "width": 12},
}


def _workload(model: dict[str, Any], **data: Any) -> Workload:
    """3,200 characters in 266 windows of 12, of which 160 are for training."""
    dataset = {"name": "unicode_names", "characters": 3200, "length": 12, **data}
    spec = JobSpec.model_validate({"workload": {"dataset": dataset, "model": model}, "batch_size": 16})
    return build(resolve(spec).cataloged)


@pytest.fixture(params=list(NETWORKS))
def workload(request: pytest.FixtureRequest) -> Workload:
    return _workload(NETWORKS[request.param])


@pytest.fixture(params=list(EXECUTORS))
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]()


def _plans(make_plan: MakePlan) -> list[TrialPlan]:
    """Trials of other seeds, whose last step has 12 lanes instead of 16."""
    return [
        make_plan("adam", config={"lr": 0.02}),
        make_plan("adabelief", order=8, split=4, config={"lr": 0.02}),
        make_plan("sgd", init=5, phase=Phase.CONFIRM, config={"lr": 0.5}),
        make_plan("radam", init=6, order=9, config={"lr": 0.02}, clip_norm=0.5),
    ]


def _untimed(results: Sequence[TrialResult]) -> list[TrialResult]:
    return [result.model_copy(update={"seconds": 0.0}) for result in results]


def test_company_and_a_stop_change_nothing(
    executor: Executor, workload: Workload, make_plan: MakePlan, watch: Any, make_watch: Any
) -> None:
    plans = _plans(make_plan)
    whole = _untimed(executor.run(workload, plans, watch))
    alone = [result for plan in plans for result in executor.run(workload, [plan], watch)]
    assert _untimed(alone) == whole
    saved = make_watch(keeping=True)
    executor.run(workload, plans, saved)
    assert len(saved.states) > 2
    for state in saved.states:
        assert _untimed(executor.run(workload, plans, make_watch(), state)) == whole


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_no_company_changes_a_bit(network: dict[str, Any], make_plan: MakePlan, watch: Any) -> None:
    """At the end of a tensor torch may round otherwise: the place of a network in it must not matter."""
    workload, stacked = _workload(network), EXECUTORS["stacked"]()
    plans = [make_plan("adam", init=at, length=64, evaluations=(64,)) for at in range(9)]
    whole = _untimed(stacked.run(workload, plans, watch))
    for some in ([0], [8, 1], [5, 4, 3, 2, 1]):
        found = _untimed(stacked.run(workload, [plans[at] for at in some], watch))
        assert found == [whole[at] for at in some]


def test_both_executors_train_alike(workload: Workload, make_plan: MakePlan, watch: Any) -> None:
    """19 steps of smooth functions at moderate rates: rounding (6e-8) does not grow a thousandfold."""
    ways = [made().run(workload, _plans(make_plan), watch) for made in EXECUTORS.values()]
    for ours, theirs in zip(*ways, strict=True):
        for name, curve in ours.curves.items():
            wanted = [point.value for point in theirs.curves[name]]
            # One character more or less that is guessed rightly, of some hundred, is rounding, too.
            slack = 0.005 if name.endswith("accuracy") else 0.0
            assert [point.value for point in curve] == pytest.approx(wanted, rel=1e-4, abs=slack)


def test_it_learns_more_than_the_frequencies(executor: Executor, make_plan: MakePlan, watch: Any) -> None:
    workload = _workload(NETWORKS["lstm"])
    plan = make_plan("adam", config={"lr": 0.02}, length=4000, evaluations=(4000,), phase=Phase.CONFIRM)
    (result,) = executor.run(workload, [plan], watch)
    test, reference = result.metrics["test"], result.reference
    assert reference is not None
    assert test["nll"] < reference["nll"] - 0.2
    assert reference["nll"] < math.log(39)
    assert test["accuracy"] > reference["accuracy"]
    assert test["perplexity"] == pytest.approx(math.exp(test["nll"]))
    assert test["bits_per_character"] == pytest.approx(test["nll"] / math.log(2))


def test_the_values_by_example_are_means_over_windows(
    executor: Executor, workload: Workload, make_plan: MakePlan, watch: Any
) -> None:
    (result,) = executor.run(workload, [make_plan("adam", phase=Phase.CONFIRM)], watch)
    assert result.by_example is not None
    values = read(result.by_example)
    assert len(values) == len(workload.splits(3).test)
    assert values.mean() == pytest.approx(result.metrics["test"]["nll"], rel=1e-6)


def test_the_state_goes_on_from_step_to_step(make_plan: MakePlan) -> None:
    """The loss of the second batch is that of windows that follow those of the first."""
    workload = _workload(NETWORKS["lstm"])
    trial = TrialRun(workload, make_plan("sgd", config={"lr": 0.0}))
    train, net = trial.splits.train, trial.model
    trial.train(16)
    carried = trial.learners[0].carry
    loss = trial.train(32).item()
    begin = next(
        start
        for start in range(len(train))
        if torch.equal(_state(net, train.inputs[(_lanes(start, len(train)))]), carried["state0"])
    )
    first, second = (train.inputs[(_lanes(begin + step, len(train)))].long() for step in (0, 1))
    _, *state = net(first)
    outputs, *_ = net(second, *state)
    targets = train.targets[_lanes(begin + 1, len(train))].long()
    wanted = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())
    assert loss == pytest.approx(wanted.item(), rel=1e-5)


def _lanes(start: int, windows: int) -> torch.Tensor:
    return (start + torch.arange(16) * windows // 16) % windows


def _state(net: Any, inputs: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = net(inputs.long())[1]
    return found.detach()


def test_an_evaluation_carries_the_state_along_its_lanes() -> None:
    workload = _workload(NETWORKS["lstm"])
    net = workload.model(0).eval()
    examples = workload.splits(0).train  # 160 windows: ten lanes of 16
    judged = workload.outputs(net, examples)
    assert judged.shape == (160, 12, 2)
    for lane in (0, 3, 9):
        text = examples.inputs[16 * lane : 16 * (lane + 1)].flatten().unsqueeze(0).long()
        outputs, *_ = net(text)
        targets = examples.targets[16 * lane : 16 * (lane + 1)].flatten().long()
        wanted = torch.nn.functional.cross_entropy(outputs[0], targets, reduction="none")
        torch.testing.assert_close(judged[16 * lane : 16 * (lane + 1), :, 0].flatten(), wanted)


def test_a_diverged_run_counts_as_the_frequencies_of_training(
    executor: Executor, workload: Workload, make_plan: MakePlan, watch: Any
) -> None:
    plan = make_plan("sgd", phase=Phase.CONFIRM, config={"lr": 3e38})
    (result,) = executor.run(workload, [plan], watch)
    assert result.value is None
    assert result.reference is not None
    splits = workload.splits(plan.seeds.split)
    counts = torch.bincount(splits.train.targets.long().flatten(), minlength=39).double().clamp_min(0.5)
    chances = counts / counts.sum()
    wanted = -chances.log()[splits.test.targets.long()].mean().item()
    assert result.reference["nll"] == pytest.approx(wanted)


def test_what_it_writes_is_the_same_each_time(
    executor: Executor, workload: Workload, make_plan: MakePlan, watch: Any
) -> None:
    plans = [make_plan("adam", phase=Phase.CONFIRM, config={"lr": 0.02}), make_plan("adam")]
    first, other = executor.run(workload, plans, watch)
    assert other.sample is None
    assert first.sample is not None
    assert first.sample.kind == "text"
    assert len(first.sample.content) == 200
    assert set(first.sample.content) <= set("\n -0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    (again,) = executor.run(workload, plans[:1], watch)
    assert again.sample == first.sample


def test_bytes_are_tokens_too(executor: Executor, make_plan: MakePlan, watch: Any) -> None:
    workload = _workload(NETWORKS["lstm"], tokens="bytes")
    assert workload.shape.outputs == 256
    (result,) = executor.run(workload, [make_plan("adam", phase=Phase.CONFIRM, config={"lr": 0.02})], watch)
    assert result.sample is not None
    assert all(letter.isprintable() or letter == "\n" for letter in result.sample.content)


def test_it_can_be_stacked_and_the_probe_decides(workload: Workload, make_plan: MakePlan) -> None:
    plans = [make_plan("adam"), make_plan("sgd")]
    assert why_only_solo(workload, plans) is None
    choice = choose(workload, plans)
    assert set(choice.seconds) == {"solo", "stacked"}


def test_with_dropout_it_trains_one_at_a_time(make_plan: MakePlan, watch: Any) -> None:
    workload = _workload({**NETWORKS["lstm"], "dropout": 0.3})
    solo = EXECUTORS["solo"]()
    (first,), (again,) = (solo.run(workload, [make_plan("adam")], watch) for _ in range(2))
    assert first.curves == again.curves
    (without,) = solo.run(_workload(NETWORKS["lstm"]), [make_plan("adam")], watch)
    assert first.curves != without.curves


def test_a_text_is_read_in_its_order() -> None:
    workload = _workload(NETWORKS["lstm"])
    splits = workload.splits(0)
    for part in (splits.validation, splits.test):
        assert part.in_lanes
        assert part.written is not None
        for one, two in itertools.pairwise(range(len(part))):
            if part.targets[one, -1] != part.inputs[two, 0]:
                assert part is splits.validation  # which may run over the end of the rest
    assert splits.test.written is not None
    text = splits.test.written(splits.test.inputs.flatten())
    assert "LETTER" in text
    assert set(text) <= set("\n -0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
