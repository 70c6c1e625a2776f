"""Networks by their layers in a spec: what is accepted, and how a wrong one is refused."""

from __future__ import annotations

from typing import Any

import pytest

from whichopt.service.catalog.layers import KINDS
from whichopt.service.catalog.networks import LayersOptions, network
from whichopt.service.catalog.shapes import Shape
from whichopt.service.errors import InvalidSpec
from whichopt.service.limits import Limits
from whichopt.service.spec import JobSpec, ResolvedSpec, resolve
from whichopt.service.spec.recorded import resolved_again

OUT = {"type": "linear", "out": "outputs"}
CONV = {"type": "conv2d", "out": 1}
LAYERS = "workload.model.layers"


def resolved(layers: Any, limits: Limits | None = None, dataset: str = "digits", **rest: Any) -> ResolvedSpec:
    model = {"name": "layers", "layers": layers}
    body = {"workload": {"dataset": dataset, "model": model}, "optimizers": ["sgd"], **rest}
    return resolve(JobSpec.model_validate(body), limits=limits)


def test_defaults_are_written_out_and_it_resolves_to_itself() -> None:
    block = {"type": "residual", "layers": ["batch_norm", "dropout", {"type": "dropout", "p": 0.1}]}
    spec = resolved(["unflatten", "max_pool2d", CONV, "flatten", block, OUT])
    assert spec.cataloged.model.options["layers"] == [
        {"type": "unflatten", "to": None},
        {"type": "max_pool2d", "kernel": 2, "stride": None, "padding": 0},
        {"type": "conv2d", "out": 1, "kernel": 3, "stride": 1, "padding": 0, "bias": True},
        {"type": "flatten"},
        {
            "type": "residual",
            "layers": [{"type": "batch_norm"}, {"type": "dropout", "p": 0.5}, {"type": "dropout", "p": 0.1}],
        },
        {"type": "linear", "out": "outputs", "bias": True},
    ]
    assert resolve(JobSpec.model_validate_json(spec.model_dump_json())) == spec


def nested(depth: int) -> Any:
    return "relu" if depth == 0 else {"type": "residual", "layers": [nested(depth - 1)]}


def test_the_largest_network_is_accepted() -> None:
    assert resolved([nested(3), *["relu"] * 59, OUT]).cataloged.model.name == "layers"


REFUSED: list[tuple[Any, str, str]] = [
    # what is no list of layers
    (None, LAYERS, "must be a list of at least one layer"),
    ([], LAYERS, "must be a list of at least one layer"),
    ("relu", LAYERS, "must be a list of at least one layer"),
    ([3, OUT], f"{LAYERS}.0", "must be a layer: its type"),
    ([{"out": 3}, OUT], f"{LAYERS}.0", "must be a layer: its type"),
    # names
    (["relu", "rellu", OUT], f"{LAYERS}.1", "did you mean 'relu'?"),
    ([{"type": "residual", "layers": ["pool"]}, OUT], f"{LAYERS}.0.layers.0", "there is no layer 'pool'"),
    ([{"type": "linear", "outs": 3}, OUT], f"{LAYERS}.0.outs", "did you mean 'out'?"),
    (
        [{"type": "dropout", "rate": 0.1}, OUT],
        f"{LAYERS}.0.rate",
        "there is no option 'rate'; choose one of: p",
    ),
    # options
    (["linear"], f"{LAYERS}.0.out", "is needed"),
    (["group_norm", OUT], f"{LAYERS}.0.groups", "is needed"),
    ([{"type": "linear", "out": "output"}], f"{LAYERS}.0.out", 'from 1 to 8192, or "outputs"'),
    ([{"type": "linear", "out": True}], f"{LAYERS}.0.out", 'from 1 to 8192, or "outputs"'),
    ([{"type": "linear", "out": 0}], f"{LAYERS}.0.out", "greater than or equal to 1"),
    ([{"type": "linear", "out": 5, "bias": "no"}, OUT], f"{LAYERS}.0.bias", "valid boolean"),
    ([{"type": "dropout", "p": "0.5"}, OUT], f"{LAYERS}.0.p", "valid number"),
    ([{"type": "dropout", "p": 1}, OUT], f"{LAYERS}.0.p", "less than 1"),
    ([{"type": "unflatten", "to": [8, 8]}, OUT], f"{LAYERS}.0.to.2", "is needed"),
    # sizes: the layer, what came, what is needed, how to mend it
    ([CONV, OUT], f"{LAYERS}.0", "needs an image, and what comes is 64 features; put 'unflatten' before it"),
    (
        ["unflatten", OUT],
        f"{LAYERS}.1",
        "an image of 1 channel, 8 high and 8 wide; put 'flatten' or 'mean_pool'",
    ),
    (["mean_pool", OUT], f"{LAYERS}.0", "mean_pool needs an image"),
    (["unflatten", "unflatten", OUT], f"{LAYERS}.1", "needs features, not an image"),
    ([{"type": "unflatten", "to": [1, 5, 5]}, OUT], f"{LAYERS}.0", "three numbers whose product is 64"),
    (["unflatten", {**CONV, "kernel": 9}, OUT], f"{LAYERS}.1", "at least 9 high and wide"),
    (
        ["unflatten", {"type": "max_pool2d", "padding": 2}, OUT],
        f"{LAYERS}.1",
        "at most half the kernel, here 1",
    ),
    ([{"type": "group_norm", "groups": 3}, OUT], f"{LAYERS}.0", "a divisor of 64, such as 1, 2, 4"),
    ([{"type": "group_norm", "groups": 64}, OUT], f"{LAYERS}.0", "at least 2 values in each group"),
    ([{"type": "linear", "out": 1}, "layer_norm", OUT], f"{LAYERS}.1", "at least 2 values"),
    ([{"type": "residual", "layers": ["relu", OUT]}, OUT], f"{LAYERS}.0.layers.1", "must give 64 features"),
    (
        ["unflatten", {"type": "residual", "layers": ["relu", CONV]}],
        f"{LAYERS}.1.layers.1",
        "6 high and 6 wide",
    ),
    ([{"type": "residual", "layers": ["relu", CONV]}, OUT], f"{LAYERS}.0.layers.1", "conv2d needs an image"),
    # the whole
    (["relu"], f"{LAYERS}.0", "must give the 10 outputs that the data need, and it gives 64 features"),
    ([*["relu"] * 64, OUT], LAYERS, "64 layers in all, and this one has 65"),
    ([nested(4), OUT], LAYERS, "nested 4 deep"),
    ([nested(400), OUT], LAYERS, "nested 4 deep"),
]


