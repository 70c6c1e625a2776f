"""Search spaces as data: what is allowed, on which scale, and where the ends are."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.space import Categorical, Dimension, Float, Int

ADAPTER: TypeAdapter[Any] = TypeAdapter(Dimension)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"type": "float", "low": 1e-3, "high": 1, "log": True}, Float(low=1e-3, high=1, scale="log")),
        ({"type": "float", "low": 0, "high": 1, "log": False}, Float(low=0, high=1)),
        (
            {"type": "float", "low": 0.5, "high": 0.99, "scale": "log1m"},
            Float(low=0.5, high=0.99, scale="log1m"),
        ),
        ({"type": "int", "low": 1, "high": 8, "log": True}, Int(low=1, high=8, scale="log")),
        ({"type": "categorical", "choices": [False, True]}, Categorical(choices=(False, True))),
    ],
)
def test_dimensions_are_read_and_survive_json(written: dict[str, Any], meant: Any) -> None:
    assert ADAPTER.validate_python(written) == meant
    assert ADAPTER.validate_json(ADAPTER.dump_json(meant)) == meant


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"type": "float", "low": 1, "high": 1}, "must be less than"),
        ({"type": "float", "low": 0, "high": 1, "log": True}, "greater than 0 on the log scale"),
        ({"type": "float", "low": 0, "high": 1, "scale": "log1m"}, "less than 1 on the log1m scale"),
        ({"type": "float", "low": 0, "high": 1, "scale": "log", "log": True}, "not both"),
        ({"type": "float", "low": 0, "high": 1, "log": "yes"}, "allowed: true, false"),
        ({"type": "float", "low": 0, "high": float("inf")}, "finite"),
        ({"type": "int", "low": 0, "high": 8, "log": True}, "greater than 0"),
        ({"type": "categorical", "choices": ["a"]}, "at least 2"),
        ({"type": "categorical", "choices": ["a", "a"]}, "twice"),
        ({"type": "float", "low": 0, "high": 1, "step": 1}, "not permitted"),
        ({"type": "fload", "low": 0, "high": 1}, "fload"),
    ],
)
def test_what_makes_no_sense_is_refused(written: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ADAPTER.validate_python(written)


@given(low=st.floats(1e-6, 0.4), width=st.floats(0.05, 0.5), share=st.floats(0, 1))
def test_positions_run_from_0_to_1_and_the_ends_are_within_5_percent(
    low: float, width: float, share: float
) -> None:
    for scale in ("linear", "log", "log1m"):
        dimension = Float(low=low, high=low + width, scale=scale)
        assert dimension.position(low) == 0
        assert dimension.position(low + width) == 1
        value = dimension.nearest(low + share * width)
        assert isinstance(value, float)
        at = dimension.position(value)
        assert -1e-9 <= at <= 1 + 1e-9  # logarithms round
        assert dimension.edge(value) == ("low" if at <= 0.05 else "high" if at >= 0.95 else None)


def test_log1m_is_the_log_of_one_minus_the_value() -> None:
    betas = Float(low=0.9, high=0.999, scale="log1m")
    assert betas.position(0.99) == pytest.approx(0.5)  # 0.1, 0.01, 0.001: the middle of two decades


def test_values_of_another_kind_are_not_contained() -> None:
    assert not Float(low=0, high=1).contains(True)
    assert not Float(low=0, high=1).contains("0.5")
    assert not Int(low=0, high=1).contains(0.5)
    assert not Categorical(choices=(0, 2)).contains(False)
    assert Categorical(choices=("a", "b")).nearest("c") == "a"
    assert Int(low=2, high=4).nearest(9) == 4


@pytest.mark.parametrize("scale", ["linear", "log", "log1m"])
def test_neighboring_numbers_have_positions_whatever_their_logarithms_are(scale: Any) -> None:
    for low in (1e-12, 0.1, 0.9):
        dimension = Float(low=low, high=math.nextafter(low, 1), scale=scale)
        assert (dimension.position(dimension.low), dimension.position(dimension.high)) == (0, 1)
        assert (dimension.edge(dimension.low), dimension.edge(dimension.high)) == ("low", "high")
