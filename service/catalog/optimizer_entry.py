"""An optimizer as the catalog has it: its class, zero-shot setting, search space and source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from whichopt.service.batches import GROWING, TRAINING, TRAINING_LIMITS
from whichopt.service.catalog.names import check_names, check_target
from whichopt.service.catalog.origins import Origin
from whichopt.service.configs import arguments
from whichopt.service.space import Categorical, Config, Dimension, Float, Space, Value

ValueT = TypeVar("ValueT")

LIMITS: Mapping[str, Dimension] = {
    "lr": Float(low=1e-12, high=1e4),
    "beta1": Float(low=0.0, high=0.9999),
    "beta2": Float(low=0.0, high=0.999999),
    "nu1": Float(low=0.0, high=1.0),
    "nu2": Float(low=0.0, high=1.0),
    "momentum": Float(low=0.0, high=0.9999),
    "alpha": Float(low=0.0, high=0.999999),
    "eps": Float(low=1e-30, high=1e6),
    "weight_decay": Float(low=0.0, high=100.0),
    "nesterov": Categorical(choices=(False, True)),
    "rectify": Categorical(choices=(False, True)),
}
"""Limits of hyperparameters by name, whatever ranges a user sets. An entry with one of another name brings
its limits in `own_limits`."""


@dataclass(frozen=True)
class Build:
    """The way in which the optimizer is made, for workers and for a snippet.

    `target` is the place that its class is imported from; `fixed` are arguments that are not searched.
    `matrices` is the key by which the class tells two groups of params apart, empty if it takes all params as
    they are: True for those of two dimensions or more, as weights have, False for the others.
    """

    target: str
    fixed: Mapping[str, Value] = field(default_factory=dict)
    matrices: Annotated[str, Field(exclude_if=lambda key: not key)] = ""  # what was stored keeps its bytes

    def __post_init__(self) -> None:
        """Refuse what a snippet could not import, or could do more with than import.

        Raises:
            ValueError: the target is not a dotted name, or `fixed` or `matrices` has a key that is no name.
        """
        check_target(self.target)
        check_names("fixed", self.fixed)
        check_names("matrices", [self.matrices] if self.matrices else [])

    def params_code(self, params: str) -> str:
        """Return the Python code of what the class is given, where `params` is the code of all params."""
        if not self.matrices:
            return params
        chosen = f"[one for one in {params} if (one.ndim >= 2) is matrix]"
        return f'[{{"params": {chosen}, "{self.matrices}": matrix}} for matrix in (True, False)]'


@dataclass(frozen=True)
class Stepping:
    """The way in which workers step the optimizer; nobody else has to know.

    `faster` are arguments that make the same step take less time; `compiled` are arguments used in place of
    those to select a kernel that must be compiled first, empty if there is none.
    `stackable` is False for an optimizer whose step needs more than the params and gradients of its row: only
    the solo executor can train it. `rows` is the kind of step in a stack
    (`whichopt.workers.engine.stacked.optimizers.STEPS`). `joinable` says that params joined in one tensor
    take the same step to the bit; torch's fused kernels round the last few entries of a tensor otherwise.
    """

    stackable: bool = True
    rows: Literal["class", "kernel", "columns"] = "class"
    joinable: bool = True
    faster: Mapping[str, Value] = field(default_factory=dict)
    compiled: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Meaning:
    """The meaning of the hyperparameters, for lint and translations.

    `step` says what the length of a step goes by: `normalized` (lr is about its length), `raw` (lr times the
    gradient), `partial` (between these two), `summed` (it falls with the sum of the squares so far) or `own`
    (lr multiplies a length that the optimizer finds by itself). `decay` says if weight decay is added
    to the gradient (`coupled`) or shrinks the params by lr * weight_decay (`decoupled`). `floor` says how eps
    keeps the denominator up: added `outside` the root, once `inside` it, or `accumulated` under it at every
    step and outside as well. `squares` names the decay rate of the squares that divide an average of
    gradients, which lint holds against that of the average, beta1; None if there are no such two.
    `uncorrected` names the average whose bias towards its start at 0 is not corrected. `rectified` says if
    early steps are shortened as RAdam's are: never, always, or when the switch `rectify` is on.
    """

    step: Literal["normalized", "raw", "partial", "summed", "own"] = "normalized"
    decay: Literal["coupled", "decoupled"] = "coupled"
    floor: Literal["outside", "inside", "accumulated"] = "outside"
    squares: Annotated[str | None, Field(exclude_if=lambda name: name == "beta2")] = "beta2"
    uncorrected: str | None = None
    rectified: Literal["never", "always", "switch"] = "never"


@dataclass(frozen=True, kw_only=True)
class OptimizerFacts:
    """The part of an optimizer's entry that a resolved spec records.

    With it a job is planned, judged, shown and verified even if the catalog has no such entry any more.

    `default` is the zero-shot setting, `space` the usual one; `packed` maps an argument that torch takes as a
    tuple to the scalars that the space has; `own_limits` are the limits of hyperparameters that LIMITS lacks,
    or of which the class allows less; `needs` maps a switch to the hyperparameter that must be above 0 when
    it is on; `edges` are the hyperparameters whose best value is reported if it lies at an end of its range;
    `state_bytes` are the bytes of state per fp32 param, of a square matrix if they depend on the shape.

    `modes` says that the class has `train()` and `eval()`, as schedule-free optimizers have: other params are
    evaluated than those that gradients are taken at. `own_schedule` says that it brings a schedule of the
    learning rate, so that the job's is not for it. `needs_closure` says that its step calls a closure, which
    computes the loss and its gradient once more: only a person's own training function can pass one.
    """

    build: Build
    default: Config
    space: Space
    state_bytes: int
    source: str
    meaning: Meaning = Meaning()
    packed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own_limits: Mapping[str, Dimension] = field(default_factory=dict)
    needs: Mapping[str, str] = field(default_factory=dict)
    edges: tuple[str, ...] = ("lr",)
    modes: bool = False
    own_schedule: bool = False
    needs_closure: bool = False

    def __post_init__(self) -> None:
        """Refuse names that are no arguments' names.

        Raises:
            ValueError: default, space or packed has one.
        """
        check_names("default", self.default)
        check_names("space", self.space)
        check_names("packed", self.packed)
        for scalars in self.packed.values():
            check_names("packed", scalars)

    def limits(self, name: str) -> Dimension:
        """Return what the hyperparameter may be at all."""
        for limits in (self.own_limits, LIMITS, TRAINING_LIMITS):
            if name in limits:
                return limits[name]
        raise KeyError(name)

    def is_own(self, name: str) -> bool:
        """Tell if a config's value of that name is an argument of the class, and not of the training."""
        if name in self.own_limits:
            return True
        return name not in GROWING and (name not in TRAINING or name in self.space)

    def own(self, config: Mapping[str, Value]) -> Config:
        """Return the part of a config that the class takes."""
        return {name: value for name, value in config.items() if self.is_own(name)}

    def of_training(self, config: Mapping[str, ValueT]) -> dict[str, ValueT]:
        """Return the part of a config, or of a space, that is about batches and the schedule."""
        return {name: value for name, value in config.items() if not self.is_own(name)}

    def arguments(self, config: Mapping[str, Value]) -> dict[str, Any]:
        """Return `config` as the class's own keyword arguments: tuples packed, `fixed` not yet added."""
        return arguments(self.own(config), self.packed)