@pytest.mark.parametrize(("layers", "field", "says"), REFUSED)
def test_a_refusal_names_the_layer(layers: Any, field: str, says: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        resolved(layers)
    assert refused.value.field == field
    assert says in refused.value.detail


def test_data_without_images_are_told_apart() -> None:
    with pytest.raises(InvalidSpec, match=r'"to": \[1, 8, 8\]'):
        resolved(["unflatten", OUT], dataset="wine")
    with pytest.raises(InvalidSpec, match=r'put \{"type": "unflatten", "to": \[channels, height, width\]\}'):
        resolved([CONV, OUT], dataset="wine")


def test_a_network_without_params_is_refused() -> None:
    options = LayersOptions.model_validate({"layers": ["relu"]})
    with pytest.raises(InvalidSpec, match="nothing to train") as refused:
        network(options, Shape(examples=10, features=4, outputs=4))
    assert refused.value.field == LAYERS


def test_limits_are_those_of_the_service_and_what_is_recorded_keeps_its_own() -> None:
    layers = [{"type": "linear", "out": 100}, "relu", OUT]
    spec = resolved(layers)
    params = 65 * 100 + 101 * 10
    kept = 4 * 64 * (64 + 100 + 100 + 10)  # bytes of a number, examples of a batch, inputs and outputs
    assert resolved(layers, Limits(params=params, activation_bytes=kept)) == spec
    with pytest.raises(InvalidSpec, match=f"has {params:,} params; at most {params - 1:,} are allowed"):
        resolved(layers, Limits(params=params - 1))
    with pytest.raises(
        InvalidSpec, match="Set batch_size to at most 63, or make the layers smaller"
    ) as refused:
        resolved(layers, Limits(activation_bytes=kept - 1))
    assert (refused.value.field, refused.value.value) == ("workload.model", kept)
    with pytest.raises(InvalidSpec, match=r"trained; at most 1,000 are allowed .* Make the layers smaller"):
        resolved(layers, Limits(activation_bytes=1000))
    large = resolved(
        [{"type": "linear", "out": 8192}, {"type": "linear", "out": 8192}, OUT], Limits(params=10**8)
    )
    assert resolved_again(large) == large


@pytest.mark.parametrize(
    ("batch_size", "epochs", "fits"),
    [(1, 1, 2), (1077, 1, 1076), (359, 3, None), (97, 10, None), (63, 3, None)],
)
def test_batch_norm_needs_two_examples_in_the_last_batch(
    batch_size: int, epochs: int, fits: int | None
) -> None:
    """Of the 1,078 of training."""
    budget = {"trials": 3, "replicates": 3, "epochs": epochs}
    layers = ["batch_norm", OUT]
    if fits is None:
        assert resolved(layers, batch_size=batch_size, budget=budget).batch_size == batch_size
        return
    with pytest.raises(InvalidSpec, match=f"set batch_size to {fits}") as refused:
        resolved(layers, batch_size=batch_size, budget=budget)
    assert refused.value.field == "batch_size"
    assert resolved(layers, batch_size=fits, budget=budget).batch_size == fits
    assert resolved(["layer_norm", OUT], batch_size=batch_size, budget=budget).batch_size == batch_size


def test_each_type_of_layer_has_words_of_its_own() -> None:
    assert len(KINDS) == 17
    assert all((kind.__doc__ or "").endswith(".") for kind in KINDS.values())
