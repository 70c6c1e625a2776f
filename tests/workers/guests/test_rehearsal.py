"""Each finding of a rehearsal has a small function that earns it, and one that nearly does and must not."""

from __future__ import annotations

import copy
import itertools
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.builders.rehearsals import codes, found, optimizers, trained
from tests.builders.training_functions import ROWS, X, Y, epoch, fit, guest, score
from whichopt.service.errors import (
    DistributedUnsupported,
    FunctionFailed,
    NoStep,
    NotRepeatable,
    SeedFixed,
    TestLacksMetric,
)
from whichopt.workers.guests.executor import GuestExecutor
from whichopt.workers.guests.rehearsal import probing, rehearse
from whichopt.workers.guests.run import Run

OUTSIDE = nn.Linear(3, 1)
"""A model that is made when the module is imported, as people do."""


def test_what_a_function_without_fault_tells() -> None:
    told = found(fit)
    assert told.findings == ()
    assert (told.metrics, told.judged_on, told.parts) == (("loss",), "split", (28, 10, 10))
    assert (told.repeats, told.paired, told.pretrained) == ("bits", True, False)
    assert (told.params, told.closure, told.scheduled) == (4, False, False)
    assert told.epoch_seconds.keys() == told.fixed_seconds.keys() == {"adamw", "sgd"}
    assert all(seconds > 0 for seconds in told.epoch_seconds.values())
    assert len(told.source) == 64


def test_every_optimizer_runs_and_the_first_three_times(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    def notes(run: Run) -> None:
        with ran.open("a") as file:
            file.write(f"{run.plan.label}/{run.seed} ")
        fit(run)

    found(notes, "adam", "sgd", "adamw")
    first, again, elsewhere, *others = ran.read_text().split()
    assert first == again != elsewhere
    assert [one.partition("/")[0] for one in (first, elsewhere, *others)] == ["adam", "adam", "sgd", "adamw"]


def test_settings_of_a_rehearsal_are_those_of_nobody() -> None:
    (adam,) = optimizers("adam")
    off = probing(adam)
    assert all(off[name] != value for name, value in adam.default.items())
    assert all(adam.searched[name].contains(off[name]) for name in adam.searched)


def test_a_mistake_at_the_end_is_seen_at_the_start() -> None:
    def at_the_end(run: Run) -> None:
        trained(run)
        raise AttributeError("no such thing")

    def in_the_test(run: Run) -> None:
        fitted, _ = run.split(ROWS)
        epoch(model := nn.Linear(3, 1), run.optimizer(model), fitted)
        run.report(loss=1.0)
        run.test(lambda rows: score(model, rows.missing))

    def wrong_name(run: Run) -> None:
        trained(run)
        run.course.tested = False
        run.test({"los": 1.0})

    for function, said in ((at_the_end, "no such thing"), (in_the_test, "missing")):
        with pytest.raises(FunctionFailed, match=said):
            found(function)

    def keeps_a_path(run: Run) -> None:
        class Odd:
            def state_dict(self) -> dict[str, object]:
                return {"path": Path("x")}

            def load_state_dict(self, state: dict[str, object]) -> None: ...

        run.keep(odd=Odd())
        trained(run)

    with pytest.raises(FunctionFailed, match=r"run\.keep keeps tensors"):
        found(keeps_a_path)
    with pytest.raises(TestLacksMetric, match=r"run\.test gives los, but the job is judged by 'loss'"):
        found(wrong_name)

    def of_its_own(run: Run) -> None:
        try:
            raise KeyError("a part that may be absent")
        except KeyError:
            trained(run)

    assert codes(found(of_its_own)) == []


def test_what_diverges_with_one_optimizer_is_said_and_with_all_is_an_error() -> None:
    def one(run: Run) -> None:
        if run.plan.label == "sgd":
            run.report(loss=float("nan"))
        trained(run)

    told = found(one)
    assert [(finding.code, finding.label) for finding in told.findings] == [("diverged", "sgd")]
    with pytest.raises(FunctionFailed, match="diverged with every optimizer"):
        found(lambda run: run.report(loss=float("inf")))


def test_no_step() -> None:
    def without(run: Run) -> None:
        run.report(loss=1.0)

    def unused(run: Run) -> None:
        run.optimizer(nn.Linear(3, 1))
        run.report(loss=1.0)

    with pytest.raises(NoStep, match=r"take run\.optimizer"):
        found(without)
    with pytest.raises(NoStep, match="never stepped"):
        found(unused)
    with pytest.raises(NoStep):  # there would be nothing to compare
        found(unused, check="warn")

    def by_closure(run: Run) -> None:
        model = nn.Linear(3, 1)
        optimizer = run.optimizer(model)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = F.mse_loss(model(X[torch.randperm(ROWS)[:8]]), Y[:8])
            torch.autograd.backward(loss)
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]
        run.report(loss=score(model, range(8)))

    told = found(by_closure)
    assert told.closure
    assert codes(told) == []


def test_a_fixed_seed_is_an_error() -> None:
    def seeds_itself(run: Run) -> None:
        torch.manual_seed(42)
        trained(run)

    def after_the_model(run: Run) -> None:  # as Trainer does with its default seed
        model = nn.Linear(3, 1)
        torch.manual_seed(42)
        trained(run, model)

    for function in (seeds_itself, after_the_model):
        with pytest.raises(SeedFixed, match=r"seed by run\.seed"):
            found(function)

    def by_the_run(run: Run) -> None:
        torch.manual_seed(run.seed)
        trained(run)

    assert codes(found(by_the_run)) == []