@dataclass(frozen=True, kw_only=True)
class OptimizerEntry(OptimizerFacts):
    """An optimizer as jobs name it; its fields are grouped by who reads them.

    `class_default` is the setting of a class that is given none, if it is not `default`; a name that it lacks
    has no default."""

    name: str
    title: str
    stepping: Stepping = Stepping()
    class_default: Config | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        """Refuse an entry that would only fail later, in a job that names it.

        Raises:
            ValueError: something that the service looks up in every entry, or in one like it, is missing.
        """
        super().__post_init__()
        lr = self.space.get("lr")
        if not isinstance(lr, Float) or lr.low <= 0:
            raise ValueError(f"{self.name}: space needs an lr, a Float above 0: schedules multiply it")
        if self.default.keys() != self.space.keys():
            differ = sorted(self.default.keys() ^ self.space.keys())
            raise ValueError(f"{self.name}: default and space differ in {', '.join(differ)}")
        limited = {*self.own_limits, *LIMITS, *GROWING}
        unlimited = [name for name in self.space if name not in limited]
        if unlimited:
            raise ValueError(f"{self.name}: no limits for {', '.join(unlimited)}: give them in own_limits")
        named = {*self.own_limits, *self.edges, *self.needs, *self.needs.values()}
        named |= {scalar for scalars in self.packed.values() for scalar in scalars}
        uncorrected = self.meaning.uncorrected
        named |= set() if uncorrected is None else {uncorrected}
        named |= {"eps", "beta1", "beta2"} if self.meaning.floor == "accumulated" else set()
        named |= set(self.class_default or ())
        if missing := sorted(named - self.space.keys()):
            raise ValueError(f"{self.name}: names {', '.join(missing)}, which its space lacks")

    @property
    def stackable(self) -> bool:
        """Tell if many trials can be trained at once: a stack evaluates the params that it trains."""
        return self.stepping.stackable and not self.modes and not self.needs_closure

    @property
    def facts(self) -> OptimizerFacts:
        """The part of the entry that a resolved spec records."""
        return OptimizerFacts(**{one.name: getattr(self, one.name) for one in fields(OptimizerFacts)})
