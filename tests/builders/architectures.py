"""Random networks by their layers, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from whichopt.service.catalog.shapes import Shape

FLAT = st.sampled_from(
    [Shape(examples=100, features=6, outputs=3), Shape(examples=100, features=13, outputs=1)]
)
IMAGES = st.builds(
    lambda channels, height, width: Shape(
        examples=100, features=channels * height * width, outputs=3, image=(channels, height, width)
    ),
    st.integers(1, 3),
    st.integers(2, 9),
    st.integers(2, 9),
)


@st.composite
def architectures(draw: st.DrawFn) -> tuple[Shape, list[Any]]:
    """Draw the shape of some data and layers that fit it."""
    shape = draw(st.one_of(FLAT, IMAGES))
    layers: list[Any] = []
    size: tuple[int, ...] = (shape.features,)
    if shape.image is not None and draw(st.booleans()):
        layers.append("unflatten")
        size = shape.image
    for _ in range(draw(st.integers(0, 5))):
        layer, size = draw(_layer(size, 1))
        layers.append(layer)
    if len(size) == 3:
        pool = draw(st.sampled_from(["flatten", "mean_pool"]))
        layers.append(pool)
    return shape, [*layers, {"type": "linear", "out": "outputs", "bias": draw(st.booleans())}]


@st.composite
def _layer(draw: st.DrawFn, size: tuple[int, ...], depth: int) -> tuple[Any, tuple[int, ...]]:
    """Draw a layer that can take that size, and the size that it gives."""
    kinds = ["keeping", "keeping", "wide"] + (["residual"] if depth < 4 else [])
    kinds += ["pool"] if len(size) == 3 and min(size[1:]) >= 2 else []
    kind = draw(st.sampled_from(kinds))
    if kind == "residual":
        inside = draw(st.lists(_keeping(size), min_size=1, max_size=3))
        deeper = {"type": "residual", "layers": inside}
        return (
            deeper if depth > 2 or draw(st.booleans()) else {"type": "residual", "layers": [deeper]}
        ), size
    if kind == "keeping":
        return draw(_keeping(size)), size
    bias = draw(st.booleans())
    if kind == "pool":
        stride, padding = draw(st.sampled_from([None, 1, 2])), draw(st.integers(0, 1))
        name = draw(st.sampled_from(["max_pool2d", "avg_pool2d"]))
        after = tuple((edge + 2 * padding - 2) // (stride or 2) + 1 for edge in size[1:])
        return {"type": name, "kernel": 2, "stride": stride, "padding": padding}, (size[0], *after)
    out = draw(st.integers(1, 6))
    if len(size) == 1:
        return {"type": "linear", "out": out, "bias": bias}, (out,)
    kernel, stride, padding = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(0, 2))
    after = tuple((edge + 2 * padding - kernel) // stride + 1 for edge in size[1:])
    if min(after) < 1:
        kernel, stride, padding, after = 1, 1, 0, size[1:]
    conv = {
        "type": "conv2d",
        "out": out,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "bias": bias,
    }
    return conv, (out, *after)


def _keeping(size: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """Draw a layer that gives the size it takes."""
    first, values = size[0], 1
    for edge in size:
        values *= edge
    kinds: list[Any] = [
        "batch_norm",
        "relu",
        "gelu",
        "silu",
        "tanh",
        "dropout",
        {"type": "dropout", "p": 0.2},
    ]
    if values > 1:
        kinds.append("layer_norm")
    kinds += [{"type": "group_norm", "groups": n} for n in (1, 2, 3) if first % n == 0 and values > n]
    if len(size) == 1:
        kinds.append({"type": "linear", "out": first})
    else:
        kinds.append({"type": "conv2d", "out": first, "kernel": 3, "padding": 1})
    return st.sampled_from(kinds)
