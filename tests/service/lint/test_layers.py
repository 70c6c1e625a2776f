"""The linter on a network by its layers: what does nothing, or does harm, is named by its path."""

from __future__ import annotations

from typing import Any

import pytest

from whichopt.service.lint import lint
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.spec.workloads import Named

OUT = {"type": "linear", "out": "outputs"}
PATH = "workload.model.layers"
CODES = {
    "bias_before_batch_norm",
    "dropout_before_batch_norm",
    "few_rows_for_batch_norm",
    "no_nonlinearity",
    "activated_outputs",
}


def linear(out: int = 8, *, bias: bool = True) -> dict[str, Any]:
    return {"type": "linear", "out": out, "bias": bias}


def conv(*, bias: bool = True) -> dict[str, Any]:
    return {"type": "conv2d", "out": 4, "padding": 1, "bias": bias}


def residual(*layers: Any) -> dict[str, Any]:
    return {"type": "residual", "layers": list(layers)}


def spec_of(*layers: Any, dataset: str = "digits", **rest: Any) -> ResolvedSpec:
    model = {"name": "layers", "layers": list(layers)}
    return resolve(JobSpec.model_validate({"workload": {"dataset": dataset, "model": model}, **rest}))


def found(*layers: Any, **rest: Any) -> list[tuple[str, str | None]]:
    return [(one.code, one.field) for one in lint(spec_of(*layers, **rest)) if one.code in CODES]


@pytest.mark.parametrize(
    "layers",
    [
        (OUT,),
        (linear(bias=False), "batch_norm", "relu", "dropout", OUT),
        (linear(), "relu", "layer_norm", linear(), "gelu", OUT),
        (linear(), "layer_norm", OUT),
        (linear(), residual(linear(bias=False), "batch_norm", "silu", "dropout"), OUT),
        ("unflatten", conv(), "max_pool2d", conv(), "tanh", "mean_pool", OUT),
        (residual(linear(64), "relu", linear(64)), OUT),
        ({"type": "dropout", "p": 0}, linear(bias=False), "batch_norm", "relu", OUT),
        ("relu", "batch_norm", OUT, residual("relu", linear(10))),
    ],
    ids=str,
)
def test_what_is_sound_is_not_blamed(layers: tuple[Any, ...]) -> None:
    assert found(*layers) == []


@pytest.mark.parametrize(
    ("layers", "code", "field"),
    [
        ((linear(), "batch_norm", "relu", OUT), "bias_before_batch_norm", "0.bias"),
        (("unflatten", conv(), "batch_norm", "relu", "mean_pool", OUT), "bias_before_batch_norm", "1.bias"),
        (
            (residual(linear(64), "relu", linear(64)), "batch_norm", "relu", OUT),
            "bias_before_batch_norm",
            "0.layers.2.bias",
        ),
        ((residual("relu", residual(linear(64), "batch_norm")), OUT), "bias_before_batch_norm", None),
        (("dropout", linear(bias=False), "batch_norm", "relu", OUT), "dropout_before_batch_norm", "0"),
        (
            (residual("relu", "dropout"), linear(bias=False), "batch_norm", "relu", OUT),
            "dropout_before_batch_norm",
            "0.layers.1",
        ),
        ((linear(), OUT), "no_nonlinearity", "1"),
        ((linear(bias=False), "batch_norm", "dropout", OUT), "no_nonlinearity", "3"),
        (("unflatten", conv(), "mean_pool", OUT), "no_nonlinearity", "3"),
        ((residual(linear(64)), "relu", OUT), "no_nonlinearity", "0"),
        ((residual("relu", linear(64), linear(64)), "relu", OUT), "no_nonlinearity", "0.layers.2"),
        ((linear(), "relu", OUT, "relu"), "activated_outputs", "3"),
        ((OUT, "tanh", "dropout"), "activated_outputs", "1"),
    ],
    ids=str,
)
def test_each_mistake_is_told_where_it_stands(layers: tuple[Any, ...], code: str, field: str | None) -> None:
    told = found(*layers)
    assert [one for one, _ in told].count(code) == 1
    place = f"{PATH}.0.layers.1.layers.0.bias" if field is None else f"{PATH}.{field}"
    assert (code, place) in told


def test_a_residual_block_without_a_nonlinearity_is_one_linear_layer() -> None:
    codes = found(linear(), residual(linear(bias=False), "batch_norm"), OUT)
    assert codes == [("no_nonlinearity", f"{PATH}.1"), ("no_nonlinearity", f"{PATH}.2")]


@pytest.mark.parametrize(
    ("batch_size", "epochs", "instead"),
    [
        (4, 20, "use batches of at least 8"),
        (55, 20, None),  # 106 * 20 = 2120 = 38 * 55 + 30
        (53, 1, None),  # 106 = 2 * 53
        (52, 1, "set batch_size to 49, whose last batch has 8"),  # 106 = 2 * 52 + 2
        (34, 1, "set batch_size to 32, whose last batch has 10"),  # 106 = 3 * 34 + 4
    ],
)
def test_batch_norm_needs_more_than_a_few_rows(batch_size: int, epochs: int, instead: str | None) -> None:
    layers = (linear(bias=False), "batch_norm", "relu", OUT)
    budget = {"trials": 3, "epochs": epochs}
    spec = spec_of(*layers, dataset="wine", batch_size=batch_size, budget=budget)
    told = [one for one in lint(spec) if one.code == "few_rows_for_batch_norm"]
    assert [one.field for one in told] == ["batch_size"] * (instead is not None)
    assert instead is None or told[0].instead.startswith(instead)
    others = (linear(), "layer_norm", "relu", OUT)
    assert found(*others, dataset="wine", batch_size=batch_size, budget=budget) == []


def test_layers_that_this_version_does_not_know_are_no_finding() -> None:
    spec = spec_of(linear(), OUT)
    later = Named.model_validate({"name": "layers", "layers": [{"type": "attention"}]})
    job = spec.model_copy(update={"workload": spec.workload.model_copy(update={"model": later})})
    assert not {one.code for one in lint(job)} & CODES
