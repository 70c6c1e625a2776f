"""Search spaces as data: what a hyperparameter may be, and on which scale it is searched.

Dimension
├── Float        linear, log, or log1m (log of one minus the value: for betas and momentum)
├── Int          linear or log
└── Categorical  one of a few values
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from whichopt.service.numeric import REAL, WHOLE

Value = bool | int | float | str
"""A value of a hyperparameter."""

Config = dict[str, Value]
"""One assignment of hyperparameters, flat: `beta1` and `beta2`, not `betas`."""

Edge = Literal["low", "high"]


class _Dimension(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Ordered(_Dimension):
    """A dimension whose values lie between two ends."""

    def position(self, value: float) -> float:
        """Return the position of `value` between low (0) and high (1) on this dimension's own scale."""
        raise NotImplementedError

    def edge(self, value: float, share: float = 0.05) -> Edge | None:
        """The end of the range that `value` lies within `share` of, on the dimension's own scale."""
        at = self.position(value)
        return "low" if at <= share else "high" if at >= 1 - share else None


def _log_shorthand(data: Any) -> Any:
    """Reads `{"log": true}` as `{"scale": "log"}`, as Optuna's users write it."""
    if not isinstance(data, Mapping) or "log" not in data:
        return data
    rest = {key: value for key, value in data.items() if key != "log"}
    if "scale" in rest:
        raise ValueError("say either 'scale' or 'log', not both")
    if not isinstance(data["log"], bool):
        raise ValueError(f"log is {data['log']!r}; allowed: true, false")
    return {**rest, "scale": "log" if data["log"] else "linear"}


class Float(_Ordered):
    """A real number in [low, high]."""

    type: Literal["float"] = "float"
    low: Annotated[float, Field(allow_inf_nan=False), REAL]
    high: Annotated[float, Field(allow_inf_nan=False), REAL]
    scale: Literal["linear", "log", "log1m"] = "linear"

    _shorthand = model_validator(mode="before")(_log_shorthand)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} must be less than high {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"low {self.low:g} must be greater than 0 on the log scale")
        if self.scale == "log1m" and self.high >= 1:
            raise ValueError(f"high {self.high:g} must be less than 1 on the log1m scale")
        return self

    def contains(self, value: Value) -> bool:
        return (
            isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high
        )

    def position(self, value: float) -> float:
        """Return the position of `value` between low (0) and high (1) on this dimension's own scale."""
        low, at, high = (self._scaled(x) for x in (self.low, value, self.high))
        if low == high:  # so near that a logarithm does not tell them apart
            low, at, high = self.low, value, self.high
        return (at - low) / (high - low)

    def _scaled(self, value: float) -> float:
        if self.scale == "log":
            return math.log(value)
        return -math.log1p(-value) if self.scale == "log1m" else value

    def nearest(self, value: Value) -> Value:
        """The allowed value that is nearest to `value`."""
        return min(max(float(value), self.low), self.high)

    def allowed(self) -> str:
        return f"{self.low:g} to {self.high:g}"


class Int(_Ordered):
    """A whole number in [low, high]."""

    type: Literal["int"] = "int"
    low: Annotated[int, WHOLE]
    high: Annotated[int, WHOLE]
    scale: Literal["linear", "log"] = "linear"

    _shorthand = model_validator(mode="before")(_log_shorthand)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} must be less than high {self.high}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"low {self.low} must be greater than 0 on the log scale")
        return self

    def contains(self, value: Value) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def position(self, value: float) -> float:
        """Return the position of `value` between low (0) and high (1) on this dimension's own scale."""
        scaled = math.log if self.scale == "log" else float
        return (scaled(value) - scaled(self.low)) / (scaled(self.high) - scaled(self.low))

    def nearest(self, value: Value) -> Value:
        """The allowed value that is nearest to `value`."""
        return min(max(int(value), self.low), self.high)

    def allowed(self) -> str:
        return f"whole numbers from {self.low} to {self.high}"


class Categorical(_Dimension):
    """One of a few values, without order."""

    type: Literal["categorical"] = "categorical"
    choices: tuple[Value, ...] = Field(min_length=2, max_length=64)

    @model_validator(mode="after")
    def _check(self) -> Self:
        spelt = [repr(choice) for choice in self.choices]
        twice = next((text for i, text in enumerate(spelt) if text in spelt[:i]), None)
        if twice is not None:
            raise ValueError(f"choices {list(self.choices)} name {twice} twice")
        return self

    def contains(self, value: Value) -> bool:
        return any(type(value) is type(choice) and value == choice for choice in self.choices)

    def edge(self, value: Value, share: float = 0.05) -> Edge | None:  # noqa: ARG002
        """A set without order has no ends."""
        return None

    def nearest(self, value: Value) -> Value:
        """`value` if it is allowed, else the first choice."""
        return value if self.contains(value) else self.choices[0]

    def allowed(self) -> str:
        return ", ".join(repr(choice) for choice in self.choices)


Dimension = Annotated[Float | Int | Categorical, Field(discriminator="type")]

Space = dict[str, Dimension]
"""The allowed values of every hyperparameter that is searched."""
