"""The shapes of a guest: a job whose trials are runs of a person's own training function.

Its length unit is the epoch: what lies between two reports. Workers fill these in, the database keeps them,
and evidence reads them. Nothing in here needs the function.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

HASH = r"^[0-9a-f]{16}$"
"""Pattern of the first 16 digits of a SHA-256, which tell apart what a trial starts from."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Function(_Frozen):
    """A person's training function by its name, with the options that it is handed."""

    name: str = Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="`module:function`. Over REST it is one that the operator allows.",
    )
    options: dict[str, JsonValue] = Field(
        default_factory=dict, max_length=64, description="JSON that the function finds as `run.options`."
    )


class Start(_Frozen):
    """What a trial started from, seen by hooks of its optimizer at the first step.

    Trials with the same seeds are paired if these agree. Only tensors that are trained are hashed.
    """

    params: str = Field(pattern=HASH, description="Hash of the params before the first step.")
    gradient: str | None = Field(
        pattern=HASH, description="Hash of the first gradient; null if the first step had none."
    )
    generators: dict[str, str] = Field(
        description="Hash of each random generator's state at the first step: torch, numpy, python, cuda."
    )
    count: int = Field(ge=0, description="Number of params that are trained.")
    groups: tuple[dict[str, Any], ...] = Field(
        description="Settings of each group of params at the first step, as torch spells them."
    )
    closure: bool = Field(description="Whether the function passes a closure to `step`.")


class Finding(_Frozen):
    """What a rehearsal found: an error ends it, a warning stands in the record."""

    code: str
    detail: str
    label: str | None = Field(default=None, description="The optimizer with which it was seen.")


class Rehearsed(_Frozen):
    """What one epoch with every optimizer told of a function, before its job."""

    source: str = Field(description="SHA-256 of the function's source and of what it names.")
    metrics: tuple[str, ...] = Field(description="Names that it reports, the job's metric first.")
    epoch_seconds: dict[str, float] = Field(description="Seconds of an epoch, by label.")
    fixed_seconds: dict[str, float] = Field(
        description="Seconds of a trial beside its epochs (model, data, test), by label."
    )
    keep_seconds: float | None = Field(
        default=None, description="Seconds that a checkpoint of `run.keep` takes; null if nothing is kept."
    )
    judged_on: Literal["split", "test", "validation"] = Field(
        description="`split`: `run.split` holds the test part back. `test`: the function does so, and "
        "calls `run.test`. `validation`: nobody does, and confirm is judged by the last report."
    )
    parts: tuple[int, int, int] | None = Field(
        default=None, description="Rows of train, validation and test, if `run.split` divides them."
    )
    scheduled: bool = Field(description="Whether it uses `run.scheduler`.")
    closure: bool = Field(description="Whether it passes a closure to `step`.")
    pretrained: bool = Field(
        description="Whether different seeds start from the same params, but not from the same gradient."
    )
    params: int = Field(ge=0, description="Number of params that are trained.")
    repeats: Literal["bits", "close", "differs"] = Field(
        description="Whether the same seeds give the same reports."
    )
    paired: bool = Field(description="Whether the same seeds start from the same params and gradient.")
    findings: tuple[Finding, ...] = Field(default=(), description="What is only warned of.")