def test_a_pretrained_network_is_no_fixed_seed_if_anything_is_drawn() -> None:
    def pretrained(run: Run) -> None:
        trained(run, copy.deepcopy(OUTSIDE))

    def adapted(run: Run) -> None:  # as LoRA: a frozen network, and a small one that begins at zero
        body, adapter = copy.deepcopy(OUTSIDE).requires_grad_(False), nn.Linear(3, 1)
        nn.init.zeros_(adapter.weight)
        nn.init.zeros_(adapter.bias)
        model = nn.ModuleList([body, adapter])
        model.forward = lambda x: body(x) + adapter(x)
        trained(run, model)

    def redraws_the_split(run: Run) -> None:
        fitted, validation = run.split(ROWS)
        model = copy.deepcopy(OUTSIDE)
        optimizer = run.optimizer(model)
        torch.autograd.backward(F.mse_loss(model(X[fitted]), Y[fitted]))
        optimizer.step()
        run.report(loss=score(model, validation))
        run.test(lambda rows: score(model, rows))

    def draws_nothing(run: Run) -> None:
        trained(run, copy.deepcopy(OUTSIDE), shuffled=False)

    for function in (pretrained, adapted, redraws_the_split):
        told = found(function)
        assert told.pretrained
        assert codes(told) == []
        assert told.params == 4
    with pytest.raises(SeedFixed, match="draw something by the seed"):
        found(draws_nothing)
    assert codes(found(draws_nothing, check="warn")) == ["seed_fixed"]


def test_a_generator_beside_torchs_is_warned_of() -> None:
    def numpy_fixed(run: Run) -> None:
        np.random.seed(0)
        trained(run)

    def seeded(run: Run) -> None:
        np.random.seed(run.seed)
        random.seed(run.seed)
        trained(run)

    told = found(numpy_fixed)
    assert codes(told) == ["seed_partly_fixed"]
    assert "numpy" in told.findings[0].detail
    assert codes(found(seeded)) == []


def test_a_model_made_outside() -> None:
    def outside(run: Run) -> None:
        trained(run, OUTSIDE)

    def copied(run: Run) -> None:
        trained(run, copy.deepcopy(OUTSIDE))

    before = copy.deepcopy(OUTSIDE.state_dict())
    with pytest.raises(NotRepeatable, match="inside the function"):
        found(outside, how="inline")
    OUTSIDE.load_state_dict(before)
    assert codes(found(copied, how="inline")) == []
    assert codes(found(outside)) == []  # a child has a copy
    assert all(torch.equal(before[name], value) for name, value in OUTSIDE.state_dict().items())


def test_starts_that_nobody_seeds_are_unpaired() -> None:
    def by_the_clock(run: Run) -> None:
        torch.seed()
        trained(run)

    told = found(by_the_clock)
    assert codes(told) == ["unpaired"]
    assert (told.paired, told.repeats) == (False, "differs")


@pytest.mark.parametrize(("size", "said"), [(1e-6, "close"), (0.5, "differs")])
def test_reports_that_do_not_repeat(size: float, said: str, tmp_path: Path) -> None:
    counter = tmp_path / "counter"

    def noisy(run: Run) -> None:
        with counter.open("a") as file:
            file.write("x")
        model = nn.Linear(3, 1)
        epoch(model, run.optimizer(model), range(32))
        run.report(loss=score(model, range(32, 40)) * (1 + size * counter.stat().st_size))
        run.test(lambda: 1.0)

    told = found(noisy)
    assert codes(told) == [f"repeats_{said}"]
    assert (told.repeats, told.paired) == (said, True)


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(DistributedUnsupported, match="WORLD_SIZE"):
        found(fit)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert codes(found(fit)) == []


def test_who_holds_the_test_part() -> None:
    def without(run: Run) -> None:
        epoch(model := nn.Linear(3, 1), run.optimizer(model), range(32))
        run.report(loss=score(model, range(32, 40)))

    def unused(run: Run) -> None:
        run.split(ROWS)
        without(run)

    def own_test_data(run: Run) -> None:
        run.split(ROWS, test=0)
        without(run)
        run.test(lambda: 1.0)

    told = found(without)
    assert (told.judged_on, told.parts, codes(told)) == ("validation", None, [])
    told = found(unused)
    assert (told.judged_on, codes(told)) == ("validation", ["test_unused"])
    told = found(own_test_data)
    assert (told.judged_on, told.parts, codes(told)) == ("test", (36, 12, 0), [])
    assert found(trained).judged_on == "test"


def test_a_gan_with_two_optimizers_is_no_fault() -> None:
    def gan(run: Run) -> None:
        maker, judge = nn.Linear(2, 3), nn.Linear(3, 1)
        makes, judges = run.optimizer(maker, name="maker"), run.optimizer(judge, name="judge")
        for _ in run.epochs:
            for player, other in itertools.repeat((makes, judges), 2):
                for optimizer, sign in ((other, 1.0), (player, -1.0)):
                    optimizer.zero_grad()
                    loss = judge(maker(torch.randn(4, 2))).mean() - judge(X[:4]).mean()
                    torch.autograd.backward(sign * loss)
                    optimizer.step()
            run.report(loss=score(judge, range(8)))
        run.test(lambda: score(judge, range(8)))

    told = found(gan)
    assert codes(told) == []
    assert told.params == 9 + 4


def test_a_named_function_is_rehearsed_in_clean_processes() -> None:
    told = rehearse(
        guest(None, name="tests.builders.training_functions:fit"),
        optimizers("adamw"),
        GuestExecutor(processes=2),
    )
    assert codes(told) == []
    assert told.source == found(fit, "adamw").source
