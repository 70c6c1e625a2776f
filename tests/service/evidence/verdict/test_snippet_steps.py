"""The steps of snippets: batches of the config's own size, growing ones, and the schedule of each."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import adadagrad
from tests.builders.trials import confirm, flat, spec_of
from whichopt.service.evidence.verdict.recommend import recommend
from whichopt.service.evidence.verdict.snippet_lines import lines_that_matter, lines_to_paste
from whichopt.service.evidence.verdict.snippet_tasks import snippet_of
from whichopt.service.spec import ResolvedSpec
from whichopt.service.trials import Schedule
from whichopt.workers.engine.schedule import factor

Ran = dict[str, Any]

MENU: dict[str, Any] = {
    "batch_size": {"type": "categorical", "choices": [16, 48]},
    "schedule": {"type": "categorical", "choices": ["linear", "constant"]},
    "warmup": {"type": "float", "low": 0.0, "high": 0.3},
}


def _ran(code: str) -> Ran:
    names: Ran = {"__name__": "pasted"}
    exec(compile(code, "snippet", "exec"), names)
    return names


def _code(spec: ResolvedSpec, **own: Any) -> str:
    (chosen,) = spec.optimizers
    return snippet_of(spec, chosen.label, {**chosen.default, **own})


@pytest.mark.parametrize(
    ("batch_size", "schedule", "warmup"), [(16, "linear", 0.2), (48, "constant", 0.1), (48, "constant", 0.0)]
)
def test_a_config_brings_its_own_batches_and_schedule(batch_size: int, schedule: Any, warmup: float) -> None:
    spec = spec_of({"name": "adam", "space": MENU}, schedule={"name": "cosine"}, clip_norm=1.0)
    ran = _ran(_code(spec, batch_size=batch_size, schedule=schedule, warmup=warmup))
    assert ran["batch_size"] == batch_size
    steps = 2 * math.ceil(256 / batch_size)
    moments = {state["step"].item() for state in ran["optimizer"].state.values()}
    assert moments == {steps}
    assert ("factor" in ran) == (schedule != "constant" or warmup > 0)
    for step in range(steps) if "factor" in ran else ():
        engine = factor(Schedule(name=schedule, warmup=warmup), step + 0.5, steps)
        assert ran["factor"](step) == pytest.approx(engine, abs=1e-12)


@pytest.mark.parametrize("task", ["classification", "autoencoding"])
def test_a_growing_batch_steps_when_it_is_full_at_the_rate_of_its_middle(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = {"adaptive": "norm", "eta": 0.3, "start": 32, "growth": 4.0, "max": 170, "micro": 6}
    space = {"lr": 0.5, "batch_size": grown, "schedule": "trapezoid"}
    model = {"name": "vae", "hidden": [6]} if task == "autoencoding" else {"name": "mlp", "hidden": [6]}
    spec = spec_of(
        {"name": "adagrad", "space": space},
        workload={"dataset": "digits", "model": model, "task": task},
        schedule={"name": "cosine", "decay": 0.4},
        clip_norm=0.5,
    )
    steps: list[tuple[int, float, float]] = []

    class Watched(torch.optim.Adagrad):
        def step(self, closure: Any = None) -> Any:
            gradients = [param.grad for group in self.param_groups for param in group["params"]]
            norm = torch.linalg.vector_norm(torch.cat([one.flatten() for one in gradients])).item()
            steps.append((counted[-1], self.param_groups[0]["lr"], norm))
            return super().step(closure)

    class Counted(adadagrad.AdaptiveBatch):
        def add(self, count: int, *, last: bool = False) -> bool:
            counted.append(self.seen + count)
            return super().add(count, last=last)

    counted: list[int] = []
    monkeypatch.setattr(torch.optim, "Adagrad", Watched)
    monkeypatch.setattr(adadagrad, "AdaptiveBatch", Counted)
    ran = _ran(_code(spec))
    sizes = [size for size, _, _ in steps]
    assert sum(sizes) == ran["total_examples"] == ran["seen"] == 512
    assert sizes[0] == 36  # 32, in whole parts of 6
    assert sizes[1] > sizes[0]
    seen = 0
    for size, rate, norm in steps:
        seen += size
        wanted = 0.5 * factor(Schedule(name="trapezoid", warmup=0.0, decay=0.4), seen - size / 2, 512)
        assert rate == pytest.approx(wanted)
        assert norm <= 0.5 * (1 + 1e-5)  # the gradient of the whole batch is clipped, in float32


def test_the_schedule_of_a_growing_batch_is_that_of_every_group() -> None:
    grown = {"name": "muon", "space": {"batch_size": {"adaptive": "norm"}, "schedule": "linear"}}
    spec = spec_of(grown, schedule={"name": "linear"})
    ran = _ran(_code(spec))
    default = spec.optimizer("muon").default
    rates = {group["use_muon"]: group["lr"] for group in ran["optimizer"].param_groups}
    done = ran["factor"](ran["middle"])  # at the last step
    assert 0 < done < 0.5
    assert rates == {True: default["lr"] * done, False: default["adamw_lr"] * done}


def test_what_is_copied_imports_what_it_calls_and_nothing_else() -> None:
    code = _code(spec_of("adadagradnorm"))
    assert "from adadagrad import AdaGradNorm, AdaptiveBatch, Growth\n" in code
    lines = lines_that_matter(code)
    assert lines is not None
    assert lines.startswith(
        "from adadagrad import AdaGradNorm, AdaptiveBatch, Growth\n\noptimizer = AdaGradNorm(\n"
    )


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, ""),
        ({"batch_size": 48}, "\n# the training loop: batch_size 48"),
        ({"schedule": "linear", "warmup": 0.2}, "\n# the training loop: schedule linear, warmup 0.2"),
        ({"batch_size": {"adaptive": "norm"}}, ""),  # its call is among the lines
    ],
    ids=str,
)
def test_what_of_a_config_is_no_argument_is_copied_as_a_remark(space: dict[str, Any], said: str) -> None:
    spec = spec_of({"name": "adam", "space": space})
    found = recommend("job", spec, confirm(spec, flat(spec), lambda _, seed: 0.01 * (seed % 3)))
    assert found.snippet is not None
    assert lines_to_paste(spec, found) == f"{lines_that_matter(found.snippet)}{said}"


def test_an_optimizer_of_which_only_the_batch_grows_imports_both() -> None:
    code = _code(spec_of({"name": "adabelief", "space": {"batch_size": {"adaptive": "norm"}}}))
    assert "from adabelief import AdaBelief\nfrom adadagrad import AdaptiveBatch, Growth\n" in code


def test_the_lines_that_matter_have_the_batch_that_grows() -> None:
    lines = lines_that_matter(_code(spec_of("adadagrad")))
    assert lines is not None
    assert "from adadagrad import AdaptiveBatch, Growth\n" in lines
    made = _ran("import torch\nmodel = torch.nn.Linear(3, 1)\n" + lines)["growing"]
    assert (made.micro, made.size) == (8, 32)
